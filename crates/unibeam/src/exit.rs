//! The exit statuses; docs/exit-status.md explains them to users.

use boot_contract::status::Ending;
use qemu::{End, Verdict};
use std::process::ExitCode;

/// How this program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well; for `run`, the release ended with status 0.
    Success,
    /// The input is wrong or the output cannot be written; a `test` failed.
    Failure,
    /// The command line is wrong.
    Usage,
    /// `check --strict`: nothing is in the way, but there are warnings.
    Warnings,
    /// `verify`: the image is not what was signed with this key.
    BadSignature,
    /// `run`: the release ended with this status.
    Release(u8),
    /// `run`: the release was killed by this signal.
    Signal(u8),
    /// The kernel panicked.
    Panic,
    /// The guest ran out of memory.
    OutOfMemory,
    /// The kernel found nothing to start in the image.
    BadImage,
    /// The release cannot be started with the variables and flags it was given.
    NotConfigured,
    /// The time limit passed.
    Timeout,
    /// QEMU is missing, failed or was killed.
    Machine,
    /// The guest switched off or reset without a verdict, or contradicted itself.
    NoVerdict,
}

/// Added to the number of a signal, as shells do.
const SIGNAL_BASE: u8 = 128;

impl Exit {
    /// The number the operating system sees.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Warnings => 3,
            Self::BadSignature => 4,
            Self::Release(status) => status,
            Self::Signal(signal) => SIGNAL_BASE | signal,
            Self::NotConfigured => 120,
            Self::Panic => 121,
            Self::OutOfMemory => 122,
            Self::BadImage => 123,
            Self::Timeout => 124,
            Self::Machine => 125,
            Self::NoVerdict => 126,
        }
    }

    /// What `run` ends with after the guest ended so.
    pub(crate) fn from_end(end: &End) -> Self {
        match end {
            End::Guest(verdict) => Self::from_verdict(*verdict),
            End::QemuFailed { .. } | End::QemuKilled { .. } | End::Stopped => Self::Machine,
            End::PoweredOff | End::Reset | End::Contradiction { .. } => Self::NoVerdict,
        }
    }

    fn from_verdict(verdict: Verdict) -> Self {
        // As with `exit(3)`, the low eight bits count; a failure never becomes a success.
        let low = verdict.status.to_le_bytes()[0];
        match verdict.ending {
            Ending::Success => Self::Success,
            Ending::Failure => Self::Release(low.max(1)),
            Ending::Signal => Self::Signal(low),
            Ending::Panic => Self::Panic,
            Ending::OutOfMemory => Self::OutOfMemory,
            Ending::BadImage => Self::BadImage,
            Ending::NotConfigured => Self::NotConfigured,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;
    use boot_contract::status::Ending;
    use qemu::{End, Verdict};

    fn status(ending: Ending, status: u32) -> u8 {
        Exit::from_end(&End::Guest(Verdict { ending, status })).status()
    }

    #[test]
    fn a_release_keeps_its_status() {
        assert_eq!(status(Ending::Success, 0), 0);
        assert_eq!(status(Ending::Failure, 3), 3);
        assert_eq!(status(Ending::Signal, 11), 139);
    }

    #[test]
    fn a_failure_is_never_zero() {
        assert_eq!(status(Ending::Failure, 256), 1);
        assert_eq!(status(Ending::Failure, 0), 1);
        for end in [End::PoweredOff, End::Reset, End::Stopped] {
            assert_ne!(Exit::from_end(&end).status(), 0);
        }
    }

    #[test]
    fn every_status_is_documented() {
        let page = include_str!("../../../docs/exit-status.md");
        for ending in Ending::ALL.into_iter().skip(3) {
            let row = format!("| {} |", status(ending, 0));
            assert!(page.contains(&row), "docs/exit-status.md has no row {row}");
        }
        for exit in [
            Exit::Failure,
            Exit::Usage,
            Exit::Warnings,
            Exit::BadSignature,
            Exit::Timeout,
            Exit::Machine,
            Exit::NoVerdict,
        ] {
            let row = format!("| {} |", exit.status());
            assert!(page.contains(&row), "docs/exit-status.md has no row {row}");
        }
    }
}
