//! The nodes in /dev that need the kernel.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use boot_contract::events::{APPLICATION_STARTED, READY_DEVICE};
use spin::Mutex;
use vfs::{Errno, File, FileKind, OpenFlags, Sink, Source, Stat, Tree, device_number};

use crate::{event, random, tty};

/// Adds the nodes to the tree.
///
/// # Errors
/// If a node's directory is no directory in the image.
pub(crate) fn add(tree: &Tree) -> Result<(), Errno> {
    tree.add_memory_devices()?;
    let random =
        || -> vfs::Opener { Arc::new(|_: OpenFlags| Ok(Arc::new(Random) as Arc<dyn File>)) };
    tree.add_device(b"/dev/random", device_number(1, 8), 0o666, random())?;
    tree.add_device(b"/dev/urandom", device_number(1, 9), 0o666, random())?;
    let console =
        || -> vfs::Opener { Arc::new(|_: OpenFlags| Ok(tty::console() as Arc<dyn File>)) };
    tree.add_device(b"/dev/console", tty::CONSOLE_NUMBER, 0o620, console())?;
    tree.add_device(b"/dev/tty", device_number(5, 0), 0o666, console())?;
    tree.add_device(b"/dev/ttyS0", device_number(4, 64), 0o620, console())?;
    let ready: vfs::Opener = Arc::new(|_: OpenFlags| {
        Ok(Arc::new(Ready {
            line: Mutex::new(Vec::new()),
        }) as Arc<dyn File>)
    });
    // Number 240 and up are for local use (admin-guide/devices.txt).
    tree.add_device(READY_DEVICE.as_bytes(), device_number(240, 0), 0o200, ready)?;
    Ok(())
}

fn character_device(rdev: u64) -> Stat {
    Stat {
        rdev,
        permissions: 0o666,
        ..Stat::anonymous(FileKind::CharDevice)
    }
}

/// /dev/random and /dev/urandom, which are the same.
struct Random;

impl File for Random {
    fn stat(&self) -> Stat {
        character_device(device_number(1, 9))
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while to.remaining() > 0 {
            let mut chunk = [0; 256];
            let wanted = chunk.len().min(to.remaining());
            random::fill(&mut chunk[..wanted]);
            match to.put(&chunk[..wanted]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Offered randomness is taken and not used: it could only be as good as what is there.
    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        swallow(from, |_| ())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn swallow(from: &mut dyn Source, mut each: impl FnMut(&[u8])) -> Result<usize, Errno> {
    let mut done = 0;
    let mut chunk = [0; 256];
    while from.remaining() > 0 {
        let count = from.take(&mut chunk)?;
        each(&chunk[..count]);
        done += count;
    }
    Ok(done)
}

/// The device to which the boot script reports that the application has started.
struct Ready {
    line: Mutex<Vec<u8>>,
}

/// Longest line that is looked at.
const LINE_MAX: usize = 128;

impl File for Ready {
    fn stat(&self) -> Stat {
        character_device(device_number(240, 0))
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        let mut line = self.line.lock();
        swallow(from, |bytes| {
            for &byte in bytes {
                if byte != b'\n' {
                    if line.len() < LINE_MAX {
                        line.push(byte);
                    }
                    continue;
                }
                if line.trim_ascii() == APPLICATION_STARTED.as_bytes() {
                    event::report(APPLICATION_STARTED, "");
                }
                line.clear();
            }
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
