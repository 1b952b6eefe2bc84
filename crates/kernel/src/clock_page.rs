//! The vDSO and its clock page, which every process shares.

use alloc::sync::Arc;

use linux_abi::Errno;
use spin::Once;
use vdso::IMAGE;

use crate::clock;
use crate::files;
use crate::memory::{Backing, Memory, PAGE, Placement, Protection};

/// The clock page followed by the image, as a file in memory that processes map.
static FILE: Once<Option<Arc<dyn vfs::File>>> = Once::new();

/// Makes the pages; the clock must be set.
pub(crate) fn init() {
    FILE.call_once(|| {
        let file = files::tree().create_memory_file();
        let mut content = clock::parameters().encode().to_vec();
        content.resize(PAGE as usize, 0);
        content.extend_from_slice(IMAGE);
        file.write(&mut vfs::SliceSource(&content)).ok()?;
        Some(Arc::clone(file.file()))
    });
}

/// Maps the pages; returns the address of the image (`AT_SYSINFO_EHDR`), 0 without one.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn map(memory: &Memory) -> Result<u64, Errno> {
    let Some(file) = FILE.get().and_then(Option::as_ref) else {
        return Ok(0);
    };
    let image = IMAGE.len() as u64;
    let mut map = memory.lock();
    let backing = |offset| Backing::File {
        file: Arc::clone(file),
        offset,
        writable: false,
    };
    let read = Protection::READ;
    let start = map.map(Placement::Hint(0), PAGE + image, read, false, backing(0))?;
    let code = start + PAGE;
    map.map(
        Placement::Fixed(code),
        image,
        read | Protection::EXEC,
        false,
        backing(PAGE),
    )?;
    Ok(code)
}
