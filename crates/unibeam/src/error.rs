//! Everything that can go wrong, and the exit status it leads to.

use crate::exit::Exit;
use crate::signature::SignatureError;
use image::{EncodingError, ImageError};
use qemu::{ProfileError, StartError, WaitError};
use std::io;
use std::num::ParseIntError;
use std::path::PathBuf;

/// What stopped a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Release(#[from] release::Error),
    #[error(transparent)]
    Erts(#[from] erts::Error),
    #[error(transparent)]
    Base(#[from] bases::Error),
    #[error("this cannot be told to the image: {0}")]
    Osv(#[from] bases::osv::OsvError),
    #[error(transparent)]
    Store(#[from] bases::StoreError),
    #[error(
        "{first}\n`unibeam check {release}` finds everything that is in the way, and says what to do"
    )]
    Unfit { first: Box<Self>, release: String },
    #[error("cannot add {}: {source}", path.display())]
    Added { path: PathBuf, source: io::Error },
    #[error("cannot add a file as {}: expected an absolute path in the guest; name one with --add FILE:PATH", path.display())]
    AddedPlace { path: PathBuf },
    #[error("SOURCE_DATE_EPOCH is `{text}`, expected seconds since 1970 below 2^32")]
    SourceDateEpoch { text: String, source: ParseIntError },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Inspect(#[from] inspect::Error),
    #[error(
        "--diff compares two images or releases, the old one and the new one; only one is named"
    )]
    OneToCompare,
    #[error("two images or releases are named; --diff compares them, everything else takes one")]
    TwoToShow,
    #[error(transparent)]
    Usage(#[from] clap::Error),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    #[error("cannot read the image {}: {source}; `unibeam image RELEASE -o {}` makes one", path.display(), path.display())]
    ReadImage { path: PathBuf, source: io::Error },
    #[error("{} is not an image made by `unibeam image`: {source}", path.display())]
    NotAnImage { path: PathBuf, source: ImageError },
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(
        "machine `{name}` is for images that boot {base}, this one boots {family}; leave --machine out, or name another such as {usual}"
    )]
    WrongMachine {
        name: &'static str,
        base: String,
        family: &'static str,
        usual: &'static str,
    },
    #[error(
        "the image has no kernel: it was made from a kernel, not from a disk; run it with --machine osv-direct --kernel FILE"
    )]
    NoKernelOnDisk,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error("cannot make a temporary copy of the kernel and the root archive in {}; set TMPDIR to a folder with space", std::env::temp_dir().display())]
    Scratch(#[source] io::Error),
    #[error("cannot make a temporary folder in {}; set TMPDIR to a folder with space", std::env::temp_dir().display())]
    ScratchFolder(#[source] io::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    #[error("{} would be written over {}; name different files", path.display(), other.display())]
    SameFile { path: PathBuf, other: PathBuf },
    #[error("{} is in the release, so that it would be part of the next image; name a file outside of {}", path.display(), release.display())]
    InRelease { path: PathBuf, release: PathBuf },
    #[error("cannot write the report")]
    Report(#[source] io::Error),
    #[error("the report is not JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The exit status for this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unfit { first, .. } => first.exit(),
            Self::OneToCompare
            | Self::TwoToShow
            | Self::Usage(_)
            | Self::Encoding(_)
            | Self::SameFile { .. }
            | Self::InRelease { .. } => Exit::Usage,
            Self::Signature(error) if error.is_bad() => Exit::BadSignature,
            Self::Start(_) => Exit::Machine,
            Self::Wait(WaitError::Timeout { .. }) => Exit::Timeout,
            Self::Wait(WaitError::Interrupted { signal }) => Exit::Signal(signal.to_le_bytes()[0]),
            Self::Wait(WaitError::Ended { end, .. }) => match Exit::from_end(end) {
                Exit::Success => Exit::Failure,
                exit => exit,
            },
            _ => Exit::Failure,
        }
    }
}
