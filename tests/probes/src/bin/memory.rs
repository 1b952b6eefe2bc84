//! Memory mappings.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{Scratch, checked, step};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mmap};
use rustix::mm::{mmap_anonymous, mprotect, mremap, munmap};
use std::ffi::c_void;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::ptr::null_mut;

const PAGE: usize = 4096;
const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn main() -> io::Result<()> {
    let _scratch = Scratch::new("memory")?;
    anonymous();
    reservations();
    changes();
    files();
    shared();
    code();
    errors();
    Ok(())
}

/// A mapping that is unmapped on drop; every access is checked against its length.
struct Mapping {
    base: *mut u8,
    length: usize,
}

impl Mapping {
    fn anonymous(length: usize, access: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(null_mut(), length, access, flags)? };
        Ok(Self {
            base: base.cast(),
            length,
        })
    }

    fn private(pages: usize) -> io::Result<Self> {
        Self::anonymous(pages * PAGE, READ_WRITE, MapFlags::PRIVATE)
    }

    fn of_file(
        file: impl AsFd,
        length: usize,
        access: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(null_mut(), length, access, flags, file, 0)? };
        Ok(Self {
            base: base.cast(),
            length,
        })
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.length, "outside the mapping");
        self.base.wrapping_add(offset)
    }

    fn page(&self, number: usize) -> *mut c_void {
        self.at(number * PAGE).cast()
    }

    fn get(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapping, which the step made readable there.
        unsafe { self.at(offset).read_volatile() }
    }

    fn set(&self, offset: usize, value: u8) {
        // SAFETY: inside the mapping, which the step made writable there.
        unsafe { self.at(offset).write_volatile(value) };
    }

    fn protect(&self, first: usize, pages: usize, access: MprotectFlags) -> io::Result<()> {
        // SAFETY: only this mapping changes; the step does not use what it forbids.
        unsafe { mprotect(self.page(first), pages * PAGE, access) }.map_err(io::Error::from)
    }

    fn unmap(&self, first: usize, pages: usize) -> io::Result<()> {
        // SAFETY: only a part of this mapping goes; the step does not use it any more.
        unsafe { munmap(self.page(first), pages * PAGE) }.map_err(io::Error::from)
    }

    /// Whether a page is mapped: mincore(2) answers ENOMEM for a hole.
    fn is_mapped(&self, number: usize) -> bool {
        let mut state = [0; 1];
        // SAFETY: `state` has room for one page.
        let result = unsafe { libc::mincore(self.page(number), PAGE, state.as_mut_ptr()) };
        checked(result).is_ok()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is not used after its drop. A failure only wastes memory.
        let _ = unsafe { munmap(self.base.cast(), self.length) };
    }
}

fn anonymous() {
    step("fresh memory is zero", || {
        let memory = Mapping::private(64)?;
        Ok((0..64 * PAGE)
            .step_by(509)
            .all(|offset| memory.get(offset) == 0))
    });
    step("what was written stays", || {
        let memory = Mapping::private(256)?;
        (0..256).for_each(|page| memory.set(page * PAGE + 7, page as u8));
        Ok((0..256).all(|page| memory.get(page * PAGE + 7) == page as u8))
    });
    step("mappings do not overlap", || {
        let maps: Vec<_> = (0..50)
            .map(|_| Mapping::private(3))
            .collect::<io::Result<_>>()?;
        let mut bases: Vec<_> = maps.iter().map(|map| map.base.addr()).collect();
        bases.sort_unstable();
        Ok(bases.windows(2).all(|pair| pair[1] - pair[0] >= 3 * PAGE))
    });
    step("a hint that is free is taken", || {
        let address = Mapping::private(4)?.base;
        // SAFETY: a hint never replaces a mapping.
        let base = unsafe { mmap_anonymous(address.cast(), PAGE, READ_WRITE, MapFlags::PRIVATE)? };
        let memory = Mapping {
            base: base.cast(),
            length: PAGE,
        };
        Ok(memory.base == address)
    });
    step("the heap grows", || {
        let blocks: Vec<_> = (0..64).map(|n| vec![n as u8; 100_000]).collect();
        Ok(blocks
            .iter()
            .enumerate()
            .all(|(n, block)| block.iter().all(|&byte| byte == n as u8)))
    });
}

fn reservations() {
    let reserve = MapFlags::PRIVATE | MapFlags::NORESERVE;
    step("64 GiB can be reserved and a part used", || {
        let memory = Mapping::anonymous(64 << 30, ProtFlags::empty(), reserve)?;
        let middle = (32 << 30) / PAGE;
        memory.protect(middle, 16, MprotectFlags::READ | MprotectFlags::WRITE)?;
        memory.set(middle * PAGE + 5, 9);
        Ok((memory.get(middle * PAGE + 5), memory.get(middle * PAGE + 6)))
    });
    step("an aligned part of a reservation", || {
        let memory = Mapping::anonymous(8 << 20, ProtFlags::empty(), reserve)?;
        let skip = memory.base.addr().next_multiple_of(4 << 20) - memory.base.addr();
        if skip > 0 {
            memory.unmap(0, skip / PAGE)?;
        }
        let first = skip / PAGE;
        memory.protect(first, 4, MprotectFlags::READ | MprotectFlags::WRITE)?;
        memory.set(skip, 1);
        Ok((memory.get(skip), first == 0 || !memory.is_mapped(0)))
    });
}

fn changes() {
    step("a hole in the middle", || {
        let memory = Mapping::private(3)?;
        memory.set(0, 1);
        memory.set(2 * PAGE, 3);
        memory.unmap(1, 1)?;
        let mapped = [0, 1, 2].map(|page| memory.is_mapped(page));
        Ok((memory.get(0), mapped, memory.get(2 * PAGE)))
    });
    step("unmapping nothing succeeds", || {
        let memory = Mapping::private(2)?;
        memory.unmap(0, 1)?;
        memory.unmap(0, 1)
    });
    step("MAP_FIXED replaces", || {
        let memory = Mapping::private(3)?;
        (0..3).for_each(|page| memory.set(page * PAGE, 5));
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: replaces a page of our own mapping.
        let base = unsafe { mmap_anonymous(memory.page(1), PAGE, READ_WRITE, flags)? };
        let values = [0, 1, 2].map(|page| memory.get(page * PAGE));
        Ok((base == memory.page(1), values))
    });
    step("MAP_FIXED_NOREPLACE does not", || {
        let memory = Mapping::private(1)?;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: must fail; it would take an address of our own mapping.
        let base = unsafe { mmap_anonymous(memory.page(0), PAGE, READ_WRITE, flags)? };
        Ok(base.is_null())
    });
    step("a mapping moves with its content", || {
        let memory = std::mem::ManuallyDrop::new(Mapping::private(2)?);
        memory.set(PAGE + 1, 42);
        let (old, new) = (2 * PAGE, 2000 * PAGE);
        // SAFETY: the old mapping is not used any more.
        let base = unsafe { mremap(memory.page(0), old, new, MremapFlags::MAYMOVE)? };
        let moved = Mapping {
            base: base.cast(),
            length: new,
        };
        Ok((moved.get(PAGE + 1), moved.get(1999 * PAGE)))
    });
    step("a mapping shrinks in place", || {
        let memory = Mapping::private(4)?;
        memory.set(0, 1);
        // SAFETY: only the end of our own mapping goes.
        let base = unsafe { mremap(memory.page(0), 4 * PAGE, PAGE, MremapFlags::empty())? };
        Ok((base == memory.page(0), memory.get(0), memory.is_mapped(1)))
    });
    step("MADV_DONTNEED gives zeros", || {
        let memory = Mapping::private(2)?;
        memory.set(0, 1);
        memory.set(PAGE, 2);
        // SAFETY: our own mapping, whose content the step gives up.
        unsafe { madvise(memory.page(0), PAGE, Advice::LinuxDontNeed)? };
        Ok((memory.get(0), memory.get(PAGE)))
    });
    step("protection of a part", || {
        let memory = Mapping::private(4)?;
        (0..4).for_each(|page| memory.set(page * PAGE, page as u8));
        memory.protect(1, 2, MprotectFlags::READ)?;
        memory.protect(1, 1, MprotectFlags::READ | MprotectFlags::WRITE)?;
        memory.set(PAGE, 9);
        Ok([0, 1, 2, 3].map(|page| memory.get(page * PAGE)))
    });
}

fn files() {
    step("a file can be read through memory", || {
        fs::write("text", "some text in a file")?;
        let memory = Mapping::of_file(File::open("text")?, 19, ProtFlags::READ, MapFlags::PRIVATE)?;
        Ok((memory.get(5), memory.get(18)))
    });
    step("after the end of a file come zeros", || {
        let memory = Mapping::of_file(
            File::open("text")?,
            PAGE,
            ProtFlags::READ,
            MapFlags::PRIVATE,
        )?;
        Ok([19, 20, PAGE - 1].map(|offset| memory.get(offset)))
    });
    step("a private mapping leaves the file alone", || {
        let memory = Mapping::of_file(File::open("text")?, 19, READ_WRITE, MapFlags::PRIVATE)?;
        memory.set(0, b'S');
        Ok((memory.get(0), fs::read_to_string("text")?))
    });
    step("a mapping outlives descriptor and name", || {
        fs::write("gone", "remains")?;
        let memory = Mapping::of_file(File::open("gone")?, 7, ProtFlags::READ, MapFlags::PRIVATE)?;
        fs::remove_file("gone")?;
        Ok(memory.get(0))
    });
    step("an offset into a file", || {
        let content: Vec<u8> = (0..3 * PAGE).map(|n| (n / PAGE) as u8 + 1).collect();
        fs::write("pages", content)?;
        let file = File::open("pages")?;
        let flags = MapFlags::PRIVATE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(null_mut(), PAGE, ProtFlags::READ, flags, &file, PAGE as u64)? };
        let memory = Mapping {
            base: base.cast(),
            length: PAGE,
        };
        Ok((memory.get(0), memory.get(PAGE - 1)))
    });
}

fn shared() {
    step("two views of a memory file", || {
        let file = memfd_create("probe", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, 2 * PAGE as u64)?;
        let first = Mapping::of_file(&file, 2 * PAGE, READ_WRITE, MapFlags::SHARED)?;
        let second = Mapping::of_file(&file, 2 * PAGE, ProtFlags::READ, MapFlags::SHARED)?;
        first.set(PAGE + 3, 77);
        let mut byte = [0; 1];
        rustix::io::pread(&file, &mut byte, PAGE as u64 + 3)?;
        rustix::io::pwrite(&file, &[88], 0)?;
        Ok((second.get(PAGE + 3), byte, second.get(0)))
    });
}

/// `mov eax, 42; ret` and its like.
fn returns(number: u8) -> [u8; 6] {
    [0xb8, number, 0, 0, 0, 0xc3]
}

fn run(address: *const u8) -> i32 {
    // SAFETY: the step put the code of such a function there and made it executable.
    let function = unsafe { std::mem::transmute::<*const u8, extern "C" fn() -> i32>(address) };
    function()
}

fn store(memory: &Mapping, code: &[u8]) {
    code.iter()
        .enumerate()
        .for_each(|(offset, &byte)| memory.set(offset, byte));
}

fn code() {
    step("code is written, then run", || {
        let memory = Mapping::private(1)?;
        store(&memory, &returns(42));
        memory.protect(0, 1, MprotectFlags::READ | MprotectFlags::EXEC)?;
        Ok(run(memory.base))
    });
    step("code is changed through a second view", || {
        let file = memfd_create("jit", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, PAGE as u64)?;
        let writable = Mapping::of_file(&file, PAGE, READ_WRITE, MapFlags::SHARED)?;
        let access = ProtFlags::READ | ProtFlags::EXEC;
        let executable = Mapping::of_file(&file, PAGE, access, MapFlags::SHARED)?;
        store(&writable, &returns(1));
        let first = run(executable.base);
        store(&writable, &returns(2));
        Ok((first, run(executable.base)))
    });
    step("memory that is writable and executable", || {
        let access = READ_WRITE | ProtFlags::EXEC;
        let memory = Mapping::anonymous(PAGE, access, MapFlags::PRIVATE)?;
        store(&memory, &returns(7));
        Ok(run(memory.base))
    });
}

fn errors() {
    step("length zero", || Mapping::private(0).map(drop));
    step("an address that is not a page's", || {
        let memory = Mapping::private(2)?;
        // SAFETY: must fail; it would unmap a part of our own mapping.
        unsafe { munmap(memory.at(1).cast(), PAGE) }.map_err(io::Error::from)
    });
    step("protection of a hole", || {
        let memory = Mapping::private(3)?;
        memory.unmap(1, 1)?;
        memory.protect(0, 3, MprotectFlags::READ)
    });
    step("more than the address space", || {
        Mapping::anonymous(1 << 50, READ_WRITE, MapFlags::PRIVATE).map(drop)
    });
    step(
        "a shared writable mapping of a file opened for reading",
        || {
            let file = File::open("text")?;
            Mapping::of_file(file, 19, READ_WRITE, MapFlags::SHARED).map(drop)
        },
    );
    step("a mapping of a directory", || {
        Mapping::of_file(File::open(".")?, PAGE, ProtFlags::READ, MapFlags::PRIVATE).map(drop)
    });
    step("the kernel checks addresses", || {
        let (_from, to) = rustix::pipe::pipe()?;
        // SAFETY: the call must only read, and fail: nothing is mapped at 16.
        let count =
            unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&to), 16 as *const c_void, 4) };
        checked(count as i32)
    });
    step("the kernel checks its own half", || {
        let (_from, to) = rustix::pipe::pipe()?;
        let address = 0xffff_8000_0000_0000_usize as *const c_void;
        // SAFETY: the call must only read, and fail: programs have no right there.
        let count = unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&to), address, 4) };
        checked(count as i32)
    });
    step(
        "a shared mapping of a file open for reading stays so",
        || {
            fs::write("read-only", [1; PAGE])?;
            let file = File::open("read-only")?;
            let shared = Mapping::of_file(&file, PAGE, ProtFlags::READ, MapFlags::SHARED)?;
            let private = Mapping::of_file(&file, PAGE, ProtFlags::READ, MapFlags::PRIVATE)?;
            private.protect(0, 1, MprotectFlags::READ | MprotectFlags::WRITE)?;
            shared.protect(0, 1, MprotectFlags::READ | MprotectFlags::WRITE)
        },
    );
    step("the kernel does not write to read-only memory", || {
        let memory = Mapping::private(1)?;
        memory.protect(0, 1, MprotectFlags::READ)?;
        let zero = File::open("/dev/zero")?;
        // SAFETY: the call must fail; it would write to our own mapping.
        let count =
            unsafe { libc::read(std::os::fd::AsRawFd::as_raw_fd(&zero), memory.page(0), 8) };
        checked(count as i32)
    });
}
