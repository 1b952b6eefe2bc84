//! The devices that need no hardware: null(4) and full(4).

use alloc::sync::Arc;
use core::any::Any;

use crate::{Errno, File, FileKind, PAGE_SIZE, Sink, Source, Stat, Tree, device_number};

/// Major number of the memory devices (linux/major.h, `MEM_MAJOR`).
const MEMORY_MAJOR: u32 = 1;

static ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

/// What reading and writing one of the devices does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemoryDevice {
    /// Empty to read, takes what is written.
    Null,
    /// Zeros to read, takes what is written.
    Zero,
    /// Zeros to read, no space to write.
    Full,
}

impl MemoryDevice {
    const ALL: [(&'static [u8], u32, Self); 3] = [
        (b"/dev/null", 3, Self::Null),
        (b"/dev/zero", 5, Self::Zero),
        (b"/dev/full", 7, Self::Full),
    ];
}

impl Tree {
    /// Adds `/dev/null`, `/dev/zero` and `/dev/full`.
    ///
    /// # Errors
    /// `ENOTDIR` if `/dev` is no directory.
    pub fn add_memory_devices(&self) -> Result<(), Errno> {
        for (path, minor, device) in MemoryDevice::ALL {
            let number = device_number(MEMORY_MAJOR, minor);
            let opener = Arc::new(move |_| Ok(Arc::new(device) as Arc<dyn File>));
            self.add_device(path, number, 0o666, opener)?;
        }
        Ok(())
    }
}

/// Seekable, as lseek(2) on these devices succeeds; the position has no meaning.
impl File for MemoryDevice {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::CharDevice)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn read_at(&self, _offset: u64, to: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while *self != Self::Null && to.remaining() > 0 {
            match to.put(&ZEROS) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_at(&self, _offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        match self {
            Self::Full => Err(Errno::ENOSPC),
            Self::Null | Self::Zero => Ok(from.remaining()),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
