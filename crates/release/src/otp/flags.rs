//! The emulator's flags (`+FLAG`), by version of the run-time system.
//!
//! Sources: OTP 24.0, 24.3.3, 25.2.3, 26.2.5, 27.3.4.1, 28.5 and 29.0.2 (ERTS 12.0 to 17.0.2),
//! erts/emulator/beam/erl_init.c (`early_init`, `erl_start`), erl_alloc.c (`handle_args`,
//! `handle_au_arg`) and erts/emulator/sys/common/erl_check_io.c (`erts_init_check_io`); for what came
//! with a smaller version, erts/doc/notes.md of OTP 29. Nothing that people use was removed.

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
const NEWEST: [u32; 3] = [17, 0, 2];

/// Flags that came later, with the first run-time system and the OTP that have them.
const LATER: [(&str, [u32; 3], &str); 15] = [
    ("Mdai", [12, 2, 0], "24.2"),
    ("zosrl", [12, 2, 0], "24.2"),
    ("IOs", [13, 0, 0], "25"),
    ("ssrct", [13, 0, 0], "25"),
    ("JMsingle", [14, 0, 0], "26"),
    ("hmaxib", [14, 0, 0], "26"),
    ("pad", [14, 0, 0], "26"),
    ("JPcover", [15, 0, 0], "27"),
    ("MMlp", [15, 0, 0], "27"),
    ("zhft", [15, 0, 0], "27"),
    ("D", [16, 0, 0], "28"),
    ("Dibpl", [16, 0, 0], "28"),
    ("JPperfdirectory", [16, 0, 0], "28"),
    ("Mumadtn", [16, 1, 0], "28.1"),
    ("Muacful", [13, 1, 2], "25.1.2"),
];

/// Flags whose value may follow in the same word, so that each stands for all words that begin
/// with it.
const FLAGS: [&str; 79] = [
    "A", "B", "C", "H", "IOPp", "IOPt", "IOp", "IOt", "JDdump", "JPperf", "K", "L", "MIscs",
    "MMamcbf", "MMmcs", "MMrmcbf", "MMsco", "MMscrfsd", "MMscrpm", "MMscs", "MYe", "MYm", "MYtp",
    "MYtt", "Mea", "Mlpm", "Mummc", "Musac", "Muycs", "P", "Q", "R", "SDPcpu", "SDcpu", "SDio",
    "SP", "T", "V", "W", "a", "c", "d", "e", "fn", "hmax", "hmaxel", "hmaxk", "hmbs", "hmqd",
    "hms", "hpds", "i", "n", "pc", "r", "sbt", "sbwt", "sbwtdcpu", "sbwtdio", "scl", "sct",
    "secio", "sfwi", "spp", "sss", "sssdcpu", "sssdio", "stbt", "sub", "swct", "sws", "swt",
    "swtdcpu", "swtdio", "t", "v", "zdbbl", "zdntgc", "zebwt",
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
    let later = LATER.iter().find(|(name, ..)| is_named(flag, name));
    if let Some((_, first, otp)) = later {
        return if version >= *first {
            Knowledge::Exists
        } else {
            Knowledge::Later(otp)
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

/// Whether a flag is this one of [`LATER`].
fn is_named(flag: &str, name: &str) -> bool {
    match name {
        // Without a value, unlike those that begin so.
        "D" => flag == name,
        // Of any allocator.
        "Muacful" => allocator_flag(flag).is_some_and(|rest| rest.starts_with("acful")),
        _ => flag.starts_with(name),
    }
}

/// What a flag says of one of the allocators, or of all.
fn allocator_flag(flag: &str) -> Option<&str> {
    let rest = flag.strip_prefix('M')?;
    let allocator = rest.bytes().next()?;
    ALLOCATORS.contains(&allocator).then(|| &rest[1..])
}

fn is_allocator_flag(flag: &str) -> bool {
    let rest = allocator_flag(flag);
    rest.is_some_and(|rest| ALLOCATOR_FLAGS.iter().any(|name| rest.starts_with(name)))
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
            assert_eq!(knowledge(flag, "17.1"), Knowledge::Unknown, "{flag}");
        }
        for (flag, before, otp, since) in [
            ("hmaxib", "13.1.5", "26", "14.0"),
            ("MBacful", "13.1", "25.1.2", "13.1.2"),
            ("zosrl8", "12.1.5", "24.2", "12.2"),
            ("Mumadtn", "16.0.3", "28.1", "16.1"),
            ("D", "15.2.7", "28", "16.0"),
        ] {
            assert_eq!(knowledge(flag, before), Knowledge::Later(otp), "{flag}");
            assert_eq!(knowledge(flag, since), Knowledge::Exists, "{flag}");
        }
        assert_eq!(knowledge("Dx", "16.0"), Knowledge::None);
    }
}
