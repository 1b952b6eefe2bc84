//! What differs between versions of OTP.

pub mod flags;

/// A version of OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Otp {
    /// Its number.
    pub major: u32,
    /// The first number of its run-time system's version.
    pub erts: u32,
    /// The highest opcode that its loader knows (lib/compiler/src/genop.tab).
    pub highest_opcode: u32,
}

/// The versions that are known, oldest first.
const VERSIONS: [Otp; 6] = [
    version(24, 12, 176),
    version(25, 13, 180),
    version(26, 14, 182),
    version(27, 15, 183),
    version(28, 16, 184),
    version(29, 17, 187),
];

const fn version(major: u32, erts: u32, highest_opcode: u32) -> Otp {
    Otp {
        major,
        erts,
        highest_opcode,
    }
}

impl Otp {
    /// The version whose run-time system has this version; `None` if it is not known.
    pub fn of_erts(erts: &str) -> Option<Self> {
        let first = erts.split('.').next()?.parse().ok()?;
        VERSIONS.into_iter().find(|version| version.erts == first)
    }
}

/// Functions of the module `erlang`, which is in the emulator, that are new in OTP 28 or 29
/// (erts/preloaded/src/erlang.erl of OTP 29 beside that of OTP 27.3).
const NEW_BIFS: [(&str, u32); 6] = [
    ("exit", 3),
    ("hibernate", 0),
    ("is_integer", 3),
    ("link", 2),
    ("processes_iterator", 0),
    ("processes_next", 1),
];

/// The newest OTP that is known to lack them.
const WITHOUT_NEW_BIFS: u32 = 27;

/// Whether the module `erlang` may have a function: `false` only if it is known not to.
pub fn has_bif(function: &str, arity: u32, erts: &str) -> bool {
    let is_new = NEW_BIFS.contains(&(function, arity));
    let lacks = Otp::of_erts(erts).is_some_and(|otp| otp.major <= WITHOUT_NEW_BIFS);
    !(is_new && lacks)
}

#[cfg(test)]
mod tests {
    use super::{Otp, has_bif};

    #[test]
    fn versions_are_told_by_the_run_time_system() {
        let of = |erts| Otp::of_erts(erts).map(|otp| (otp.major, otp.highest_opcode));
        assert_eq!(of("13.1.5"), Some((25, 180)));
        assert_eq!(of("15.2.7.1"), Some((27, 183)));
        assert_eq!(of("5.10"), None);
        assert_eq!(of("x"), None);
    }

    #[test]
    fn new_functions_are_not_in_old_systems() {
        assert!(has_bif("link", 1, "13.1.5"));
        assert!(!has_bif("link", 2, "13.1.5"));
        assert!(has_bif("link", 2, "16.0"));
    }
}
