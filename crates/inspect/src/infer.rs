//! The manifest of an image that has none: what its files tell.

use std::collections::BTreeMap;

use boot_contract::cmdline;
use boot_contract::init::{self, Init};
use erts::elf::{Elf, is_elf};
use launch::Files;
use manifest::{Application, Boot, Library, Manifest, ReleaseInfo, Runtime};
use release::app::AppFile;
use release::rel::{RelFile, StartType};
use release::term::text;

use crate::contents::{Contents, Entry};
use crate::error::Error;
use crate::text::printable;

/// First bytes of an ELF file.
const ELF_HEAD: usize = 4;

/// What an image is made of, as far as its files tell; what they do not tell is empty.
///
/// # Errors
/// The image cannot be read.
pub fn infer(contents: &Contents<'_>, command_line: &str) -> Result<Manifest, Error> {
    let rel = find_rel(contents)?.unwrap_or_default();
    let runtime = runtime(contents, &rel);
    Ok(Manifest {
        release: ReleaseInfo {
            name: rel.name.clone(),
            version: rel.version.clone(),
            built_with: String::new(),
        },
        runtime,
        applications: applications(contents, &rel)?,
        libraries: libraries(contents)?,
        boot: boot(contents, command_line)?,
        ..Manifest::default()
    })
}

/// The first `.rel` file of the release that can be read.
fn find_rel(contents: &Contents<'_>) -> Result<Option<RelFile>, Error> {
    let rel_files = contents
        .files()
        .filter(|entry| entry.is_within(b"release/releases") && entry.path.ends_with(b".rel"));
    for entry in rel_files {
        let term = text::parse_one(&contents.read(entry)?);
        if let Some(rel) = term.ok().and_then(|term| RelFile::from_term(&term).ok()) {
            return Ok(Some(rel));
        }
    }
    Ok(None)
}

fn size_below(contents: &Contents<'_>, path: &str) -> u64 {
    let inside = contents
        .files()
        .filter(|entry| entry.is_within(path.as_bytes()));
    inside.map(|entry| entry.size).sum()
}

fn runtime(contents: &Contents<'_>, rel: &RelFile) -> Runtime {
    if rel.erts.is_empty() {
        return Runtime::default();
    }
    let path = format!("release/erts-{}", rel.erts);
    Runtime {
        version: rel.erts.clone(),
        size: size_below(contents, &path),
        path: format!("/{path}"),
        package: None,
    }
}

/// All applications that have an `.app` file, those of the `.rel` file first.
fn applications(contents: &Contents<'_>, rel: &RelFile) -> Result<Vec<Application>, Error> {
    let mut found = Vec::new();
    let app_files = contents
        .files()
        .filter(|entry| entry.is_within(b"release/lib") && entry.path.ends_with(b".app"));
    for entry in app_files {
        let term = text::parse_one(&contents.read(entry)?);
        let app = term.ok().and_then(|term| AppFile::from_term(&term).ok());
        found.extend(app.map(|app| application(contents, entry, app, rel)));
    }
    let position = |app: &Application| rel.applications.iter().position(|a| a.name == app.name);
    found.sort_by_key(|app| position(app).unwrap_or(usize::MAX));
    Ok(found)
}

fn application(contents: &Contents<'_>, file: &Entry, app: AppFile, rel: &RelFile) -> Application {
    // lib/NAME-VERSION/ebin/NAME.app
    let file = String::from_utf8_lossy(&file.path);
    let path = file.rsplitn(3, '/').nth(2).unwrap_or_default();
    let named = rel.applications.iter().find(|found| found.name == app.name);
    Application {
        start: named
            .map_or(StartType::None, |found| found.start)
            .name()
            .into(),
        size: size_below(contents, path),
        path: format!("/{path}"),
        name: app.name,
        version: app.version,
        description: app.description,
        requires: app.applications,
        licenses: app.licenses,
        package: None,
    }
}

/// ELF files outside of the release, with the files that name them.
fn libraries(contents: &Contents<'_>) -> Result<Vec<Library>, Error> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in contents.files() {
        let Some(elf) = elf(contents, entry)? else {
            continue;
        };
        let path = format!("/{}", printable(&entry.path));
        for name in elf.needed.into_iter().chain(elf.interpreter) {
            users.entry(name).or_default().push(path.clone());
        }
        if !entry.is_within(b"release") {
            found.push(Library {
                path,
                soname: elf.soname,
                size: entry.size,
                needed_by: Vec::new(),
                package: None,
            });
        }
    }
    for library in &mut found {
        let name = library.soname.as_deref().unwrap_or_default();
        let names = [name, &*library.path];
        let needed_by = names.iter().filter_map(|&name| users.get(name)).flatten();
        library.needed_by = needed_by.cloned().collect();
        library.needed_by.sort();
        library.needed_by.dedup();
    }
    Ok(found)
}

fn elf(contents: &Contents<'_>, entry: &Entry) -> Result<Option<Elf>, Error> {
    if !is_elf(&contents.head(entry, ELF_HEAD)?) {
        return Ok(None);
    }
    Ok(Elf::parse(&contents.read(entry)?).ok())
}

fn boot(contents: &Contents<'_>, command_line: &str) -> Result<Boot, Error> {
    let file = contents.file(init::PATH.trim_start_matches('/'));
    let init = match file {
        Some(entry) => Init::parse(&contents.read(entry)?).unwrap_or_default(),
        None => Init::default(),
    };
    let init = started(contents, init);
    Ok(Boot {
        command_line: manifest::command_line(cmdline::words(command_line)),
        program: init.exec,
        beside: init.beside,
        directory: init.cwd,
        host_name: init.hostname,
        environment: init.env.into_iter().map(|(name, _)| name).collect(),
    })
}

/// What the kernel makes of a release, if nothing is added at boot.
fn started(contents: &Contents<'_>, mut init: Init) -> Init {
    let Some(release) = init.release.take() else {
        return init;
    };
    let launch = launch::launch(&release, &init, &mut Root(contents));
    launch.map_or(init, |launch| launch.init)
}

/// The files of an image as those of the guest.
struct Root<'a>(&'a Contents<'a>);

impl Files for Root<'_> {
    type Error = Error;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let entry = self.0.file(path.trim_start_matches('/'));
        entry.map(|entry| self.0.read(entry)).transpose()
    }

    fn has(&self, path: &str) -> bool {
        self.0.file(path.trim_start_matches('/')).is_some()
    }
}
