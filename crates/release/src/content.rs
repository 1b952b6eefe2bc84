//! Which files of a release go into the guest.

use std::path::Path;

use boot_contract::events::{APPLICATION_STARTED, READY_DEVICE};

use crate::release::Application;
use crate::tree::{self, TreeEntry};
use crate::walk::{Mount, Unfit, Walk};
use crate::{Error, Release, StartOptions, read};

impl Release {
    /// The files of the release for the guest, below [`GUEST_ROOT`](crate::GUEST_ROOT): sorted,
    /// with the boot script edited so that its last instruction reports readiness.
    ///
    /// Left out are applications that are in `lib` but not in the `.rel`, other versions, and `bin`
    /// with the start scripts. The files that [`start`](Self::start) adds are not among them.
    ///
    /// # Errors
    /// An unreadable or special file, or a symbolic link that leads out of the release.
    pub fn tree(&self, options: &StartOptions) -> Result<Vec<TreeEntry>, Error> {
        let (entries, problems) = self.survey_tree(options);
        let first = problems.into_iter().next();
        first.map_or(Ok(entries), |unfit| Err(unfit.error))
    }

    /// As [`tree`](Self::tree), but leaves out what cannot be part of an image, and says why.
    pub fn survey_tree(&self, options: &StartOptions) -> (Vec<TreeEntry>, Vec<Unfit>) {
        let mut walk = Walk::default();
        for application in &self.applications {
            self.add_application(&mut walk, application);
        }
        self.add_emulator(&mut walk);
        self.add_release(&mut walk);
        let Walk {
            mut entries,
            mut problems,
        } = walk;
        match self.edited_boot_script(options) {
            Ok(entry) => entries.push(entry),
            // Why none could be made is known already.
            Err(_) if self.bare.is_some() => {}
            Err(error) => problems.push(error.into()),
        }
        let explained = |unfit: Unfit| Unfit {
            error: self.explain(unfit.error),
            ..unfit
        };
        let problems = problems.into_iter().map(explained);
        (tree::merge(entries), problems.collect())
    }

    fn add_application(&self, walk: &mut Walk, application: &Application) {
        let Application { app, directory, .. } = application;
        let below = format!("lib/{}-{}", app.name, app.version);
        if self.bare.is_none() {
            return self.add_part(walk, directory, &below);
        }
        // As `systools:make_tar` does it: the directory may be a build tool's, with much else.
        for part in ["ebin", "priv"] {
            self.add_part(walk, &directory.join(part), &format!("{below}/{part}"));
        }
    }

    fn add_emulator(&self, walk: &mut Walk) {
        let below = format!("erts-{}/bin", self.rel.erts);
        self.add_part(walk, &self.erts_bin(), &below);
    }

    /// Adds a directory of the release, or one from elsewhere that goes to a place below its root.
    fn add_part(&self, walk: &mut Walk, path: &Path, below: &str) {
        if self.bare.is_none() && path.starts_with(self.root()) {
            return walk.add(&self.mount, path);
        }
        match Mount::new(path, below) {
            Ok(mount) => walk.add(&mount, path),
            Err(error) => walk.problems.push(error.into()),
        }
    }

    /// Files of this version, and what the release brings besides the usual ones.
    fn add_release(&self, walk: &mut Walk) {
        if self.bare.is_some() {
            // `systools:make_tar` takes the configuration along, too.
            let files = ["sys.config", "vm.args"].map(|file| self.version_dir().join(file));
            for path in files.iter().chain([&self.rel_path]) {
                walk.add(&self.mount, path);
            }
            return;
        }
        walk.add(&self.mount, &self.version_dir());
        for file in ["COOKIE", "RELEASES", "start_erl.data"] {
            let path = self.root().join("releases").join(file);
            walk.add(&self.mount, &path);
        }
        match read::directory(self.root()) {
            Ok(paths) => {
                let overlays = paths.iter().filter(|path| self.is_overlay(path));
                overlays.for_each(|path| walk.add(&self.mount, path));
            }
            Err(error) => walk.problems.push(error.into()),
        }
    }

    fn edited_boot_script(&self, options: &StartOptions) -> Result<TreeEntry, Error> {
        let (place, mut script) = self.boot(options)?;
        script.report_ready(READY_DEVICE, APPLICATION_STARTED);
        Ok(TreeEntry::bytes(place, script.emit()))
    }

    /// Files that the release brings besides the usual ones.
    fn is_overlay(&self, path: &Path) -> bool {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // Where `rebar3 tar` puts the release's own archive.
        let archive = format!("{}-{}.tar.gz", self.rel.name, self.rel.version);
        !matches!(name, "bin" | "lib" | "releases" | "tmp" | "log")
            && !name.starts_with("erts-")
            && name != archive
    }
}
