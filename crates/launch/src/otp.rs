//! What differs between versions of OTP: the one table of it. What is known of the emulator's flags
//! and functions is in `release::otp`, what differs between versions of Elixir in the module
//! `elixir`.
//!
//! Sources: OTP 24.0, 24.3.3, 25.2.3, 26.2.5, 27.3.4.1, 28.5 and 29.0.2; the file of each fact is
//! named beside it.

/// A version of OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Otp {
    /// Its number.
    pub major: u32,
    /// The first number of its run-time system's version.
    pub erts: u32,
    /// The highest opcode that its loader knows (lib/compiler/src/genop.tab).
    pub highest_opcode: u32,
    /// What its `erlexec` does (erts/etc/common/erlexec.c).
    pub erlexec: Erlexec,
}

/// What `erlexec` of one version does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erlexec {
    /// The emulator is told its directory: `-bindir`.
    pub tells_bindir: bool,
    /// `-detached` is passed on, besides what it stands for.
    pub passes_detached_on: bool,
    /// Every command line ends with a separator, and `-extra` hides none.
    pub always_separates: bool,
}

/// The versions that are known, oldest first.
const VERSIONS: [Otp; 6] = [
    version(24, 12, 176),
    version(25, 13, 180),
    version(26, 14, 182),
    version(27, 15, 183),
    version(28, 16, 184),
    version(29, 17, 191),
];

const fn version(major: u32, erts: u32, highest_opcode: u32) -> Otp {
    Otp {
        major,
        erts,
        highest_opcode,
        erlexec: Erlexec {
            tells_bindir: major >= 25,
            passes_detached_on: major >= 26,
            always_separates: major >= 27,
        },
    }
}

impl Otp {
    /// The version whose run-time system has this version; `None` if it is not known.
    pub fn of_erts(erts: &str) -> Option<Self> {
        let first = first_number(erts)?;
        VERSIONS.into_iter().find(|version| version.erts == first)
    }

    /// As [`of_erts`](Self::of_erts); the nearest version that is known, if that one is not.
    pub fn nearest(erts: &str) -> Self {
        let [oldest, .., newest] = VERSIONS;
        let is_older = first_number(erts).is_some_and(|first| first < oldest.erts);
        let nearest = if is_older { oldest } else { newest };
        Self::of_erts(erts).unwrap_or(nearest)
    }
}

fn first_number(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Otp;

    #[test]
    fn versions_are_told_by_the_run_time_system() {
        let of = |erts| Otp::of_erts(erts).map(|otp| (otp.major, otp.highest_opcode));
        assert_eq!(of("13.1.5"), Some((25, 180)));
        assert_eq!(of("15.2.7.1"), Some((27, 183)));
        assert_eq!(of("5.10"), None);
        assert_eq!(of("x"), None);
    }

    #[test]
    fn what_is_not_known_is_like_its_neighbour() {
        assert_eq!(Otp::nearest("11.2").major, 24);
        assert_eq!(Otp::nearest("14.2.5").major, 26);
        assert_eq!(Otp::nearest("99.0").major, 29);
        assert_eq!(Otp::nearest("").major, 29);
    }
}
