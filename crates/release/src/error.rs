//! What can be wrong with a release.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::ArchiveError;
use crate::{app, boot, erlexec, rel, systools, term, vm_args};

/// Why a release cannot be used. Every message names the file, says what was found and expected,
/// and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: {source}; {}", remedy(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that has to be parsed is far larger than any real one.
    #[error("{path} has {size} bytes; a file of this kind has at most {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The path is neither a release's root directory nor a `.rel` file in one.
    #[error(
        "{path} is not a built release: expected a directory with `releases` and `lib`, a `.rel` file, or an archive of one (`.tar.gz`); {}",
        advice(.built)
    )]
    NotARelease {
        /// The path given.
        path: PathBuf,
        /// Releases that were built below it.
        built: Vec<PathBuf>,
    },
    /// An archive is refused.
    #[error("{path}: {error}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        error: Box<ArchiveError>,
    },
    /// The folder for an archive's content cannot be made.
    #[error(
        "cannot make a temporary folder in {path}: {source}; set TMPDIR to a folder with enough space"
    )]
    Scratch {
        /// The folder that it would be in.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something is wrong with a release in an archive.
    #[error("{}", in_archive(.error, .folder, .archive))]
    Packed {
        /// The folder that it was unpacked to.
        folder: PathBuf,
        /// The archive.
        archive: PathBuf,
        /// What is wrong.
        error: Box<Self>,
    },
    /// A path is outside the release.
    #[error("{path} is outside the release {root}")]
    Outside {
        /// The path.
        path: PathBuf,
        /// The release's root directory.
        root: PathBuf,
    },
    /// Several releases, and nothing says which one.
    #[error(
        "{root} holds several releases and nothing says which one is meant; give one of these files instead: {}",
        list_paths(.candidates)
    )]
    Ambiguous {
        /// Root directory.
        root: PathBuf,
        /// The `.rel` files.
        candidates: Vec<PathBuf>,
    },
    /// The release has no emulator.
    #[error(
        "the release has no run-time system: {path} does not exist; build it with ERTS included (relx: `{{include_erts, true}}`, mix: `include_erts: true`), or name the Erlang that it was built with: {}",
        erts_flag(.proposal.as_deref())
    )]
    NoErts {
        /// The emulator expected.
        path: PathBuf,
        /// An installed Erlang that has the version needed.
        proposal: Option<PathBuf>,
    },
    /// A bare `.rel` file comes without an emulator.
    #[error(
        "{rel} is not in a release, so nothing says where its run-time system is: name an Erlang with erts-{version}: {}",
        erts_flag(.proposal.as_deref())
    )]
    NoErtsNamed {
        /// The `.rel` file.
        rel: PathBuf,
        /// Version in the `.rel`.
        version: String,
        /// An installed Erlang that has it.
        proposal: Option<PathBuf>,
    },
    /// An application of a bare `.rel` file is nowhere.
    #[error(
        "{rel} names application {application}, but {}; name the folder with its directory: `--lib-dir DIR`",
        searched(.folders)
    )]
    NoApplication {
        /// The `.rel` file.
        rel: PathBuf,
        /// Name and version.
        application: String,
        /// Where it was looked for.
        folders: Vec<PathBuf>,
    },
    /// Folders of applications for a release that has its own.
    #[error(
        "{path} is a release with applications of its own; `--lib-dir` is for a `.rel` file that is in none"
    )]
    NotBare {
        /// The path given.
        path: PathBuf,
    },
    /// An `.app` file has the wrong shape for a boot script.
    #[error("{path}: {error}; correct the file")]
    Spec {
        /// The file.
        path: PathBuf,
        /// Reason.
        error: systools::SpecError,
    },
    /// The applications of a `.rel` file do not fit together.
    #[error("{rel}: {error}")]
    Script {
        /// The `.rel` file.
        rel: PathBuf,
        /// Reason.
        error: Box<systools::ScriptError>,
    },
    /// Neither an installed Erlang nor a part of one.
    #[error(
        "{path} is no Erlang: expected its root directory (with `erts-VERSION` and `lib`) or its `erts-VERSION`; `erl -noshell -eval 'io:put_chars(code:root_dir()),halt().'` says where one is"
    )]
    NotErts {
        /// The path given.
        path: PathBuf,
    },
    /// An installed Erlang of another version.
    #[error(
        "{path}: found {}, expected {expected}, with which the release was built; name an Erlang of that version",
        .found.join(", ")
    )]
    OtherErts {
        /// The path given.
        path: PathBuf,
        /// `erts-VERSION` that the `.rel` file names.
        expected: String,
        /// What is there.
        found: Vec<String>,
    },
    /// The release's ERTS has another version than the `.rel` says.
    #[error(
        "{rel} needs erts-{expected}, but the release has {}; build the release again",
        .found.join(", ")
    )]
    ErtsVersion {
        /// The `.rel` file.
        rel: PathBuf,
        /// Version in the `.rel`.
        expected: String,
        /// Directories found.
        found: Vec<String>,
    },
    /// The emulator is not a program for this machine type.
    #[error(
        "{path} is {found}, expected an x86-64 ELF program; build the release on (or for) x86-64 Linux"
    )]
    WrongArchitecture {
        /// The emulator.
        path: PathBuf,
        /// What the file is.
        found: String,
    },
    /// An application of the `.rel` is not there.
    #[error("{rel} names application {name} {version}, but {dir} does not exist{elsewhere}")]
    MissingApplication {
        /// The `.rel` file.
        rel: PathBuf,
        /// Application.
        name: String,
        /// Version in the `.rel`.
        version: String,
        /// Directory expected.
        dir: PathBuf,
        /// Where it is instead.
        elsewhere: Box<Elsewhere>,
    },
    /// An `.app` file describes another application or version than the `.rel`.
    #[error(
        "{path} describes {found}, but the `.rel` file names {expected}; build the release again, or correct the `.rel` file"
    )]
    AppMismatch {
        /// The `.app` file.
        path: PathBuf,
        /// Application and version found.
        found: String,
        /// Application and version expected.
        expected: String,
    },
    /// There is no boot script.
    #[error(
        "the release has no boot script: none of {} exists; make it with `systools:make_script/2` or build the release again",
        list_paths(.tried)
    )]
    NoBootScript {
        /// Paths tried.
        tried: Vec<PathBuf>,
    },
    /// A text file of Erlang terms is malformed.
    #[error("{path}:{error}; correct the file, or build the release again")]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        error: term::text::ParseError,
    },
    /// A `.rel` file has the wrong shape.
    #[error("{path}: {error}; build the release again")]
    Rel {
        /// The file.
        path: PathBuf,
        /// Reason.
        error: rel::ShapeError,
    },
    /// An `.app` file has the wrong shape.
    #[error("{path}: {error}; build the release again")]
    App {
        /// The file.
        path: PathBuf,
        /// Reason.
        error: app::ShapeError,
    },
    /// A boot script is malformed.
    #[error("{path}: {error}")]
    Boot {
        /// The file.
        path: PathBuf,
        /// Reason.
        error: boot::BootError,
    },
    /// An arguments file is malformed.
    #[error("{path}:{error}")]
    VmArgs {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        error: vm_args::ParseError,
    },
    /// The emulator flags make no sense to `erlexec`.
    #[error("the release's emulator flags are refused: {0}")]
    Flags(#[from] erlexec::FlagError),
    /// A symbolic link leaves the release.
    #[error(
        "{path} is a symbolic link to {target}, outside the release; copy the file into the release (relx: `{{dev_mode, false}}`)"
    )]
    EscapingSymlink {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// A symbolic link leads nowhere or to itself.
    #[error("{path} is a symbolic link to {target}, which {problem}; remove or repair it")]
    BrokenSymlink {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
        /// `does not exist` or `leads back to itself`.
        problem: &'static str,
    },
    /// A file that is not a file, directory or symbolic link.
    #[error("{path} is a {kind}, which cannot be part of an image; remove it")]
    SpecialFile {
        /// The file.
        path: PathBuf,
        /// Device, socket, FIFO.
        kind: &'static str,
    },
    /// Text that has to be UTF-8 is not.
    #[error("{path} is not UTF-8 text")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// There is no emulator of the type and flavour that the flags name.
    #[error(
        "the release's flags want the emulator {path}, which does not exist; leave out `-emu_flavor` and `-emu_type`, or build the release with it"
    )]
    NoEmulator {
        /// The program.
        path: PathBuf,
    },
    /// A setting of a mix release has a value its start script refuses.
    #[error("RELEASE_DISTRIBUTION is `{0}`, expected `sname`, `name` or `none`")]
    Distribution(String),
    /// A file the start needs would be outside the release.
    #[error("`{0}` is not inside the release; only files of the release are in the image")]
    OutsideRelease(String),
}

/// What there is in place of a missing application.
#[derive(Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Other versions of it in the release, if any.
    Versions(Vec<String>),
    /// The very application in an installed Erlang of the right version.
    Installed(PathBuf),
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Versions(found) if found.is_empty() => write!(f, "; build the release again"),
            Self::Versions(found) => {
                write!(f, " (found: {}); build the release again", found.join(", "))
            }
            Self::Installed(root) => write!(
                f,
                "; build the release again, or take the application from the Erlang that it was built with: {}",
                erts_flag(Some(root))
            ),
        }
    }
}

/// An error whose paths are those in the archive, not those where it was unpacked for a moment.
fn in_archive(error: &Error, folder: &Path, archive: &Path) -> String {
    let folder = folder.display().to_string();
    let archive = archive.display().to_string();
    error.to_string().replace(&folder, &archive)
}

fn advice(built: &[PathBuf]) -> String {
    match built {
        [] => "build the release first (`rebar3 release`, `mix release`)".into(),
        built => format!("did you mean {}?", list_paths(built)),
    }
}

fn list_paths(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    names.join(", ")
}

fn searched(folders: &[PathBuf]) -> String {
    match folders {
        [] => "no folder with applications is known".into(),
        folders => format!("no directory in {} has it", list_paths(folders)),
    }
}

fn erts_flag(proposal: Option<&Path>) -> String {
    match proposal {
        Some(root) => format!("`--erts {}`", root.display()),
        None => "`--erts DIR`".into(),
    }
}

/// What to do about a file that cannot be read.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "give its owner or group the right to read it",
        _ => "check the file system it is on",
    }
}
