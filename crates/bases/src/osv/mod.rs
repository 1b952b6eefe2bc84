//! OSv, a unikernel in a file of the user's: it runs the release's emulator as it is, without a
//! second process.
//!
//! [`Osv`] is such a file. What it is told at boot is a [`CommandLine`]; the emulator is loaded in
//! one of two [`LaunchMode`]s, and beside it goes a small library of ours
//! (`osv_shim::LIBRARY`) that stands in for what OSv lacks.

mod command_line;
mod facts;
mod libraries;
mod mode;
mod root;
mod start;
mod symbols;

use std::path::{Path, PathBuf};

use boot_contract::forker;
use erts::elf::ElfError;
use image::osv::{self, BaseFile, OsvSpec};
use image::{ImageError, Plan, Progress, Report};
use launch::otp::Otp;
use release::{GuestPath, Note, Start, TreeEntry, tree};

use crate::{Base, Content, Disk, Error, Family, Layout, Objection};

pub use command_line::{CommandLine, CommandLineError, LENGTH_MAX};
pub use facts::{Facts, Version};
pub use mode::LaunchMode;
pub use symbols::MissingSymbol;

/// Where our library is in the guest.
const SHIM: &str = "/usr/lib/libunibeam.so";

/// Why a release does not run on an OSv kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OsvError {
    /// The kernel cannot be read.
    #[error("the OSv kernel in {} is not usable: {error}", path.display())]
    Kernel {
        /// The base.
        path: PathBuf,
        /// Why.
        error: ElfError,
    },
    /// The kernel is older than the root's format.
    #[error("{} holds OSv {version}, which cannot read the image's root; expected v0.51.0 or later", path.display())]
    TooOld {
        /// The base.
        path: PathBuf,
        /// Its version.
        version: Version,
    },
    /// The kernel cannot load programs in the way that was asked for.
    #[error(
        "OSv {version} cannot run Linux's dynamic linker; use a later kernel than v0.57.0, or leave --osv-launch out"
    )]
    LaunchMode {
        /// The kernel's version.
        version: String,
    },
    /// The command line cannot be written.
    #[error("the release cannot be started on OSv: {0}")]
    CommandLine(#[from] CommandLineError),
    /// A node needs a secret.
    #[error(
        "the node is distributed and has no cookie, and OSv cannot keep one in a file; add `-setcookie` to vm.args, or give one with --cookie"
    )]
    NoCookie,
    /// A gateway without an address.
    #[error("--gateway needs an address of its own on OSv; give one with --ip")]
    GatewayWithDhcp,
    /// A template cannot be filled.
    #[error("{what}: OSv fills no templates at boot; give the variable with --env NAME=VALUE")]
    Unset {
        /// The variable and its place.
        what: String,
    },
    /// The emulator cannot be prepared.
    #[error("the emulator {path} cannot be prepared for OSv: {reason}")]
    Emulator {
        /// Where it is in the guest.
        path: GuestPath,
        /// Why.
        reason: String,
    },
}

/// A file with OSv, understood.
#[derive(Debug)]
pub struct Osv {
    path: PathBuf,
    file: BaseFile,
    facts: Facts,
}

impl Osv {
    /// Opens a file with OSv: a disk image of it, or a kernel.
    ///
    /// # Errors
    /// It cannot be read, is something else, or is too old.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = BaseFile::open(path)?;
        let facts = Facts::read(file.kernel()).map_err(|error| OsvError::Kernel {
            path: path.into(),
            error,
        })?;
        match &facts.version {
            Some(version) if facts.is_too_old() => Err(Error::Osv(OsvError::TooOld {
                path: path.into(),
                version: version.clone(),
            })),
            _ => Ok(Self {
                path: path.into(),
                file,
                facts,
            }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in the file.
    pub fn file(&self) -> &BaseFile {
        &self.file
    }

    /// What is known of the kernel.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How the emulator is loaded: as the user wants, or the best that the kernel can.
    ///
    /// # Errors
    /// The kernel cannot do what is wanted.
    pub fn launch_mode(&self, wanted: Option<LaunchMode>) -> Result<LaunchMode, OsvError> {
        let modes = self.facts.launch_modes();
        match wanted {
            None => Ok(modes.first().copied().unwrap_or(LaunchMode::Kernel)),
            Some(mode) if modes.contains(&mode) => Ok(mode),
            Some(_) => Err(OsvError::LaunchMode {
                version: self.version(),
            }),
        }
    }

    /// Symbols of which the kernel's linker would find none, in what an image would hold.
    pub fn missing_symbols(
        &self,
        root: &[TreeEntry],
        emulator: &GuestPath,
        mode: LaunchMode,
    ) -> Vec<MissingSymbol> {
        match mode {
            LaunchMode::Kernel => symbols::missing(root, emulator, &self.facts),
            // There, the release's own C library is used, as on Linux.
            LaunchMode::LdLinux => Vec::new(),
        }
    }

    fn root(&self, content: Content<'_>, mode: LaunchMode) -> Result<Vec<TreeEntry>, Error> {
        let libraries = match mode {
            LaunchMode::Kernel => libraries::for_kernel_linker(content.libraries, &self.facts),
            LaunchMode::LdLinux => content.libraries,
        };
        let emulator = GuestPath::new(&content.start.init.exec);
        let mut release = content.tree;
        for entry in &mut release {
            if mode == LaunchMode::Kernel && Some(&entry.path) == emulator.as_ref() {
                *entry = libraries::relinked(entry)?;
            }
        }
        let shim = GuestPath::new(SHIM).map(|path| TreeEntry::bytes(path, osv_shim::LIBRARY));
        let skeleton = root::skeleton(&content.settings.network.dns);
        // What the user adds wins over what is there otherwise.
        let parts = [skeleton, libraries, shim.into_iter().collect(), release];
        Ok(tree::merge(parts.concat()))
    }
}

impl Base for Osv {
    fn family(&self) -> Family {
        Family::Osv
    }

    fn version(&self) -> String {
        let version = self.facts.version.as_ref();
        version.map_or_else(|| "of unknown version".into(), ToString::to_string)
    }

    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &start::ENVIRONMENT
    }

    fn lay_out(&self, content: Content<'_>) -> Result<Layout, Error> {
        check_start(content.start)?;
        let mode = self.launch_mode(content.settings.launch)?;
        let line = start::command_line(&content.start.init, mode, content.settings)?;
        let command_line = line.emit().map_err(OsvError::from)?;
        let notes = notes(&content, mode);
        Ok(Layout {
            root: self.root(content, mode)?,
            command_line,
            notes,
        })
    }

    fn objections(&self, content: Content<'_>) -> Vec<Objection> {
        let wanted = content.settings.launch;
        let Some(emulator) = GuestPath::new(&content.start.init.exec) else {
            return Vec::new();
        };
        let laid_out = self.launch_mode(wanted).map_err(Error::from);
        let laid_out = laid_out.and_then(|mode| Ok((mode, self.lay_out(content)?)));
        let (mode, layout) = match laid_out {
            Ok(laid_out) => laid_out,
            Err(error) => return vec![Objection::Refused(error)],
        };
        let mut found: Vec<Objection> = Vec::new();
        for MissingSymbol { name, user: needs } in
            self.missing_symbols(&layout.root, &emulator, mode)
        {
            match found.last_mut() {
                Some(Objection::MissingSymbols { user, names }) if *user == needs => {
                    names.push(name)
                }
                _ => found.push(Objection::MissingSymbols {
                    user: needs,
                    names: vec![name],
                }),
            }
        }
        found
    }

    fn plan(&self, disk: &Disk<'_>) -> Result<Plan, ImageError> {
        osv::plan(&self.spec(disk))
    }

    fn assemble(
        &self,
        disk: &Disk<'_>,
        output: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, ImageError> {
        osv::assemble(&self.spec(disk), output, progress)
    }
}

impl Osv {
    fn spec<'a>(&'a self, disk: &Disk<'a>) -> OsvSpec<'a> {
        OsvSpec {
            boot: self.file.boot(),
            cmdline: disk.command_line,
            root: disk.root,
            manifest: Some(disk.manifest),
            disk: disk.spec,
        }
    }
}

/// Nothing is made out at boot, and nothing runs beside the emulator.
fn check_start(start: &Start) -> Result<(), Error> {
    let unset = start
        .notes
        .iter()
        .find(|note| matches!(note, Note::Unset { .. }));
    if let Some(Note::Unset { path, line, name }) = unset {
        let what = format!(
            "{}:{line} uses the environment variable {name}",
            path.display()
        );
        return Err(OsvError::Unset { what }.into());
    }
    if !start.init.beside.is_empty() {
        return Err(Error::NotPossible {
            what: "`-start_epmd true` (a program beside the emulator)",
            base: Family::Osv.name(),
            remedy: "remove it from vm.args: the node then listens on port 4370 without epmd",
        });
    }
    Ok(())
}

fn notes(content: &Content<'_>, mode: LaunchMode) -> Vec<String> {
    let mut notes = vec![format!("OSv loads the emulator with {}", mode.describe())];
    if mode == LaunchMode::Kernel {
        notes.push("the machine needs at least 2 processors (`--smp 2`): with one, OSv's kernel linker cannot start the emulator".into());
    }
    if content.settings.network.dns.is_empty() {
        notes.push("names of hosts are found in /etc/hosts only: name a server with --dns".into());
    }
    let otp = Otp::of_erts(content.release.erts_version());
    if !otp.is_some_and(|otp| forker::OTP.contains(&otp.major)) {
        let version = content.release.erts_version();
        notes.push(format!(
            "ERTS {version} is not known: whether ports fail cleanly on OSv is not known either"
        ));
    }
    notes
}
