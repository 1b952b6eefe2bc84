//! Signals end a wait, so that the guest is stopped before we are.

use qemu::Interrupter;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

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

/// Stops forwarding when dropped.
pub(crate) struct Forwarding(Handle);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.close();
    }
}
