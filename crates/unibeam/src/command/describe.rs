//! What an image says about itself: from the parts that it is made of to its manifest.

use bases::{Base, Family};
use boot_contract::cmdline;
use boot_contract::init::Init;
use erts::elf::Elf;
use erts::{Library, Sysroot};
use manifest::{Application, Boot, Manifest, Package, Packages, ReleaseInfo, Runtime, SCHEMA};
use release::app::hex_licenses;
use release::{GUEST_ROOT, GuestPath, Release, Source, TreeEntry};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What Hex says about a package, in its folder.
const HEX_METADATA: &str = "hex_metadata.config";

/// Where Debian and others install Erlang.
const ERLANG: &str = "/usr/lib/erlang";

/// Where Debian installs Elixir's applications.
const ELIXIR: &str = "/usr/lib/elixir/lib";

/// What an image is made of.
pub(crate) struct Parts<'a> {
    /// What the image boots.
    pub(crate) base: &'a dyn Base,
    /// The release.
    pub(crate) release: &'a Release,
    /// All files of the image.
    pub(crate) tree: &'a [TreeEntry],
    /// The libraries among them.
    pub(crate) libraries: &'a [Library],
    /// Where these are from.
    pub(crate) sysroot: &'a Sysroot,
    /// How the release starts.
    pub(crate) init: &'a Init,
    /// The kernel's command line.
    pub(crate) cmdline: &'a str,
}

impl Parts<'_> {
    /// The manifest, without a digest.
    pub(crate) fn describe(&self) -> Manifest {
        let release = self.release;
        let origins = Origins::new(self);
        Manifest {
            schema: SCHEMA,
            unibeam: env!("CARGO_PKG_VERSION").into(),
            digest: String::new(),
            release: ReleaseInfo {
                name: release.name().into(),
                version: release.version().into(),
                built_with: release.flavour().name().into(),
            },
            runtime: self.runtime(&origins),
            applications: self.applications(&origins),
            libraries: self
                .libraries
                .iter()
                .map(|library| describe_library(library, &origins))
                .collect(),
            base: self.base(),
            boot: self.boot(),
        }
    }

    /// The base, if it is not the one that is part of this program.
    fn base(&self) -> Option<manifest::Base> {
        let family = self.base.family();
        (family != Family::Unibeam).then(|| manifest::Base {
            family: family.name().into(),
            version: self.base.version(),
        })
    }

    /// How it starts. The command line of another base holds all variables, so it is not told.
    fn boot(&self) -> Boot {
        match self.base.family() {
            Family::Unibeam => boot(self.init, self.cmdline),
            _ => boot(self.init, ""),
        }
    }

    fn runtime(&self, origins: &Origins) -> Runtime {
        let version = self.release.erts_version();
        let path = format!("{GUEST_ROOT}/erts-{version}");
        Runtime {
            version: version.into(),
            size: self.size_below(&path),
            path,
            package: origins.of(&self.release.emulator()),
        }
    }

    fn applications(&self, origins: &Origins) -> Vec<Application> {
        let applications = self.release.applications().iter();
        applications
            .map(|application| {
                let app = &application.app;
                let path = format!("{GUEST_ROOT}/lib/{}-{}", app.name, app.version);
                Application {
                    name: app.name.clone(),
                    version: app.version.clone(),
                    description: app.description.clone(),
                    start: application.start.name().into(),
                    size: self.size_below(&path),
                    path,
                    requires: app.applications.clone(),
                    licenses: licenses(application),
                    package: origins.of(&app_file(application)),
                }
            })
            .collect()
    }

    /// Bytes of the files in a directory of the guest.
    fn size_below(&self, directory: &str) -> u64 {
        let Some(directory) = GuestPath::new(directory) else {
            return 0;
        };
        let inside = |entry: &&TreeEntry| entry.path.is_within(&directory);
        self.tree.iter().filter(inside).map(size).sum()
    }
}

fn size(entry: &TreeEntry) -> u64 {
    match &entry.source {
        Source::HostFile(path) => file_size(path),
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::Symlink(_) | Source::Directory => 0,
    }
}

/// A file that is not there is found, and told, when the image is written.
fn file_size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn app_file(application: &release::Application) -> PathBuf {
    let name = format!("ebin/{}.app", application.app.name);
    application.directory.join(name)
}

/// What the `.app` file says, else what Hex does.
fn licenses(application: &release::Application) -> Vec<String> {
    match &*application.app.licenses {
        [] => fs::read(application.directory.join(HEX_METADATA))
            .map(|file| hex_licenses(&file))
            .unwrap_or_default(),
        known => known.to_vec(),
    }
}

fn describe_library(library: &Library, origins: &Origins) -> manifest::Library {
    let bytes = fs::read(&library.host).unwrap_or_default();
    manifest::Library {
        path: library.guest.to_string(),
        soname: Elf::parse(&bytes).ok().and_then(|elf| elf.soname),
        size: bytes.len() as u64,
        needed_by: library.needed_by.iter().map(ToString::to_string).collect(),
        package: origins.of(&library.host),
    }
}

/// The boot configuration as far as it may be told.
pub(crate) fn boot(init: &Init, cmdline: &str) -> Boot {
    Boot {
        command_line: manifest::command_line(cmdline::words(cmdline)),
        program: init.exec.clone(),
        beside: init.beside.clone(),
        directory: init.cwd.clone(),
        host_name: init.hostname.clone(),
        environment: init.env.iter().map(|(name, _)| name.clone()).collect(),
    }
}

/// Packages of the system that files came from.
#[derive(Default)]
struct Origins(BTreeMap<PathBuf, Package>);

impl Origins {
    fn new(parts: &Parts<'_>) -> Self {
        let root = parts.sysroot.root();
        let Some(packages) = Packages::of(root) else {
            return Self::default();
        };
        let inside = |host: &Path| Some(format!("/{}", host.strip_prefix(root).ok()?.to_str()?));
        let libraries = parts.libraries.iter().map(|library| &library.host);
        let mut places: BTreeMap<PathBuf, String> = libraries
            .filter_map(|host| Some((host.clone(), inside(host)?)))
            .collect();
        for (file, installed) in copies(parts.release) {
            let original = parts.sysroot.resolve(Path::new(&installed));
            let original = original.filter(|original| same_content(&file, original));
            places.extend(original.and_then(|original| Some((file, inside(&original)?))));
        }
        // A database that cannot be read knows nothing.
        let paths: Vec<_> = places.values().cloned().collect();
        let owners = packages.owners(&paths).unwrap_or_default();
        let known = |(host, path)| Some((host, owners.get(&path)?.clone()));
        Self(places.into_iter().filter_map(known).collect())
    }

    fn of(&self, host: &Path) -> Option<Package> {
        self.0.get(host).cloned()
    }
}

/// Files of the release that may be copies of installed ones, with the paths of these: what tells
/// where the run-time system and each application came from.
fn copies(release: &Release) -> Vec<(PathBuf, String)> {
    let emulator = format!("{ERLANG}/erts-{}/bin/beam.smp", release.erts_version());
    let apps = release.applications().iter().flat_map(|application| {
        let app = &application.app;
        let file = format!("ebin/{}.app", app.name);
        [
            format!("{ERLANG}/lib/{}-{}/{file}", app.name, app.version),
            format!("{ELIXIR}/{}/{file}", app.name),
        ]
        .map(|installed| (app_file(application), installed))
    });
    apps.chain([(release.emulator(), emulator)]).collect()
}

fn same_content(one: &Path, other: &Path) -> bool {
    file_size(one) == file_size(other)
        && matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
