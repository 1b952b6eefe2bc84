//! From an image and the machine's flags to a machine ready to start.

use crate::cli::{MachineArgs, Net};
use crate::error::Error;
use image::{ByteRange, DiskImage, ImageError};
use qemu::{Accel, Boot, Machine, ProbeReport, Profile, Start};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A machine, and how it came to be.
pub(crate) struct Prepared {
    /// The machine, to be started.
    pub(crate) machine: Machine,
    /// What will execute it.
    pub(crate) accel: Accel,
    /// Why, if that was left to us.
    pub(crate) probe: Option<ProbeReport>,
    /// The disk, which may be a temporary file, for as long as the machine runs.
    _image: DiskImage,
}

impl Prepared {
    /// Reads the image and builds the machine; what `args` say comes after `word`, and wins.
    ///
    /// # Errors
    /// An unknown machine, or a file that is not an image.
    pub(crate) fn new(
        path: &Path,
        args: &MachineArgs,
        word: Option<String>,
    ) -> Result<Self, Error> {
        let profile = Profile::named(&args.machine)?;
        let image = DiskImage::open(path).map_err(|source| not_an_image(path, source))?;
        let (boot, scratch) = match profile.start {
            Start::Disk => {
                let (path, format) = image.medium().qemu_disk();
                let path = path.to_path_buf();
                (Boot::Disk { path, format }, None)
            }
            Start::Direct => {
                let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
                (direct(&image, scratch.path())?, Some(scratch))
            }
        };
        let (accel, probe) = qemu::AccelChoice::from(args.accel).decide();
        let machine = Machine::new(profile, boot)
            .accel(accel)
            .memory_mib(args.memory.mib())
            .cpus(args.smp)
            .network(args.net == Net::User);
        let words = args.kernel_arg.iter().map(|word| word.0.clone());
        let variables = args.env.iter().map(|variable| variable.kernel_word());
        let machine = word
            .into_iter()
            .chain(words)
            .chain(variables)
            .fold(machine, |m, word| m.kernel_word(&word));
        Ok(Self {
            machine: scratch.into_iter().fold(machine, Machine::hold),
            accel,
            probe,
            _image: image,
        })
    }

    /// One line for people: what runs where.
    pub(crate) fn summary(&self, args: &MachineArgs) -> String {
        let (accel, memory) = (self.accel.name(), args.memory.mib());
        let reason = self
            .probe
            .as_ref()
            .map(|probe| format!(" ({probe})"))
            .unwrap_or_default();
        format!(
            "machine {}, {memory} MiB, {} CPU, {accel}{reason}",
            args.machine, args.smp
        )
    }
}

/// A file that cannot be read stays that; anything else is not an image.
pub(super) fn not_an_image(path: &Path, source: ImageError) -> Error {
    match source {
        ImageError::Input { path, source } => Error::ReadImage { path, source },
        source => Error::NotAnImage {
            path: path.to_path_buf(),
            source,
        },
    }
}

fn direct(image: &DiskImage, folder: &Path) -> Result<Boot, Error> {
    Ok(Boot::Direct {
        kernel: extract(image, image.kernel, folder.join("kernel"))?,
        root: extract(image, image.root, folder.join("root.cpio"))?,
        cmdline: image.cmdline.clone(),
    })
}

fn extract(image: &DiskImage, range: ByteRange, path: PathBuf) -> Result<PathBuf, Error> {
    let mut file = File::create(&path).map_err(Error::Scratch)?;
    image.copy(range, &mut file)?;
    Ok(path)
}
