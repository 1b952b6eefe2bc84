//! The emulator's flags (`+FLAG`), by version of the run-time system.
//!
//! Sources: OTP 25.2.3 (ERTS 13.1.5) and 27.3.4.1 (ERTS 15.2.7), erts/emulator/beam/erl_init.c
//! (`early_init`, `erl_start`), erl_alloc.c (`handle_args`, `handle_au_arg`) and
//! erts/emulator/sys/common/erl_check_io.c (`erts_init_check_io`). Nothing was removed between the
//! two. What OTP 25 has is taken for granted in OTP 24.

/// What is known of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// The run-time system has it.
    Exists,
    /// This one does not; this OTP does.
    Later(&'static str),
    /// It does not exist.
    None,
    /// The run-time system is newer than this table, and so the flag may be.
    Unknown,
}

/// The newest run-time system whose sources were read.
const NEWEST: [u32; 3] = [15, 2, 7];

/// The newest run-time system that is known to lack the flags in [`LATER`].
const WITHOUT: [u32; 3] = [13, 1, 5];

/// Flags that came later, and an OTP that has them.
const LATER: [(&str, &str); 6] = [
    ("hmaxib", "27"),
    ("JMsingle", "27"),
    ("JPcover", "27"),
    ("MMlp", "27"),
    ("pad", "27"),
    ("zhft", "27"),
];

/// Flags whose value may follow in the same word, so that each stands for all words that begin
/// with it.
const FLAGS: [&str; 83] = [
    "A", "B", "C", "H", "IOPp", "IOPt", "IOp", "IOs", "IOt", "JDdump", "JPperf", "K", "L", "MIscs",
    "MMamcbf", "MMmcs", "MMrmcbf", "MMsco", "MMscrfsd", "MMscrpm", "MMscs", "MYe", "MYm", "MYtp",
    "MYtt", "Mdai", "Mea", "Mlpm", "Mummc", "Musac", "Muycs", "P", "Q", "R", "SDPcpu", "SDcpu",
    "SDio", "SP", "T", "V", "W", "a", "c", "d", "e", "fn", "hmax", "hmaxel", "hmaxk", "hmbs",
    "hmqd", "hms", "hpds", "i", "n", "pc", "r", "sbt", "sbwt", "sbwtdcpu", "sbwtdio", "scl", "sct",
    "secio", "sfwi", "spp", "ssrct", "sss", "sssdcpu", "sssdio", "stbt", "sub", "swct", "sws",
    "swt", "swtdcpu", "swtdio", "t", "v", "zdbbl", "zdntgc", "zebwt", "zosrl",
];

/// Flags that are followed by a number, in the same word or not.
const COUNTS: [&str; 2] = ["S", "h"];

/// Letters of the allocators of `alloc_util` (erts_alloc(3)); `u` is all of them.
const ALLOCATORS: &[u8] = b"BDEFHILRSTZu";

/// What can be said of each of these allocators: `+MBsbct 512`.
const ALLOCATOR_FLAGS: [&str; 22] = [
    "acful", "acfml", "acnl", "acul", "as", "asbcst", "atags", "cp", "e", "lmbcs", "mbcgs", "mbsd",
    "mmbcs", "mmmbc", "mmsbc", "ramv", "rmbcmt", "rsbcmt", "rsbcst", "sbct", "smbcs", "t",
];

/// What is known of the flag `+FLAG`, which may have its value in the same word, in a run-time
/// system of this version.
pub fn knowledge(flag: &str, erts: &str) -> Knowledge {
    let version = version(erts);
    if let Some((_, since)) = LATER.iter().find(|(name, _)| flag.starts_with(name)) {
        return if version > WITHOUT {
            Knowledge::Exists
        } else {
            Knowledge::Later(since)
        };
    }
    if exists(flag) {
        Knowledge::Exists
    } else if version > NEWEST {
        Knowledge::Unknown
    } else {
        Knowledge::None
    }
}

fn exists(flag: &str) -> bool {
    let begins = |names: &[&str]| names.iter().any(|name| flag.starts_with(name));
    let is_count =
        |rest: &str| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == ':');
    begins(&FLAGS)
        || COUNTS
            .iter()
            .any(|name| flag.strip_prefix(name).is_some_and(is_count))
        || is_allocator_flag(flag)
}

fn is_allocator_flag(flag: &str) -> bool {
    let Some([allocator, rest @ ..]) = flag.strip_prefix('M').map(str::as_bytes) else {
        return false;
    };
    let mut names = ALLOCATOR_FLAGS.iter();
    ALLOCATORS.contains(allocator) && names.any(|name| rest.starts_with(name.as_bytes()))
}

/// The first three numbers of a version; what is missing is 0.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, Knowledge, knowledge, version};

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("13.1.5") < version("13.10"));
        assert!(version("15.2.7.1") >= version("15.2.7"));
    }

    #[test]
    fn flags_are_known_by_version() {
        for flag in FLAGS.iter().chain(&["S", "S4:4", "h233", "MBsbct", "Mut"]) {
            assert_eq!(knowledge(flag, "12.0"), Knowledge::Exists, "{flag}");
        }
        for flag in [
            "w", "x", "sfoo", "zfoo", "hfoo", "Sx", "MBfoo", "Mfoo", "JMx", "", "px",
        ] {
            assert_eq!(knowledge(flag, "15.2.7"), Knowledge::None, "{flag}");
            assert_eq!(knowledge(flag, "16.0"), Knowledge::Unknown, "{flag}");
        }
        assert_eq!(knowledge("hmaxib", "13.1.5"), Knowledge::Later("27"));
        assert_eq!(knowledge("hmaxib", "15.2.7"), Knowledge::Exists);
    }
}
