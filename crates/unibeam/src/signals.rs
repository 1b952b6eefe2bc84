//! Signals end a wait, so that the guest is stopped before we are.

use qemu::Interrupter;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use tempfile::TempDir;

/// Signals that do not end us any more; they wait until there is a guest.
pub(crate) struct Caught(Signals);

impl Caught {
    /// From now on SIGINT, SIGTERM and SIGHUP do not end this program.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub(crate) fn new() -> io::Result<Self> {
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map(Self)
    }

    /// They interrupt the guest's wait as long as the result lives.
    pub(crate) fn forward(self, interrupter: Interrupter) -> Forwarding {
        let mut signals = self.0;
        let handle = signals.handle();
        thread::spawn(move || {
            for signal in signals.forever() {
                interrupter.interrupt(signal);
            }
        });
        Forwarding(handle)
    }
}

/// A write beyond the limit of file sizes (setrlimit(2)) fails from now on, instead of ending this
/// program with its temporary file left behind.
///
/// # Errors
/// The handler cannot be installed.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// A temporary folder that vanishes also when a signal ends this program.
pub(crate) struct Scratch {
    folder: TempDir,
    watch: Handle,
}

impl Scratch {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made, or the handlers cannot be installed.
    pub(crate) fn new() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let watch = signals.handle();
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_path_buf();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                remove(&path);
                // Only signals that end a program by default are caught, so this does not return.
                let _ = low_level::emulate_default_handler(signal);
            }
        });
        Ok(Self { folder, watch })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.watch.close();
    }
}

/// How often a folder is removed that is still being written to.
const ATTEMPTS: usize = 100;

/// Removes a folder; the program's other threads may be filling it.
fn remove(folder: &Path) {
    let gone = || fs::remove_dir_all(folder).is_ok() || !folder.exists();
    let _ = (0..ATTEMPTS).any(|_| gone());
}

/// Stops forwarding when dropped.
pub(crate) struct Forwarding(Handle);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.close();
    }
}
