//! Page faults: giving a mapping its pages when they are first touched.

use linux_abi::Errno;
use machine::mem::{Frame, OutOfMemory, UserPage};
use vfs::{File, VecSink};

use super::map::MemoryMap;
use super::vma::{Backing, Protection, Vma};
use super::{PAGE, page};

/// What an access wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Load.
    Read,
    /// Store.
    Write,
    /// Instruction fetch.
    Execute,
}

impl Access {
    fn needs(self) -> Protection {
        match self {
            Self::Read => Protection::READ,
            Self::Write => Protection::WRITE,
            Self::Execute => Protection::EXEC,
        }
    }
}

/// How far below the main stack an access makes it grow: its limit of 8 MiB (`RLIMIT_STACK`).
const STACK_LIMIT: u64 = 8 << 20;

/// Unmapped bytes that stay below the main stack (`stack_guard_gap` of Linux: 256 pages).
const STACK_GUARD: u64 = 256 * PAGE;

/// Pages given at once when an anonymous mapping is touched: fewer faults for memory that
/// programs fill from the bottom up.
const ANONYMOUS_AROUND: u64 = 4;
/// Pages of a file mapped at once, where they need no copy.
const FILE_AROUND: u64 = 16;

impl MemoryMap {
    /// Makes the page of `address` accessible.
    ///
    /// # Errors
    /// `EFAULT` if there is no mapping and `EACCES` if it does not allow that (both SIGSEGV),
    /// `ENOMEM` when memory is out, `EIO` for a page beyond the end of its file (SIGBUS).
    pub(crate) fn fault(&mut self, address: u64, access: Access) -> Result<(), Errno> {
        let page = UserPage::containing(address).ok_or(Errno::EFAULT)?;
        let vma = match self.find(address) {
            Some(vma) => vma,
            None => self.grow_stack(address).ok_or(Errno::EFAULT)?,
        };
        // A write needs no PROT_READ on x86, but anything readable needs some permission.
        let allowed = vma.protection.contains(access.needs())
            || access == Access::Read && !vma.protection.is_empty();
        if !allowed {
            return Err(Errno::EACCES);
        }
        let vma = vma.clone();
        match self.table.frame_at(page) {
            Some((frame, writable)) => self.refault(&vma, page, frame, writable, access),
            None => self.populate(&vma, page, access),
        }
    }

    /// The page is there but did not allow the access: copy-on-write, or a stale translation.
    fn refault(
        &mut self,
        vma: &Vma,
        page: UserPage,
        frame: Frame,
        writable: bool,
        access: Access,
    ) -> Result<(), Errno> {
        let flags = vma.protection.page_flags();
        if access != Access::Write || writable {
            return self.table.map(page, frame, flags).map_err(no_memory);
        }
        // One reference is the table's, one is `frame`.
        if vma.shared || frame.references() == 2 {
            let at = page.address();
            self.table.protect_range(at, at + PAGE, flags, true);
            return Ok(());
        }
        let copy = frame.duplicate().ok_or(Errno::ENOMEM)?;
        self.table.map(page, copy, flags).map_err(no_memory)
    }

    /// First touch of a page.
    fn populate(&mut self, vma: &Vma, page: UserPage, access: Access) -> Result<(), Errno> {
        match &vma.backing {
            Backing::Anonymous => self.populate_anonymous(vma, page),
            Backing::File { file, offset, .. } => {
                let offset = offset + (page.address() - vma.start);
                self.populate_file(vma, page, access, file.as_ref(), offset)
            }
        }
    }

    fn populate_anonymous(&mut self, vma: &Vma, page: UserPage) -> Result<(), Errno> {
        let flags = vma.protection.page_flags();
        let count = ANONYMOUS_AROUND.min((vma.end - page.address()) / PAGE);
        match self.table.fill(page, count, flags, |_| page::new_frame()) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(OutOfMemory) => Err(Errno::ENOMEM),
        }
    }

    fn populate_file(
        &mut self,
        vma: &Vma,
        page: UserPage,
        access: Access,
        file: &dyn File,
        offset: u64,
    ) -> Result<(), Errno> {
        let mut flags = vma.protection.page_flags();
        if vma.shared {
            // Inside of the file, only memory can be missing.
            let page_of_file = file.page(offset / PAGE, true);
            let page_of_file = page_of_file.ok_or_else(|| match offset < file.stat().size {
                true => Errno::ENOMEM,
                false => Errno::EIO,
            })?;
            let frame = page::frame_of(&page_of_file).ok_or(Errno::EIO)?;
            return self.table.map(page, frame, flags).map_err(no_memory);
        }
        if access != Access::Write {
            flags.write = false;
            if self.map_in_place(vma, page, file, offset) {
                return Ok(());
            }
        }
        flags.write = vma.protection.contains(Protection::WRITE);
        let frame = copy_of_file_page(file, offset)?;
        self.table.map(page, frame, flags).map_err(no_memory)
    }

    /// Maps pages of the root archive, or of a file in memory, without copying them.
    fn map_in_place(&mut self, vma: &Vma, page: UserPage, file: &dyn File, offset: u64) -> bool {
        let mut flags = vma.protection.page_flags();
        flags.write = false;
        let count = FILE_AROUND.min((vma.end - page.address()) / PAGE);
        let archive = file.archive_range();
        let supply = |index| {
            let at = offset + index * PAGE;
            match archive {
                Some(bytes) => frame_of_archive(bytes, at),
                None => page::frame_of(&file.page(at / PAGE, false)?),
            }
        };
        let filled = self.table.fill(page, count, flags, supply);
        filled.is_ok_and(|count| count > 0)
    }

    /// Extends the main stack down to `address` if it is just below it.
    fn grow_stack(&mut self, address: u64) -> Option<&Vma> {
        let (&start, vma) = self.vmas.range(address..).next()?;
        if !vma.grows_down || vma.end - address > STACK_LIMIT {
            return None;
        }
        let below = self
            .vmas
            .range(..start)
            .next_back()
            .map_or(0, |(_, below)| below.end);
        let new_start = super::page_down(address);
        if new_start < below + STACK_GUARD {
            return None;
        }
        let mut vma = self.vmas.remove(&start)?;
        vma.start = new_start;
        Some(self.vmas.entry(new_start).or_insert(vma))
    }
}

/// The frame that holds a whole page of a file in the root archive.
fn frame_of_archive(file: &'static [u8], offset: u64) -> Option<Frame> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(PAGE as usize)?;
    Frame::of_boot_module(file.get(start..end)?)
}

/// A new frame with the content of a file from `offset`, zeros behind its end.
fn copy_of_file_page(file: &dyn File, offset: u64) -> Result<Frame, Errno> {
    let frame = page::new_frame().ok_or(Errno::ENOMEM)?;
    if let Some(bytes) = file.archive_range() {
        let start = usize::try_from(offset).map_err(|_| Errno::EIO)?;
        let rest = bytes
            .get(start..)
            .filter(|rest| !rest.is_empty())
            .ok_or(Errno::EIO)?;
        frame.write(0, &rest[..rest.len().min(PAGE as usize)]);
        return Ok(frame);
    }
    let mut sink = VecSink::new(PAGE as usize);
    file.read_at(offset, &mut sink)?;
    let bytes = sink.into_bytes();
    if bytes.is_empty() {
        return Err(Errno::EIO);
    }
    frame.write(0, &bytes);
    Ok(frame)
}

fn no_memory(_: OutOfMemory) -> Errno {
    Errno::ENOMEM
}
