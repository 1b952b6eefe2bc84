//! How a run ended: what the guest said, what QEMU said, and whether they agree.

use crate::event::Event;
use boot_contract::{events, status::Ending};
use std::fmt;

/// What the guest itself said about its end, in the `exit` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind of ending.
    pub ending: Ending,
    /// The release's exit status, or the number of the signal that killed it; 0 otherwise.
    pub status: u32,
}

impl Verdict {
    /// Reads an `exit` event; `None` for any other event or an unknown kind.
    pub fn from_event(event: &Event) -> Option<Self> {
        if event.name != events::EXIT {
            return None;
        }
        let ending = Ending::from_name(event.field("kind")?)?;
        let status = event.field("status").map_or(Ok(0), str::parse).ok()?;
        Some(Self { ending, status })
    }

    fn from_qemu_status(code: i32) -> Option<Self> {
        let ending = Ending::ALL
            .into_iter()
            .find(|ending| i32::from(ending.qemu_status()) == code)?;
        Some(Self { ending, status: 0 })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ending, status } = self;
        match ending {
            Ending::Success => write!(f, "the release ended with status 0"),
            Ending::Failure => write!(f, "the release ended with status {status}"),
            Ending::Signal => write!(f, "the release was killed by signal {status}"),
            Ending::Panic => write!(f, "the kernel panicked"),
            Ending::OutOfMemory => write!(f, "the guest ran out of memory"),
            Ending::BadImage => write!(f, "the kernel cannot start what is in the image"),
            Ending::NotConfigured => {
                write!(
                    f,
                    "the release lacks a variable, or its flags make no sense"
                )
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest ended and said how.
    Guest(Verdict),
    /// The guest switched the machine off without saying why.
    PoweredOff,
    /// The guest reset the machine, or faulted three times over.
    Reset,
    /// QEMU was asked to stop, from here or by its user.
    Stopped,
    /// QEMU failed; its own words are on its standard error.
    QemuFailed {
        /// QEMU's exit status.
        code: i32,
        /// What QEMU wrote to its standard error.
        stderr: String,
    },
    /// QEMU was killed.
    QemuKilled {
        /// The signal's number.
        signal: i32,
        /// What QEMU wrote to its standard error.
        stderr: String,
    },
    /// The exit event and QEMU's exit status contradict each other.
    Contradiction {
        /// What the event said.
        event: Ending,
        /// What the exit status said.
        status: Ending,
    },
}

/// Everything known once QEMU is gone.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) verdict: Option<Verdict>,
    /// `reason` of QMP's last SHUTDOWN event (QEMU: qapi/run-state.json, `ShutdownCause`).
    pub(crate) shutdown: Option<String>,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: String,
}

impl Evidence {
    /// Judges; every combination has exactly one answer.
    pub(crate) fn judge(self) -> End {
        let stderr = self.stderr;
        if let Some(signal) = self.signal {
            return End::QemuKilled { signal, stderr };
        }
        let code = self.code.unwrap_or(-1);
        match (self.verdict, Verdict::from_qemu_status(code)) {
            (Some(event), Some(status)) if event.ending != status.ending => End::Contradiction {
                event: event.ending,
                status: status.ending,
            },
            (Some(verdict), _) => End::Guest(verdict),
            (None, Some(verdict)) => End::Guest(verdict),
            (None, None) if code != 0 => End::QemuFailed { code, stderr },
            (None, None) => match self.shutdown.as_deref() {
                Some("guest-reset" | "guest-panic") => End::Reset,
                Some("guest-shutdown") => End::PoweredOff,
                _ => End::Stopped,
            },
        }
    }
}

impl End {
    /// Whether the release ended by itself with status 0.
    pub fn is_success(&self) -> bool {
        matches!(
            self,
            Self::Guest(Verdict {
                ending: Ending::Success,
                ..
            })
        )
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(verdict) => verdict.fmt(f),
            Self::PoweredOff => write!(f, "the guest powered off without naming a reason"),
            Self::Reset => write!(
                f,
                "the guest reset the machine (a triple fault looks the same)"
            ),
            Self::Stopped => write!(f, "QEMU was asked to stop"),
            Self::QemuFailed { code, stderr } => {
                write!(f, "QEMU failed with status {code}: {}", stderr.trim_end())
            }
            Self::QemuKilled { signal, stderr } => {
                write!(
                    f,
                    "QEMU was killed by signal {signal}: {}",
                    stderr.trim_end()
                )
            }
            Self::Contradiction { event, status } => write!(
                f,
                "the guest reported `{}` but QEMU's exit status means `{}`",
                event.name(),
                status.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Evidence, Verdict};
    use crate::event::Event;
    use boot_contract::status::Ending;

    fn verdict(ending: Ending, status: u32) -> Option<Verdict> {
        Some(Verdict { ending, status })
    }

    fn code(ending: Ending) -> Option<i32> {
        Some(ending.qemu_status().into())
    }

    #[test]
    fn an_exit_event_gives_kind_and_status() {
        let event = Event::parse("@unibeam 5 exit kind=signal status=11").unwrap();
        assert_eq!(Verdict::from_event(&event), verdict(Ending::Signal, 11));
        let other = Event::parse("@unibeam 5 kernel-up kind=signal").unwrap();
        assert_eq!(Verdict::from_event(&other), None);
        let unknown = Event::parse("@unibeam 5 exit kind=tired").unwrap();
        assert_eq!(Verdict::from_event(&unknown), None);
    }

    #[test]
    fn agreeing_channels_keep_the_status_of_the_event() {
        let evidence = Evidence {
            verdict: verdict(Ending::Failure, 3),
            code: code(Ending::Failure),
            ..Evidence::default()
        };
        assert_eq!(
            evidence.judge(),
            End::Guest(verdict(Ending::Failure, 3).unwrap())
        );
    }

    #[test]
    fn the_exit_status_alone_is_enough() {
        let evidence = Evidence {
            code: code(Ending::Panic),
            ..Evidence::default()
        };
        assert_eq!(
            evidence.judge(),
            End::Guest(verdict(Ending::Panic, 0).unwrap())
        );
    }

    #[test]
    fn channels_that_disagree_are_no_success() {
        let evidence = Evidence {
            verdict: verdict(Ending::Success, 0),
            code: code(Ending::Panic),
            ..Evidence::default()
        };
        assert!(matches!(evidence.judge(), End::Contradiction { .. }));
    }

    #[test]
    fn a_status_of_qemu_is_not_one_of_the_guest() {
        let evidence = Evidence {
            code: Some(1),
            stderr: "no such file".into(),
            ..Evidence::default()
        };
        assert!(matches!(evidence.judge(), End::QemuFailed { code: 1, .. }));
    }

    #[test]
    fn death_by_signal_wins_over_any_verdict() {
        let evidence = Evidence {
            verdict: verdict(Ending::Success, 0),
            signal: Some(9),
            ..Evidence::default()
        };
        assert!(matches!(
            evidence.judge(),
            End::QemuKilled { signal: 9, .. }
        ));
    }

    #[test]
    fn shutdown_reasons_tell_a_reset_from_a_power_off() {
        let end = |reason: Option<&str>| {
            let shutdown = reason.map(str::to_owned);
            Evidence {
                code: Some(0),
                shutdown,
                ..Evidence::default()
            }
            .judge()
        };
        assert_eq!(end(Some("guest-reset")), End::Reset);
        assert_eq!(end(Some("guest-shutdown")), End::PoweredOff);
        assert_eq!(end(Some("host-qmp-quit")), End::Stopped);
        assert_eq!(end(None), End::Stopped);
    }
}
