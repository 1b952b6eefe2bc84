//! What an image is made of: the release understood, its run-time system adapted, the rest added.

use super::base;
use super::describe::Parts;
use crate::cli::{AddedFile, ContentArgs, EnvVar, PlaceArgs};
use crate::error::Error;
use crate::signals::Scratch;
use bases::{Base, Content, Disk, root_entry};
use erts::{Closure, RuleSet, Savings, Sysroot, Trimmed};
use image::{DiskSpec, ImageError, Plan, Progress, Report, RootEntry};
use manifest::Manifest;
use release::archive::is_archive;
use release::{GuestPath, Places, Release, Start, StartOptions, TreeEntry, tree};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
    base: Box<dyn Base>,
    root: Vec<RootEntry>,
    cmdline: String,
    mtime: u32,
    /// Where the content of an archive is until the image is written.
    _scratch: Option<Scratch>,
}

/// A release and what an image would be made of, before the run-time system is completed with
/// libraries; and everything that stands in the way.
pub(crate) struct Draft {
    /// What the image boots.
    pub(crate) base: Box<dyn Base>,
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
        let base = base::open(&args.base.base)?;
        let scratch = scratch(&args.release)?;
        let (release, problems) =
            Release::survey(&args.release, &places(&args.places, scratch.as_ref()))?;
        let mut problems: Vec<Error> = problems.into_iter().map(Into::into).collect();
        let options = start_options(args, &release, &*base);
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
            base,
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

fn start_options(args: &ContentArgs, release: &Release, base: &dyn Base) -> StartOptions {
    let variable = |v: &EnvVar| (v.name.clone(), v.value.clone());
    let needed = base.environment().iter();
    let needed = needed.map(|&(name, value)| (name.into(), value.into()));
    StartOptions {
        env: needed.chain(args.env.iter().map(variable)).collect(),
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
        let (base, release, start) = (draft.base, draft.release, draft.start?);
        let sysroot = Sysroot::new(&args.places.sysroot)?;
        let closure = erts::closure(&draft.tree, &sysroot)?;
        let mut notes = notes(&start, &draft.trimmed, &closure);
        let libraries = erts::rewrite(closure.entries, &draft.rules)?;
        let mut savings = draft.trimmed.savings;
        savings.extend(&libraries.savings);
        let layout = base.lay_out(Content {
            release: &release,
            start: &start,
            tree: draft.tree,
            libraries: libraries.entries,
            settings: &args.base.settings(),
        })?;
        notes.extend(layout.notes);
        let manifest = Parts {
            base: &*base,
            release: &release,
            tree: &layout.root,
            libraries: &closure.libraries,
            sysroot: &sysroot,
            init: &start.init,
            cmdline: &layout.command_line,
        }
        .describe();
        let dropped = draft.trimmed.dropped.iter();
        let added = closure.libraries.iter();
        Ok(Self {
            notes,
            libraries: added.map(|library| library.guest.to_string()).collect(),
            left_out: dropped.map(|dropped| dropped.path.to_string()).collect(),
            manifest,
            savings,
            root: layout.root.into_iter().map(root_entry).collect(),
            cmdline: layout.command_line,
            mtime: source_date_epoch()?.unwrap_or(0),
            base,
            release,
            _scratch: draft.scratch,
        })
    }

    /// Plans an image on such a disk.
    ///
    /// # Errors
    /// What is known to be wrong beforehand.
    pub(crate) fn plan(&self, disk: DiskSpec) -> Result<Plan, ImageError> {
        self.base.plan(&self.disk(disk))
    }

    /// Makes an image on such a disk.
    ///
    /// # Errors
    /// What is wrong, or why it cannot be written.
    pub(crate) fn assemble(
        &self,
        disk: DiskSpec,
        output: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, ImageError> {
        self.base.assemble(&self.disk(disk), output, progress)
    }

    /// All files of the image.
    pub(crate) fn root(&self) -> &[RootEntry] {
        &self.root
    }

    fn disk(&self, spec: DiskSpec) -> Disk<'_> {
        Disk {
            root: &self.root,
            command_line: &self.cmdline,
            manifest: &self.manifest,
            mtime: self.mtime,
            spec,
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
