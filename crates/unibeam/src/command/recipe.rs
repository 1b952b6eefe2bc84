//! What an image is made of: the release understood, its run-time system adapted, the rest added.

use super::describe::Parts;
use crate::cli::{AddedFile, ContentArgs, EnvVar, PlaceArgs};
use crate::error::Error;
use crate::signals::Scratch;
use boot_contract::init;
use erts::{Closure, RuleSet, Savings, Sysroot, Trimmed};
use image::{Content, DiskSpec, EntryKind, ImageSpec, RootEntry};
use manifest::Manifest;
use release::archive::is_archive;
use release::{GuestPath, Places, Release, Source, Start, StartOptions, TreeEntry, tree};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Permission bits of the file that tells the kernel what to run.
const INIT_MODE: u32 = 0o644;

/// Everything that goes into an image.
pub(crate) struct Recipe {
    /// The release.
    pub(crate) release: Release,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// Shared libraries added to the release, by guest path.
    pub(crate) libraries: Vec<String>,
    /// Files of the release that no guest needs.
    pub(crate) left_out: Vec<String>,
    /// What the image says about itself.
    pub(crate) manifest: Manifest,
    /// What the rules for leaving things out saved.
    pub(crate) savings: Savings,
    root: Vec<RootEntry>,
    cmdline: String,
    mtime: u32,
    /// Where the content of an archive is until the image is written.
    _scratch: Option<Scratch>,
}

/// A release and what an image would be made of, before the run-time system is completed with
/// libraries; and everything that stands in the way.
pub(crate) struct Draft {
    /// The release.
    pub(crate) release: Release,
    /// What its start was derived from.
    pub(crate) options: StartOptions,
    /// How it starts, or why that cannot be made out.
    pub(crate) start: Result<Start, Error>,
    /// What goes into the image.
    pub(crate) tree: Vec<TreeEntry>,
    /// What became of the release's files by the rules.
    trimmed: Trimmed,
    rules: RuleSet,
    /// What is wrong, in the order found.
    pub(crate) problems: Vec<Error>,
    scratch: Option<Scratch>,
}

impl Draft {
    /// Reads the release and decides what goes where, as far as possible.
    ///
    /// # Errors
    /// There is no release at all.
    pub(crate) fn survey(args: &ContentArgs) -> Result<Self, Error> {
        let scratch = scratch(&args.release)?;
        let (release, problems) =
            Release::survey(&args.release, &places(&args.places, scratch.as_ref()))?;
        let mut problems: Vec<Error> = problems.into_iter().map(Into::into).collect();
        let options = start_options(args, &release);
        let start = release.start(&options).map_err(Error::from);
        let (entries, unfit) = release.survey_tree(&options);
        let rules = args.rules();
        let left_out = |path: &GuestPath| rules.leaves_out(path).is_some();
        let unfit = unfit.into_iter();
        let unfit = unfit.filter(|unfit| !unfit.path.as_ref().is_some_and(left_out));
        problems.extend(unfit.map(|unfit| unfit.error.into()));
        let mut trimmed = erts::trim(entries, &rules)?;
        // What the start or the user asks for is needed, whatever it is.
        let mut tree = std::mem::take(&mut trimmed.entries);
        tree.extend(start.iter().flat_map(|start| start.files.clone()));
        for file in &args.add {
            match added_file(file) {
                Ok(entry) => tree.push(entry),
                Err(error) => problems.push(error),
            }
        }
        Ok(Self {
            release,
            options,
            start,
            tree: tree::merge(tree),
            trimmed,
            rules,
            problems,
            scratch,
        })
    }
}

/// A folder for what is in an archive.
fn scratch(release: &Path) -> Result<Option<Scratch>, Error> {
    let scratch = is_archive(release).then(Scratch::new);
    scratch.transpose().map_err(Error::ScratchFolder)
}

fn places(args: &PlaceArgs, scratch: Option<&Scratch>) -> Places {
    Places {
        erts: args.erts.clone(),
        lib_dirs: args.lib_dir.clone(),
        erl_libs: erl_libs(),
        scratch: scratch.map(|scratch| scratch.path().into()),
    }
}

/// The folders of the environment variable that Erlang itself heeds (`code(3)`).
fn erl_libs() -> Vec<PathBuf> {
    let list = std::env::var_os("ERL_LIBS").unwrap_or_default();
    let folders = std::env::split_paths(&list);
    folders
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect()
}

fn start_options(args: &ContentArgs, release: &Release) -> StartOptions {
    let variable = |v: &EnvVar| (v.name.clone(), v.value.clone());
    StartOptions {
        env: args.env.iter().map(variable).collect(),
        args: Vec::new(),
        console: args.console,
        code_loading: args.code_loading.map(Into::into),
        hostname: match &args.hostname {
            Some(name) => name.0.clone(),
            None => host_name(release.name()),
        },
    }
}

impl Recipe {
    /// Reads the release and decides what goes where.
    ///
    /// # Errors
    /// The release is not usable.
    pub(crate) fn new(args: &ContentArgs) -> Result<Self, Error> {
        let draft = Draft::survey(args)?;
        Self::from_draft(draft, args).map_err(|first| Error::Unfit {
            first: first.into(),
            release: args.words(),
        })
    }

    fn from_draft(draft: Draft, args: &ContentArgs) -> Result<Self, Error> {
        if let Some(problem) = draft.problems.into_iter().next() {
            return Err(problem);
        }
        let start = draft.start?;
        let sysroot = Sysroot::new(&args.places.sysroot)?;
        let closure = erts::closure(&draft.tree, &sysroot)?;
        let notes = notes(&start, &draft.trimmed, &closure);
        let libraries = erts::rewrite(closure.entries, &draft.rules)?;
        let mut savings = draft.trimmed.savings;
        savings.extend(&libraries.savings);
        let tree = tree::merge([draft.tree, libraries.entries].concat());
        let cmdline = cmdline(args);
        let manifest = Parts {
            release: &draft.release,
            tree: &tree,
            libraries: &closure.libraries,
            sysroot: &sysroot,
            init: &start.init,
            cmdline: &cmdline,
        }
        .describe();
        let mut root: Vec<_> = tree.into_iter().map(root_entry).collect();
        root.push(RootEntry::bytes(init::PATH, start.plan.emit(), INIT_MODE));
        Ok(Self {
            release: draft.release,
            notes,
            libraries: closure
                .libraries
                .iter()
                .map(|library| library.guest.to_string())
                .collect(),
            left_out: draft
                .trimmed
                .dropped
                .iter()
                .map(|dropped| dropped.path.to_string())
                .collect(),
            manifest,
            savings,
            root,
            cmdline,
            mtime: source_date_epoch()?.unwrap_or(0),
            _scratch: draft.scratch,
        })
    }

    /// The assembler's input for such a disk.
    pub(crate) fn spec(&self, disk: DiskSpec) -> ImageSpec<'_> {
        ImageSpec {
            kernel: boot_images::KERNEL_ELF,
            boot_sector: boot_images::BOOT_SECTOR,
            bios_stage: boot_images::BIOS_STAGE,
            cmdline: &self.cmdline,
            root: &self.root,
            manifest: Some(&self.manifest),
            mtime: self.mtime,
            disk,
        }
    }
}

fn notes(start: &Start, trimmed: &Trimmed, closure: &Closure) -> Vec<String> {
    let start = start.notes.iter().map(ToString::to_string);
    let files = trimmed.notes.iter().chain(&closure.notes);
    start.chain(files.map(ToString::to_string)).collect()
}

/// A file of this host that the user wants in the image.
fn added_file(file: &AddedFile) -> Result<TreeEntry, Error> {
    let metadata = fs::metadata(&file.host).map_err(|source| Error::Added {
        path: file.host.clone(),
        source,
    })?;
    let guest = GuestPath::new(file.guest.as_os_str().as_bytes());
    let guest = guest.ok_or_else(|| Error::AddedPlace {
        path: file.guest.clone(),
    })?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(TreeEntry::host_file(guest, &file.host, executable))
}

/// Names of releases may hold underscores, host names may not (RFC 952).
fn host_name(release: &str) -> String {
    release.replace('_', "-")
}

fn cmdline(args: &ContentArgs) -> String {
    let words = args.kernel_arg.iter().map(|word| word.quoted());
    words.collect::<Vec<_>>().join(" ")
}

/// The time that is to be told instead of that of the clock, in seconds since 1970
/// (reproducible-builds.org, SOURCE_DATE_EPOCH).
pub(super) fn source_date_epoch() -> Result<Option<u32>, Error> {
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(seconds) => Ok(Some(seconds)),
        Err(source) => Err(Error::SourceDateEpoch { text, source }),
    }
}

fn root_entry(entry: TreeEntry) -> RootEntry {
    let kind = match entry.source {
        Source::Directory => EntryKind::Dir,
        Source::HostFile(path) => EntryKind::File(Content::Host(path)),
        Source::Bytes(bytes) => EntryKind::File(Content::Bytes(bytes)),
        Source::Symlink(target) => EntryKind::Symlink(target),
    };
    RootEntry {
        path: entry.path.as_bytes().to_vec(),
        kind,
        mode: entry.mode,
    }
}
