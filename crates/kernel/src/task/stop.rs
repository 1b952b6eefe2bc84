//! Stopping and continuing processes (signal(7), "Standard signals"; `WUNTRACED` of waitpid(2)).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_abi::raw::general as raw;
use spin::Mutex;
use vfs::Events;

use super::exit::{FIRST_PROCESS, WaitOptions, child_info};
use super::process::WaitStatus;
use super::{Process, SignalTarget, Task, all_processes, send_signal};

/// The wait status of a process that was continued (`WIFCONTINUED`).
pub(super) const CONTINUED: WaitStatus = 0xffff;
/// Low bits of the wait status of a stopped process, with the signal above (`WIFSTOPPED`).
pub(super) const STOPPED: WaitStatus = 0x7f;

/// Whether a process is stopped, and what its parent has not heard of yet.
#[derive(Default)]
pub(super) struct Stop {
    stopped: AtomicBool,
    report: Mutex<Option<WaitStatus>>,
}

impl Process {
    /// Whether the process is stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.stopped.load(Ordering::Relaxed)
    }

    /// Stops the process because of `signal`. The first one never stops: nobody could continue it.
    pub(super) fn stop(&self, signal: i32) {
        let from_terminal = signal as u32 != raw::SIGSTOP;
        if self.pid() == FIRST_PROCESS || from_terminal && self.group_is_orphaned() {
            return;
        }
        if !self.stop.stopped.swap(true, Ordering::Relaxed) {
            for task in self.threads() {
                task.interrupt();
            }
        }
        self.report((signal as u32) << 8 | STOPPED);
    }

    /// Continues the process if it is stopped.
    pub(super) fn resume(&self) {
        if self.stop.stopped.swap(false, Ordering::Relaxed) {
            self.changed.wake(Events::all());
            self.report(CONTINUED);
        }
    }

    fn report(&self, status: WaitStatus) {
        *self.stop.report.lock() = Some(status);
        let Some(parent) = self.parent() else { return };
        if parent.wants_stop_signals() {
            let info = child_info(self.pid(), raw::SIGCHLD, status);
            send_signal(SignalTarget::Process(&parent), info);
        }
        parent.changed.wake(Events::all());
    }

    /// What wait4(2) reports of the living process; taken unless it is to be kept.
    pub(super) fn stop_report(&self, options: WaitOptions) -> Option<WaitStatus> {
        let mut report = self.stop.report.lock();
        let wanted = match *report {
            Some(CONTINUED) => options.continued,
            Some(_) => options.stopped,
            None => false,
        };
        match wanted {
            false => None,
            true if options.keep => *report,
            true => report.take(),
        }
    }

    /// Whether nobody in the session could continue the process's group: stop signals of a
    /// terminal do nothing then (setpgid(2)).
    fn group_is_orphaned(&self) -> bool {
        let has_keeper = |process: &Arc<Process>| {
            process.parent().is_some_and(|parent| {
                parent.group() != self.group() && parent.session() == self.session()
            })
        };
        let all = all_processes();
        let mut members = all.iter().filter(|other| other.group() == self.group());
        !members.any(has_keeper)
    }
}

impl Task {
    /// Waits until the process is not stopped.
    pub(super) fn wait_while_stopped(self: &Arc<Self>) {
        let process = self.process();
        if process.is_stopped() {
            self.wait_uninterrupted(&process.changed, || !process.is_stopped());
        }
    }
}
