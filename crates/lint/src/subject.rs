//! What is looked at.

use std::collections::{BTreeMap, BTreeSet};

use release::{GUEST_ROOT, GuestPath, Release, Source, Start, StartOptions, TreeEntry};

use crate::modules::Module;

/// A release, and what an image of it would hold.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(crate) release: &'a Release,
    pub(crate) options: &'a StartOptions,
    pub(crate) start: Option<&'a Start>,
    /// All files, libraries too.
    pub(crate) tree: &'a [TreeEntry],
    /// Memory of the machine, in bytes.
    pub(crate) memory: u64,
    /// Whether the base has programs.
    pub(crate) ports: bool,
    entries: BTreeMap<&'a GuestPath, &'a TreeEntry>,
    pub(crate) modules: Vec<Module>,
}

impl<'a> Subject<'a> {
    /// A release with the files that an image of it would hold, and the memory that the machine
    /// is to have. How the release starts may be unknown.
    pub fn new(
        release: &'a Release,
        options: &'a StartOptions,
        start: Option<&'a Start>,
        tree: &'a [TreeEntry],
        memory: u64,
    ) -> Self {
        let applications = release.applications().iter();
        let directories = applications.filter_map(|application| {
            let directory = application.directory.file_name()?.to_str()?;
            Some((directory, application.app.name.as_str()))
        });
        let directories = directories.collect();
        let modules = tree
            .iter()
            .filter_map(|entry| Module::read(entry, &directories));
        Self {
            release,
            options,
            start,
            tree,
            memory,
            ports: true,
            entries: tree.iter().map(|entry| (&entry.path, entry)).collect(),
            modules: modules.collect(),
        }
    }

    /// On a base that has no programs.
    #[must_use]
    pub fn without_ports(self) -> Self {
        Self {
            ports: false,
            ..self
        }
    }

    /// The entry for a path in the guest.
    pub(crate) fn entry(&self, path: &str) -> Option<&'a TreeEntry> {
        self.entries.get(&GuestPath::new(path)?).copied()
    }

    /// Whether there is something at a path in the guest.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.entry(path).is_some()
    }

    /// The text of a file in the guest.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.entry(path)?.content().ok()??;
        String::from_utf8(bytes).ok()
    }

    /// Names of the modules that are there as files.
    pub(crate) fn module_names(&self) -> BTreeSet<&str> {
        self.modules
            .iter()
            .map(|module| module.file_name.as_str())
            .collect()
    }

    /// A directory of `lib` for another version of the application that `directory` is for.
    pub(crate) fn other_version(&self, directory: &str) -> Option<String> {
        let (name, _) = directory.rsplit_once('-')?;
        let applications = self.release.applications().iter();
        let found = applications.filter(|application| application.app.name == name);
        found
            .map(|application| format!("lib/{name}-{}", application.app.version))
            .next()
    }

    /// Whether the release has an application that is started or loaded.
    pub(crate) fn application(&self, name: &str) -> bool {
        let applications = self.release.applications().iter();
        applications
            .into_iter()
            .any(|application| application.app.name == name)
    }

    /// Arguments behind the emulator's own flags.
    pub(crate) fn arguments(&self) -> &'a [String] {
        let Some(start) = self.start else {
            return &[];
        };
        let args = start.init.args.as_slice();
        let end = args.iter().position(|word| word == "--");
        end.map_or(&[], |end| &args[end..])
    }

    /// The emulator's own flags, with their values.
    pub(crate) fn emulator_words(&self) -> &'a [String] {
        let Some(start) = self.start else {
            return &[];
        };
        let args = start.init.args.as_slice();
        let end = args
            .iter()
            .position(|word| word == "--")
            .unwrap_or(args.len());
        args.get(1..end).unwrap_or_default()
    }

    /// The values of a flag of `init`, of each time that it is given.
    pub(crate) fn flag(&self, name: &str) -> Vec<&'a [String]> {
        let words = self.arguments();
        let starts = words.iter().enumerate().filter(|(_, word)| *word == name);
        starts
            .map(|(index, _)| {
                let values = &words[index + 1..];
                let end = values.iter().position(|word| word.starts_with(['-', '+']));
                &values[..end.unwrap_or(values.len())]
            })
            .collect()
    }

    /// A variable of the release's environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&'a str> {
        let env = &self.start?.init.env;
        let found = env.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a program is found by this name, as the guest finds it: by its path, or on `PATH`.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        if name.contains('/') {
            return self.is_file(name);
        }
        let path = self.variable("PATH").unwrap_or_default();
        path.split(':')
            .any(|directory| self.is_file(&format!("{directory}/{name}")))
    }

    fn is_file(&self, path: &str) -> bool {
        let root = GuestPath::new(GUEST_ROOT);
        let path = match path.starts_with('/') {
            true => GuestPath::new(path),
            false => root.and_then(|root| root.joined(path)),
        };
        let entry = path.and_then(|path| self.entries.get(&path).copied());
        entry.is_some_and(|entry| entry.source != Source::Directory)
    }

    /// A program of the run-time system.
    pub(crate) fn runtime_program(&self, name: &str) -> String {
        format!(
            "{GUEST_ROOT}/erts-{}/bin/{name}",
            self.release.erts_version()
        )
    }
}
