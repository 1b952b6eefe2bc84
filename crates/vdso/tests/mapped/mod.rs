//! A clock page and the image in memory as the kernel would lay them out, and calls into it.

use std::ffi::{CString, c_void};
use std::io::Write as _;
use std::mem::transmute;
use std::os::unix::ffi::OsStrExt as _;
use std::ptr::{self, null_mut, write_volatile};
use std::sync::atomic::{Ordering, fence};
use vdso::{ClockPage, IMAGE, PAGE};

/// One page of parameters, then the image, executable; never unmapped.
pub(crate) struct Mapped {
    page: *mut u8,
}

// SAFETY: the page is only changed through `change`, whose protocol readers follow.
unsafe impl Sync for Mapped {}

impl Mapped {
    pub(crate) fn new(clock: &ClockPage) -> Self {
        let length = PAGE + IMAGE.len();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe { libc::mmap(null_mut(), length, access, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        let page: *mut u8 = page.cast();
        let bytes = clock.encode();
        // SAFETY: inside the new mapping.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), page, bytes.len()) };
        let image = page.wrapping_add(PAGE);
        // SAFETY: inside the new mapping.
        unsafe { ptr::copy_nonoverlapping(IMAGE.as_ptr(), image, IMAGE.len()) };
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the second part of the new mapping, which is not written again.
        let result = unsafe { libc::mprotect(image.cast(), IMAGE.len(), access) };
        assert_eq!(result, 0);
        Self { page }
    }

    /// Stores another state as the kernel would: an odd number, the fields, the even number;
    /// slowly, so that readers come in between.
    pub(crate) fn change(&self, clock: &ClockPage) {
        let odd = clock.sequence.wrapping_sub(1);
        self.store(0, odd.into());
        for (index, field) in clock.encode().chunks_exact(8).enumerate().skip(1) {
            let word = field.try_into().expect("8 bytes");
            self.store(8 * index, u64::from_le_bytes(word));
            (0..50).for_each(|_| std::hint::spin_loop());
        }
        self.store(0, u64::from(clock.sequence) | u64::from(clock.flags) << 32);
    }

    /// Stores one aligned word; only the odd sequence number comes without flags, which no
    /// reader may use.
    fn store(&self, offset: usize, word: u64) {
        fence(Ordering::SeqCst);
        let place: *mut u64 = self.page.wrapping_add(offset).cast();
        // SAFETY: inside the page, which is mapped and writable; 8 divides the offset.
        unsafe { write_volatile(place, word) };
    }
}

type ClockFunction = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;
type TimeOfDay = unsafe extern "C" fn(*mut libc::timeval, *mut [i32; 2]) -> i32;
type Time = unsafe extern "C" fn(*mut i64) -> i64;
type GetCpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut u8) -> i64;

/// The functions of a mapped image, at the offsets where the C library's loader finds them.
pub(crate) struct Functions {
    clock_gettime: ClockFunction,
    clock_getres: ClockFunction,
    gettimeofday: TimeOfDay,
    time: Time,
    getcpu: GetCpu,
}

impl Functions {
    pub(crate) fn of(mapped: &Mapped) -> Self {
        let image = mapped.page.wrapping_add(PAGE);
        let at = |name| image.wrapping_add(offset_in_image(name));
        Self {
            // SAFETY: the loader found the function of this name there; the type is Linux's.
            clock_gettime: unsafe {
                transmute::<*mut u8, ClockFunction>(at("__vdso_clock_gettime"))
            },
            // SAFETY: as above.
            clock_getres: unsafe { transmute::<*mut u8, ClockFunction>(at("__vdso_clock_getres")) },
            // SAFETY: as above.
            gettimeofday: unsafe { transmute::<*mut u8, TimeOfDay>(at("__vdso_gettimeofday")) },
            // SAFETY: as above.
            time: unsafe { transmute::<*mut u8, Time>(at("__vdso_time")) },
            // SAFETY: as above.
            getcpu: unsafe { transmute::<*mut u8, GetCpu>(at("__vdso_getcpu")) },
        }
    }

    pub(crate) fn clock_gettime(&self, id: i32) -> Result<u64, i32> {
        nanoseconds(self.clock_gettime, id)
    }

    pub(crate) fn clock_getres(&self, id: i32) -> Result<u64, i32> {
        // SAFETY: the function accepts null for the result.
        let without_result = unsafe { (self.clock_getres)(id, null_mut()) };
        let result = nanoseconds(self.clock_getres, id);
        assert_eq!(without_result, result.err().unwrap_or(0));
        result
    }

    pub(crate) fn gettimeofday(&self) -> Result<(i64, i64), i32> {
        let mut time = libc::timeval {
            tv_sec: -1,
            tv_usec: -1,
        };
        let mut zone = [-1; 2];
        // SAFETY: both are valid for writing.
        let result = unsafe { (self.gettimeofday)(&raw mut time, &raw mut zone) };
        assert_eq!(zone, [0; 2]);
        if result < 0 {
            Err(result)
        } else {
            Ok((time.tv_sec, time.tv_usec))
        }
    }

    pub(crate) fn time(&self) -> i64 {
        let mut stored = -1;
        // SAFETY: `stored` is valid for writing.
        let result = unsafe { (self.time)(&raw mut stored) };
        assert_eq!(stored, result);
        result
    }

    pub(crate) fn getcpu(&self) -> Result<u32, i64> {
        let mut cpu = u32::MAX;
        // SAFETY: `cpu` is valid for writing, the others may be null.
        let result = unsafe { (self.getcpu)(&raw mut cpu, null_mut(), null_mut()) };
        if result < 0 { Err(result) } else { Ok(cpu) }
    }
}

fn nanoseconds(function: ClockFunction, id: i32) -> Result<u64, i32> {
    let mut time = libc::timespec {
        tv_sec: -1,
        tv_nsec: -1,
    };
    // SAFETY: `time` is valid for writing.
    let result = unsafe { function(id, &raw mut time) };
    if result < 0 {
        return Err(result);
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Where the C library finds `name` with the version that it asks of a vDSO.
fn offset_in_image(name: &str) -> usize {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(IMAGE).expect("room for a temporary file");
    let path = CString::new(file.path().as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a NUL-terminated path of an object without initialisers.
    let object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!object.is_null(), "the loader does not accept the image");
    let name_text = CString::new(name).expect("no NUL");
    // SAFETY: both texts are NUL-terminated.
    let address = unsafe { dlvsym(object, name_text.as_ptr(), c"LINUX_2.6".as_ptr()) };
    assert!(!address.is_null(), "the loader does not find {name}");
    // SAFETY: all-zero is a valid `Dl_info`.
    let mut info: libc::Dl_info = unsafe { core::mem::zeroed() };
    // SAFETY: `info` is valid for writing.
    assert_ne!(unsafe { libc::dladdr(address, &raw mut info) }, 0);
    address.addr() - info.dli_fbase.addr()
}

unsafe extern "C" {
    // glibc's, which the libc crate does not declare for every target.
    fn dlvsym(
        object: *mut c_void,
        name: *const libc::c_char,
        version: *const libc::c_char,
    ) -> *mut c_void;
}
