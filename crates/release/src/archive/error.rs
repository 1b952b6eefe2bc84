//! Why an archive is refused.

use std::io;
use std::path::PathBuf;

/// What is wrong with an archive. Members are named as the archive names them.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Another kind of file.
    #[error(
        "not a tar archive, nor one that gzip compressed; give the archive that `rebar3 tar`, `mix release` or `systools:make_tar` made"
    )]
    NotTar,
    /// It ends too early.
    #[error(
        "the archive is cut off{}; copy it again, or make it anew",
        .member.as_ref().map(|member| format!(" behind {}", shown(member))).unwrap_or_default()
    )]
    Truncated {
        /// The last member that begins in it.
        member: Option<Vec<u8>>,
    },
    /// Its bytes were changed.
    #[error("the archive is damaged: {0}; copy it again, or make it anew")]
    Damaged(io::Error),
    /// A name that leads elsewhere, or nowhere.
    #[error("its member {} {problem}; make the archive of the release's folder with relative names", shown(.member))]
    Name {
        /// The member.
        member: Vec<u8>,
        /// What is wrong with its name.
        problem: NameProblem,
    },
    /// A link to something outside.
    #[error(
        "its member {} is a link to {}, which leads out of the archive; make it of files instead of links (`tar --dereference`, relx: `{{dev_mode, false}}`)",
        shown(.member), shown(.target)
    )]
    LinkOut {
        /// The link.
        member: Vec<u8>,
        /// Where it leads.
        target: Vec<u8>,
    },
    /// A hard link to something that is not an earlier file of the archive.
    #[error(
        "its member {} is a hard link to {}, which is no file before it in the archive; make the archive anew",
        shown(.member), shown(.target)
    )]
    HardLink {
        /// The link.
        member: Vec<u8>,
        /// Where it leads.
        target: Vec<u8>,
    },
    /// Something that no release has.
    #[error("its member {} is {kind}, which no release has; make the archive without it", shown(.member))]
    Kind {
        /// The member.
        member: Vec<u8>,
        /// A device, say.
        kind: &'static str,
    },
    /// Two members of one name.
    #[error("its member {} is in it twice, and it is unknown which one counts; make the archive anew", shown(.member))]
    Duplicate {
        /// The member.
        member: Vec<u8>,
    },
    /// A member below another that is no folder.
    #[error("its member {} is below something that is not a folder; make the archive anew", shown(.member))]
    NotAFolder {
        /// The member.
        member: Vec<u8>,
    },
    /// Too many members.
    #[error("it has more than {limit} members; no release has that many")]
    Members {
        /// How many are accepted.
        limit: u64,
    },
    /// Too many bytes.
    #[error(
        "unpacked it has more than {limit} bytes, which is far too much for an archive of {size} bytes; no release shrinks so far"
    )]
    TooLarge {
        /// How many bytes are accepted.
        limit: u64,
        /// The archive's own size.
        size: u64,
    },
    /// The folder for it cannot be written.
    #[error("cannot unpack it to {}: {source}; set TMPDIR to a folder with enough space", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is wrong with the name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// It starts with `/`.
    #[error("has an absolute name")]
    Absolute,
    /// It has a component `..`.
    #[error("has `..` in its name")]
    Parent,
    /// It has no name, or one with a zero byte.
    #[error("has no proper name")]
    Improper,
    /// It is longer than any path may be.
    #[error("has a name that is too long")]
    TooLong,
}

/// Letters of a member's name that are shown: enough to find it.
const SHOWN: usize = 200;

/// A member's name for people; a hostile one must not reach the terminal as it is.
fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let start: String = text.chars().take(SHOWN).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", start.escape_debug())
}
