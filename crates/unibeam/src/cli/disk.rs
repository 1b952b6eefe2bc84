//! The disk: how large it is, and how it is written.

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use image::{Compress, Compression, DiskSpec, Encoding, EncodingError, Format};
use std::path::Path;

use super::DiskSize;

/// The disk an image is.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DiskArgs {
    /// The file's format [default: what the name of the output ends in, else raw]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<Format>,

    /// Compress the image, by this method or the best that the format has; a raw one is named
    /// FILE.zst or FILE.gz and unpacked before it can be used
    #[arg(long, value_name = "METHOD", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "best")]
    pub(crate) compress: Option<CompressArg>,

    /// Size of the whole disk, in MiB or with a suffix M, G or T [default: the smallest possible]
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<DiskSize>,

    /// Add an empty partition of this size for data
    #[arg(long, value_name = "SIZE")]
    pub(crate) data: Option<DiskSize>,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .map(|name| Format::named(&name).unwrap_or_default())
}

/// A method of compression, or the choice of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressArg {
    Best,
    Zstd,
    Deflate,
}

impl From<CompressArg> for Compress {
    fn from(arg: CompressArg) -> Self {
        match arg {
            CompressArg::Best => Self::Best,
            CompressArg::Zstd => Self::With(Compression::Zstd),
            CompressArg::Deflate => Self::With(Compression::Deflate),
        }
    }
}

impl DiskArgs {
    /// The disk in a file of this name.
    ///
    /// # Errors
    /// Format and compression do not go together.
    pub(crate) fn spec(&self, output: &Path) -> Result<DiskSpec, EncodingError> {
        Ok(DiskSpec {
            size: self.size.map(DiskSize::bytes),
            data: self.data.map(DiskSize::bytes),
            encoding: Encoding::new(self.format, self.compress.map(Into::into), output)?,
        })
    }
}
