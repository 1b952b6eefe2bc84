//! Which format, and compressed how.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A format of disk images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The disk's bytes as they are; what is 0 is a hole of a sparse file.
    #[default]
    Raw,
    /// QEMU's own, version 3.
    Qcow2,
    /// Hyper-V's older one, of fixed size as Azure demands: raw, and a footer.
    Vhd,
    /// Hyper-V's, of dynamic size.
    Vhdx,
    /// VMware's: sparse in one file, or "stream optimized" if compressed.
    Vmdk,
    /// What Google Compute Engine imports: `disk.raw` in a compressed tar archive.
    Gce,
}

/// A method of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Deflate (RFC 1951), bare or inside gzip or zlib as the format has it.
    Deflate,
}

/// A wish for compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// The best method that the format has.
    Best,
    /// This method.
    With(Compression),
}

/// A format with its compression: a combination that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// The format.
    pub format: Format,
    /// How it is compressed.
    pub compression: Option<Compression>,
}

/// Why a combination does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// The format has no compression.
    #[error(
        "{format} has no compression; leave out --compress, or take --format qcow2 or vmdk, or a raw image named {}.zst",
        path.with_extension("img").display()
    )]
    None {
        /// The format.
        format: Format,
        /// The output.
        path: PathBuf,
    },
    /// The format has another compression.
    #[error("{format} cannot be compressed with {wanted}; it has {has}: --compress={has}")]
    Other {
        /// The format.
        format: Format,
        /// The method asked for.
        wanted: Compression,
        /// The one it has.
        has: Compression,
    },
    /// A compressed raw image whose name does not say so.
    #[error(
        "a compressed raw image is not a disk until it is unpacked, so its name has to say so: -o {path}.zst or -o {path}.gz; --format qcow2 is compressed inside"
    )]
    Name {
        /// The output.
        path: PathBuf,
    },
    /// The name says one method and the flag another.
    #[error("the name of {path} says that it is compressed with {named}, and --compress={wanted}")]
    NamedOther {
        /// The output.
        path: PathBuf,
        /// By its name.
        named: Compression,
        /// By the flag.
        wanted: Compression,
    },
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Qcow2,
        Self::Vhd,
        Self::Vhdx,
        Self::Vmdk,
        Self::Gce,
    ];

    /// Its name, as people type it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Gce => "gce",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Sizes of disks are multiples of this many bytes. Google's documentation of imported images
    /// says 1 GiB.
    pub const fn granule(self) -> u64 {
        match self {
            Self::Gce => 1 << 30,
            _ => 1 << 20,
        }
    }

    /// What a file of this name is expected to be.
    fn of(path: &Path) -> Self {
        Self::said_by(path).unwrap_or_default()
    }

    /// The format that a file's name says, if it does: `.img` may be any.
    pub fn said_by(path: &Path) -> Option<Self> {
        let name = path.as_os_str().to_string_lossy().to_ascii_lowercase();
        let ends = |suffix: &str| name.ends_with(suffix);
        match () {
            () if ends(".tar.gz") || ends(".tgz") => Some(Self::Gce),
            () if ends(".qcow2") => Some(Self::Qcow2),
            () if ends(".vhdx") => Some(Self::Vhdx),
            () if ends(".vhd") => Some(Self::Vhd),
            () if ends(".vmdk") => Some(Self::Vmdk),
            () if ends(".raw") || ends(".zst") || ends(".gz") => Some(Self::Raw),
            () => None,
        }
    }

    /// What `wish` comes to in this format.
    fn compression(
        self,
        wish: Option<Compress>,
        path: &Path,
    ) -> Result<Option<Compression>, EncodingError> {
        match self {
            Self::Raw => raw_compression(wish, path),
            Self::Qcow2 => Ok(wish.map(|wish| wish.or(Compression::Zstd))),
            Self::Vmdk => self.deflate(wish),
            Self::Gce => self.deflate(Some(wish.unwrap_or(Compress::Best))),
            Self::Vhd | Self::Vhdx => match wish {
                None => Ok(None),
                Some(_) => Err(EncodingError::None {
                    format: self,
                    path: path.to_path_buf(),
                }),
            },
        }
    }

    fn deflate(self, wish: Option<Compress>) -> Result<Option<Compression>, EncodingError> {
        let has = Compression::Deflate;
        match wish.map(|wish| wish.or(has)) {
            Some(wanted) if wanted != has => Err(EncodingError::Other {
                format: self,
                wanted,
                has,
            }),
            method => Ok(method),
        }
    }
}

/// A raw image is compressed as its name says.
fn raw_compression(
    wish: Option<Compress>,
    path: &Path,
) -> Result<Option<Compression>, EncodingError> {
    match (Compression::of(path), wish) {
        (None, Some(_)) => Err(EncodingError::Name {
            path: path.to_path_buf(),
        }),
        (Some(named), Some(Compress::With(wanted))) if named != wanted => {
            Err(EncodingError::NamedOther {
                path: path.to_path_buf(),
                named,
                wanted,
            })
        }
        (named, _) => Ok(named),
    }
}

impl Compress {
    fn or(self, best: Compression) -> Compression {
        match self {
            Self::Best => best,
            Self::With(method) => method,
        }
    }
}

impl Compression {
    /// Its name, as people type it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// What the name of a file says.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "zst" => Some(Self::Zstd),
            "gz" => Some(Self::Deflate),
            _ => None,
        }
    }
}

impl Encoding {
    /// From a format (else that of the output's name) and a wish for compression.
    ///
    /// # Errors
    /// There is no such combination.
    pub fn new(
        format: Option<Format>,
        compress: Option<Compress>,
        output: &Path,
    ) -> Result<Self, EncodingError> {
        let format = format.unwrap_or_else(|| Format::of(output));
        Ok(Self {
            format,
            compression: format.compression(compress, output)?,
        })
    }

    /// Whether the disk's bytes are the file's.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.compression {
            Some(method) => write!(f, "{}, compressed with {method}", self.format),
            None => write!(f, "{}", self.format),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compress, Compression, Encoding, EncodingError, Format};
    use std::path::Path;

    fn encoding(name: &str, compress: Option<Compress>) -> Result<Encoding, EncodingError> {
        Encoding::new(None, compress, Path::new(name))
    }

    #[test]
    fn names_say_the_format() {
        let format = |name| encoding(name, None).unwrap().format;
        assert_eq!(format("a.img"), Format::Raw);
        assert_eq!(format("a"), Format::Raw);
        assert_eq!(format("a.img.gz"), Format::Raw);
        assert_eq!(format("a.QCOW2"), Format::Qcow2);
        assert_eq!(format("a.vhd"), Format::Vhd);
        assert_eq!(format("a.vhdx"), Format::Vhdx);
        assert_eq!(format("a.vmdk"), Format::Vmdk);
        assert_eq!(format("a.tar.gz"), Format::Gce);
    }

    #[test]
    fn every_format_has_its_compression() {
        let compressed = |name| encoding(name, Some(Compress::Best)).map(|e| e.compression);
        assert_eq!(compressed("a.img.zst"), Ok(Some(Compression::Zstd)));
        assert_eq!(compressed("a.img.gz"), Ok(Some(Compression::Deflate)));
        assert_eq!(compressed("a.qcow2"), Ok(Some(Compression::Zstd)));
        assert_eq!(compressed("a.vmdk"), Ok(Some(Compression::Deflate)));
        assert_eq!(compressed("a.tar.gz"), Ok(Some(Compression::Deflate)));
        for name in ["a.img", "a.vhd", "a.vhdx"] {
            assert!(compressed(name).is_err(), "{name}");
        }
        let zstd = Some(Compress::With(Compression::Zstd));
        for name in ["a.img.gz", "a.vmdk", "a.tar.gz"] {
            assert!(encoding(name, zstd).is_err(), "{name}");
        }
    }

    #[test]
    fn names_of_formats_are_read_back() {
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        }
        assert_eq!(Format::named("iso"), None);
    }
}
