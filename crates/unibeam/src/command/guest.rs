//! From an image and the machine's flags to a machine ready to start.

use crate::cli::{MachineArgs, Net};
use crate::error::Error;
use bases::Family;
use bases::osv::{CommandLine, OsvError};
use image::osv::{OsvImage, is_osv};
use image::{ByteRange, DiskImage, ImageError, Medium};
use qemu::{Accel, Boot, Machine, ProbeReport, Profile, Start};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A machine, and how it came to be.
pub(crate) struct Prepared {
    /// The machine, to be started.
    pub(crate) machine: Machine,
    /// Its name.
    pub(crate) name: &'static str,
    /// What the image boots.
    pub(crate) family: Family,
    /// What will execute it.
    pub(crate) accel: Accel,
    /// Why, if that was left to us.
    pub(crate) probe: Option<ProbeReport>,
    /// The disk, which may be a temporary file, for as long as the machine runs.
    _image: Image,
}

/// An image that is a machine's disk.
enum Image {
    Unibeam(DiskImage),
    Osv(OsvImage),
}

impl Image {
    fn open(path: &Path) -> Result<Self, Error> {
        let image = match is_osv(path) {
            Ok(true) => OsvImage::open(path).map(Self::Osv),
            _ => DiskImage::open(path).map(Self::Unibeam),
        };
        image.map_err(|source| not_an_image(path, source))
    }

    fn family(&self) -> Family {
        match self {
            Self::Unibeam(_) => Family::Unibeam,
            Self::Osv(_) => Family::Osv,
        }
    }
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
        let image = Image::open(path)?;
        let family = image.family();
        let profile = profile(args, family)?;
        let name = profile.name;
        let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
        let (boot, words) = match &image {
            Image::Unibeam(image) => (
                boot_unibeam(image, &profile, scratch.path())?,
                words(args, word),
            ),
            Image::Osv(image) => (boot_osv(image, &profile, args, scratch.path())?, Vec::new()),
        };
        let (accel, probe) = qemu::AccelChoice::from(args.accel).decide();
        let machine = Machine::new(profile, boot)
            .accel(accel)
            .memory_mib(args.memory.mib())
            .cpus(args.smp)
            .network(args.net == Net::User)
            .hold(scratch);
        let machine = words.iter().fold(machine, |m, word| m.kernel_word(word));
        Ok(Self {
            machine,
            name,
            family,
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
            self.name, args.smp
        )
    }
}

/// The machine that is asked for, or the usual one for what the image boots.
fn profile(args: &MachineArgs, family: Family) -> Result<Profile, Error> {
    let usual = match family {
        Family::Osv => "osv-pc",
        _ => "kvm-q35",
    };
    let profile = Profile::named(args.machine.as_deref().unwrap_or(usual))?;
    if profile.base == family.name() {
        return Ok(profile);
    }
    Err(Error::WrongMachine {
        name: profile.name,
        base: profile.base,
        family: family.name(),
        usual,
    })
}

/// Words for the kernel's command line.
fn words(args: &MachineArgs, first: Option<String>) -> Vec<String> {
    let words = args.kernel_arg.iter().map(|word| word.0.clone());
    let variables = args.env.iter().map(|variable| variable.kernel_word());
    first.into_iter().chain(words).chain(variables).collect()
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

fn disk(medium: &Medium) -> (PathBuf, &'static str) {
    let (path, format) = medium.qemu_disk();
    (path.to_path_buf(), format)
}

fn boot_unibeam(image: &DiskImage, profile: &Profile, folder: &Path) -> Result<Boot, Error> {
    if profile.start == Start::Disk {
        let (path, format) = disk(image.medium());
        return Ok(Boot::Disk { path, format });
    }
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

/// OSv reads its command line from the disk, or is given it with the kernel: a disk with another one
/// is a copy.
fn boot_osv(
    image: &OsvImage,
    profile: &Profile,
    args: &MachineArgs,
    folder: &Path,
) -> Result<Boot, Error> {
    let cmdline = osv_cmdline(&image.cmdline, args)?;
    let (path, format) = disk(image.medium());
    if profile.start == Start::Kernel {
        return Ok(Boot::Kernel {
            kernel: osv_kernel(image, args, folder)?,
            cmdline,
            disk: path,
            format,
        });
    }
    if !image.boots {
        return Err(Error::NoKernelOnDisk);
    }
    if cmdline == image.cmdline {
        return Ok(Boot::Disk { path, format });
    }
    let copy = folder.join("disk.img");
    let mut file = File::create(&copy).map_err(Error::Scratch)?;
    image.copy_with(&cmdline, &mut file)?;
    Ok(Boot::raw_disk(copy))
}

/// The command line with more options and variables.
fn osv_cmdline(cmdline: &str, args: &MachineArgs) -> Result<String, Error> {
    if args.kernel_arg.is_empty() && args.env.is_empty() {
        return Ok(cmdline.into());
    }
    let mut line = CommandLine::parse(cmdline).map_err(OsvError::from)?;
    let words = args.kernel_arg.iter().map(|word| word.0.clone());
    line.options.extend(words);
    let variables = args.env.iter().map(|v| (v.name.clone(), v.value.clone()));
    line.env.extend(variables);
    Ok(line.emit().map_err(OsvError::from)?)
}

/// The kernel that the machine is given: the one that is named, or that on the disk.
fn osv_kernel(image: &OsvImage, args: &MachineArgs, folder: &Path) -> Result<PathBuf, Error> {
    if let Some(kernel) = &args.kernel {
        return Ok(kernel.clone());
    }
    let kernel = image.kernel()?.ok_or(Error::NoKernelOnDisk)?;
    let path = folder.join("kernel");
    fs::write(&path, kernel).map_err(Error::Scratch)?;
    Ok(path)
}
