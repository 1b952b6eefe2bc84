//! Frames as the pages of files.

use alloc::sync::Arc;
use core::any::Any;

use linux_abi::Errno;
use machine::mem::Frame;
use vfs::{PageMemory, PageSource};

/// A frame that holds a page of a file.
struct FramePage(Frame);

impl PageMemory for FramePage {
    fn read(&self, offset: usize, to: &mut [u8]) {
        self.0.read(offset, to);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.write(offset, from);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Gives files in memory their pages, so that they can be mapped.
pub(crate) struct FramePages;

/// Memory that processes and files do not get, so that the kernel can still serve them when they
/// have used up the rest.
const KERNEL_RESERVE: u64 = 1 << 20;

/// A frame of zeros for a process or file; `None` when memory is out.
pub(crate) fn new_frame() -> Option<Frame> {
    let enough = machine::mem::statistics().free > KERNEL_RESERVE;
    enough.then(Frame::zeroed).flatten()
}

impl PageSource for FramePages {
    fn allocate(&self) -> Result<Arc<dyn PageMemory>, Errno> {
        let frame = new_frame().ok_or(Errno::ENOSPC)?;
        Ok(Arc::new(FramePage(frame)))
    }
}

/// The frame behind a page of a file.
pub(crate) fn frame_of(page: &Arc<dyn PageMemory>) -> Option<Frame> {
    page.as_any()
        .downcast_ref::<FramePage>()
        .map(|page| page.0.clone())
}
