//! The search behind [`closure`](crate::closure()).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use release::{GuestPath, Source, TreeEntry, tree};

use crate::Error;
use crate::closure::{Closure, Library, Note};
use crate::companion::{CONVERSION, companions, converters};
use crate::elf::{self, Elf, ElfError, is_elf};
use crate::error::Missing;
use crate::sysroot::{DEFAULT_DIRECTORIES, Sysroot};
use crate::versions::Versions;

/// An ELF file whose needs are to be found.
struct Object {
    guest: GuestPath,
    elf: Elf,
    /// `DT_RPATH` directories of those that load it, nearest first.
    inherited: Vec<GuestPath>,
}

pub(crate) struct Search<'a> {
    sysroot: &'a Sysroot,
    /// Files of the tree.
    files: BTreeSet<&'a GuestPath>,
    /// Targets of the symbolic links among them.
    links: BTreeMap<&'a GuestPath, &'a [u8]>,
    /// Files of the tree by name.
    by_name: BTreeMap<&'a [u8], &'a GuestPath>,
    queue: VecDeque<Object>,
    added: BTreeMap<GuestPath, (PathBuf, BTreeSet<GuestPath>)>,
    /// Dynamic loaders among them.
    loaders: BTreeSet<GuestPath>,
    /// Who loads what from where, and which symbol versions that has.
    versions: Versions,
    others: Vec<TreeEntry>,
    /// Files of the tree that convert between character sets.
    converting: BTreeSet<GuestPath>,
    missing: BTreeMap<String, Missing>,
    notes: Vec<Note>,
}

/// What a search for a library found.
enum Found {
    /// In the tree already.
    InTree { guest: GuestPath },
    /// In the system.
    InSystem { guest: GuestPath, host: PathBuf },
}

impl<'a> Search<'a> {
    pub(crate) fn new(tree: &'a [TreeEntry], sysroot: &'a Sysroot) -> Self {
        let files = tree
            .iter()
            .filter(|entry| entry.source != Source::Directory);
        let files: BTreeSet<_> = files.map(|entry| &entry.path).collect();
        let link = |entry: &'a TreeEntry| match &entry.source {
            Source::Symlink(target) => Some((&entry.path, target.as_slice())),
            _ => None,
        };
        Self {
            sysroot,
            links: tree.iter().filter_map(link).collect(),
            by_name: files.iter().map(|path| (path.file_name(), *path)).collect(),
            files,
            queue: VecDeque::new(),
            added: BTreeMap::new(),
            loaders: BTreeSet::new(),
            versions: Versions::default(),
            others: Vec::new(),
            converting: BTreeSet::new(),
            missing: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Queues an entry if it is an ELF file.
    pub(crate) fn add_entry(&mut self, entry: &TreeEntry) -> Result<(), Error> {
        let bytes = match &entry.source {
            Source::HostFile(path) if is_elf(&head(path)?) => read(path)?,
            Source::Bytes(bytes) if is_elf(bytes) => bytes.clone(),
            _ => return Ok(()),
        };
        // Not those of the system: the C++ library calls it in a class that hardly anyone uses.
        if elf::calls(&bytes, CONVERSION) {
            self.converting.insert(entry.path.clone());
        }
        match Elf::parse(&bytes) {
            Ok(elf) => self.push(entry.path.clone(), elf, Vec::new()),
            Err(error @ ElfError::Machine { .. }) => {
                let path = entry.path.clone();
                self.notes.push(Note::ForeignElf { path, error });
                Ok(())
            }
            Err(error) => Err(Error::Elf {
                path: entry.path.clone(),
                error,
            }),
        }
    }

    fn push(&mut self, guest: GuestPath, elf: Elf, inherited: Vec<GuestPath>) -> Result<(), Error> {
        let names = elf.interpreter.iter().chain(&elf.needed);
        if let Some(library) = names.into_iter().find(|name| name.contains("musl")) {
            return Err(Error::Musl {
                path: guest,
                library: library.clone(),
            });
        }
        self.versions.add(&guest, &elf);
        self.queue.push_back(Object {
            guest,
            elf,
            inherited,
        });
        Ok(())
    }

    pub(crate) fn visit_all(&mut self) -> Result<(), Error> {
        while let Some(object) = self.queue.pop_front() {
            self.visit(&object)?;
        }
        Ok(())
    }

    /// Where something converts between character sets, the modules that the C library opens for
    /// that.
    pub(crate) fn add_converters(&mut self) -> Result<(), Error> {
        let Some(user) = self.converting.first().cloned() else {
            return Ok(());
        };
        let found = converters(self.sysroot);
        self.others.extend(found.files);
        let library = Object {
            guest: user.clone(),
            elf: Elf::default(),
            inherited: Vec::new(),
        };
        let count = found.modules.len();
        for path in found.modules {
            let guest = GuestPath::new(path.as_os_str().as_bytes());
            let host = guest
                .as_ref()
                .and_then(|guest| self.usable(guest, &mut Vec::new()));
            if let Some((guest, host)) = guest.zip(host) {
                self.add_library(guest, &host, "", &library)?;
            }
        }
        self.notes.push(Note::Converters { user, count });
        Ok(())
    }

    fn visit(&mut self, object: &Object) -> Result<(), Error> {
        if let Some(interpreter) = &object.elf.interpreter {
            self.add_interpreter(object, interpreter)?;
        }
        let directories = object.directories();
        for name in &object.elf.needed {
            let mut wrong = Vec::new();
            match self.find(name, &directories, &mut wrong) {
                Some(Found::InTree { guest }) => {
                    let provider = self.behind_links(guest);
                    self.versions.loads(&object.guest, name, provider);
                }
                Some(Found::InSystem { guest, host }) => {
                    self.versions.loads(&object.guest, name, guest.clone());
                    self.add_library(guest, &host, name, object)?;
                }
                None => self.not_found(name, object, wrong),
            }
        }
        Ok(())
    }

    /// The file of the tree that a path leads to.
    fn behind_links(&self, mut path: GuestPath) -> GuestPath {
        // As many links as Linux follows (path_resolution(7)).
        for _ in 0..40 {
            match self.links.get(&path).and_then(|target| {
                if target.starts_with(b"/") {
                    return GuestPath::new(target);
                }
                path.parent().joined(target)
            }) {
                Some(next) => path = next,
                None => break,
            }
        }
        path
    }

    fn add_interpreter(&mut self, object: &Object, interpreter: &str) -> Result<(), Error> {
        let guest = GuestPath::new(interpreter);
        if guest.as_ref().is_some_and(|path| self.files.contains(path)) {
            return Ok(());
        }
        let host = self.sysroot.resolve(Path::new(interpreter));
        let (Some(guest), Some(host)) = (guest, host) else {
            return Err(Error::NoInterpreter {
                path: object.guest.clone(),
                interpreter: interpreter.into(),
                sysroot: self.sysroot.root().into(),
            });
        };
        self.loaders.insert(guest.clone());
        self.add_library(guest, &host, interpreter, object)
    }

    /// `DT_RPATH`/`DT_RUNPATH` directories first, then those of the system.
    fn find(
        &self,
        name: &str,
        directories: &[GuestPath],
        wrong: &mut Vec<PathBuf>,
    ) -> Option<Found> {
        let named = directories
            .iter()
            .filter_map(|directory| directory.joined(name));
        // A name with a slash is a path (ld.so(8)).
        let direct = name.contains('/').then(|| GuestPath::new(name)).flatten();
        for guest in direct.into_iter().chain(named) {
            if self.files.contains(&guest) {
                return Some(Found::InTree { guest });
            }
            if let Some(host) = self.usable(&guest, wrong) {
                return Some(Found::InSystem { guest, host });
            }
        }
        for directory in self.sysroot.directories() {
            let guest = GuestPath::new(directory.as_os_str().as_bytes())?.joined(name)?;
            if is_default(&guest.parent()) && self.files.contains(&guest) {
                return Some(Found::InTree { guest });
            }
            if let Some(host) = self.usable(&guest, wrong) {
                let guest = self.visible(guest);
                return Some(Found::InSystem { guest, host });
            }
        }
        None
    }

    /// The system's file for a guest path, if it is for this machine.
    fn usable(&self, guest: &GuestPath, wrong: &mut Vec<PathBuf>) -> Option<PathBuf> {
        let path = Path::new(OsStr::from_bytes(guest.as_bytes()));
        let host = self.sysroot.resolve(path)?;
        match read(&host).map(|bytes| Elf::parse(&bytes)) {
            Ok(Ok(_)) => Some(host),
            _ => {
                wrong.push(host);
                None
            }
        }
    }

    /// A directory that only `ld.so.conf` names is unknown to the guest's loader: such a library
    /// goes where the C library is.
    fn visible(&self, guest: GuestPath) -> GuestPath {
        if is_default(&guest.parent()) {
            return guest;
        }
        let with_libc = DEFAULT_DIRECTORIES.into_iter().find(|directory| {
            self.sysroot
                .resolve(&Path::new(directory).join("libc.so.6"))
                .is_some()
        });
        with_libc
            .and_then(|directory| GuestPath::new(directory)?.joined(guest.file_name()))
            .unwrap_or(guest)
    }

    fn add_library(
        &mut self,
        guest: GuestPath,
        host: &Path,
        name: &str,
        object: &Object,
    ) -> Result<(), Error> {
        if let Some((_, needed_by)) = self.added.get_mut(&guest) {
            needed_by.insert(object.guest.clone());
            return Ok(());
        }
        let needed_by = BTreeSet::from([object.guest.clone()]);
        self.added.insert(guest.clone(), (host.into(), needed_by));
        let bytes = read(host)?;
        let elf = Elf::parse(&bytes).map_err(|error| Error::Elf {
            path: guest.clone(),
            error,
        })?;
        let library = Object {
            inherited: object.rpath_for_needed(),
            guest: guest.clone(),
            elf: elf.clone(),
        };
        self.add_companions(name, &bytes, &library)?;
        self.push(guest, elf, library.inherited)
    }

    fn add_companions(&mut self, name: &str, bytes: &[u8], library: &Object) -> Result<(), Error> {
        let directory = library.guest.parent();
        let directory = Path::new(OsStr::from_bytes(directory.as_bytes()));
        let found = companions(name, directory, bytes, self.sysroot);
        self.others.extend(found.files);
        let by_name =
            found
                .names
                .iter()
                .filter_map(|name| match self.find(name, &[], &mut Vec::new())? {
                    Found::InSystem { guest, host } => Some((guest, host)),
                    Found::InTree { .. } => None,
                });
        let by_path = found.modules.iter().filter_map(|path| {
            let guest = GuestPath::new(path.as_os_str().as_bytes())?;
            let host = self.usable(&guest, &mut Vec::new())?;
            Some((guest, host))
        });
        let all: Vec<_> = by_name.chain(by_path).collect();
        for (guest, host) in all {
            self.add_library(guest, &host, "", library)?;
        }
        Ok(())
    }

    fn not_found(&mut self, name: &str, object: &Object, wrong: Vec<PathBuf>) {
        if let Some(found) = self.by_name.get(name.as_bytes()) {
            self.notes.push(Note::OnlyByName {
                name: name.into(),
                needed_by: object.guest.clone(),
                found: (*found).clone(),
            });
            return;
        }
        let missing = self.missing.entry(name.into()).or_insert_with(|| Missing {
            name: name.into(),
            needed_by: Vec::new(),
            wrong,
        });
        missing.needed_by.push(object.guest.clone());
        missing.needed_by.sort();
        missing.needed_by.dedup();
    }

    /// The loader knows itself by its name, wherever it is: libraries that need it by name get
    /// no second copy.
    fn drop_second_loaders(&mut self) {
        let loaders = &self.loaders;
        let is_copy = |path: &GuestPath| {
            !loaders.contains(path)
                && loaders
                    .iter()
                    .any(|loader| loader.file_name() == path.file_name())
        };
        self.added.retain(|path, _| !is_copy(path));
    }

    pub(crate) fn finish(mut self) -> Result<Closure, Error> {
        self.drop_second_loaders();
        if !self.missing.is_empty() {
            return Err(Error::MissingLibraries {
                sysroot: self.sysroot.root().into(),
                missing: self.missing.into_values().collect(),
            });
        }
        let missing = self.versions.missing();
        if !missing.is_empty() {
            return Err(Error::SymbolVersions {
                sysroot: self.sysroot.root().into(),
                missing,
            });
        }
        let entry = |(guest, (host, _)): (&GuestPath, &(PathBuf, _))| {
            TreeEntry::host_file(guest.clone(), host, true)
        };
        let entries = self.added.iter().map(entry).chain(self.others);
        let entries = tree::merge(entries);
        let library =
            |(guest, (host, needed_by)): (GuestPath, (PathBuf, BTreeSet<GuestPath>))| Library {
                guest,
                host,
                needed_by: needed_by.into_iter().collect(),
            };
        Ok(Closure {
            libraries: self.added.into_iter().map(library).collect(),
            entries,
            notes: self.notes,
        })
    }
}

impl Object {
    /// Directories that its headers name, in the loader's order.
    fn directories(&self) -> Vec<GuestPath> {
        if !self.elf.runpath.is_empty() {
            return self.expanded(&self.elf.runpath);
        }
        self.rpath_for_needed()
    }

    /// `DT_RPATH` reaches down to libraries of libraries, `DT_RUNPATH` does not.
    fn rpath_for_needed(&self) -> Vec<GuestPath> {
        let mut directories = Vec::new();
        if self.elf.runpath.is_empty() {
            directories = self.expanded(&self.elf.rpath);
        }
        directories.extend(self.inherited.iter().cloned());
        directories
    }

    fn expanded(&self, directories: &[String]) -> Vec<GuestPath> {
        let origin = self.guest.parent();
        let origin = String::from_utf8_lossy(origin.as_bytes());
        let expand = |directory: &String| {
            let path = directory
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin)
                .replace("${LIB}", "lib/x86_64-linux-gnu")
                .replace("$LIB", "lib/x86_64-linux-gnu");
            GuestPath::new(path)
        };
        directories.iter().filter_map(expand).collect()
    }
}

/// Whether the guest's loader looks into a directory by itself.
fn is_default(directory: &GuestPath) -> bool {
    DEFAULT_DIRECTORIES
        .iter()
        .any(|default| default.as_bytes() == directory.as_bytes())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })
}

/// The first bytes of a file.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut bytes))
        .map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
    Ok(bytes)
}
