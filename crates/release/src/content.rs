//! Which files of a release go into the guest.

use std::path::Path;

use boot_contract::events::{APPLICATION_STARTED, READY_DEVICE};

use crate::release::Application;
use crate::tree::{self, TreeEntry};
use crate::walk::Walk;
use crate::{Error, Release, StartOptions, read};

/// Directories of an application that nothing needs at run time.
const BUILD_DIRECTORIES: [&str; 10] = [
    "src", "include", "doc", "docs", "examples", "test", "c_src", "emacs", "man", "html",
];

impl Release {
    /// The files of the release for the guest, below [`GUEST_ROOT`](crate::GUEST_ROOT): sorted,
    /// with the boot script edited so that its last instruction reports readiness.
    ///
    /// Left out are the sources and documents of applications, applications that are in `lib` but
    /// not in the `.rel`, other versions, and `bin` with the start scripts. The files that
    /// [`start`](Self::start) adds are not among them.
    ///
    /// # Errors
    /// An unreadable or special file, or a symbolic link that leads out of the release.
    pub fn tree(&self, options: &StartOptions) -> Result<Vec<TreeEntry>, Error> {
        let (entries, problems) = self.survey_tree(options);
        problems.into_iter().next().map_or(Ok(entries), Err)
    }

    /// As [`tree`](Self::tree), but leaves out what cannot be part of an image, and says why.
    pub fn survey_tree(&self, options: &StartOptions) -> (Vec<TreeEntry>, Vec<Error>) {
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
            Err(error) => problems.push(error),
        }
        let problems = problems.into_iter().map(|error| self.explain(error));
        (tree::merge(entries), problems.collect())
    }

    /// An application that is not below the release's root goes where it would be there.
    fn add_application(&self, walk: &mut Walk, application: &Application) {
        let directory = &application.directory;
        let wanted = |path: &Path| !is_build_directory(directory, path);
        let Application { app, .. } = application;
        let below = format!("lib/{}-{}", app.name, app.version);
        walk.add_part(&self.mount, directory, &below, &wanted);
    }

    fn add_emulator(&self, walk: &mut Walk) {
        let below = format!("erts-{}/bin", self.rel.erts);
        walk.add_part(&self.mount, &self.erts_bin(), &below, &|_| true);
    }

    /// Files of this version, and what the release brings besides the usual ones.
    fn add_release(&self, walk: &mut Walk) {
        let everything = |_: &Path| true;
        walk.add(&self.mount, &self.version_dir(), &everything);
        for file in ["COOKIE", "RELEASES", "start_erl.data"] {
            let path = self.root().join("releases").join(file);
            walk.add(&self.mount, &path, &everything);
        }
        match read::directory(self.root()) {
            Ok(paths) => {
                let overlays = paths.iter().filter(|path| self.is_overlay(path));
                overlays.for_each(|path| walk.add(&self.mount, path, &everything));
            }
            Err(error) => walk.problems.push(error),
        }
    }

    fn edited_boot_script(&self, options: &StartOptions) -> Result<TreeEntry, Error> {
        let path = self.boot_path(options)?;
        let mut script = self.read_boot(&path)?;
        script.report_ready(READY_DEVICE, APPLICATION_STARTED);
        Ok(TreeEntry::bytes(
            self.mount.guest_path(&path)?,
            script.emit(),
        ))
    }

    /// Files that the release brings besides the usual ones.
    fn is_overlay(&self, path: &Path) -> bool {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        !matches!(name, "bin" | "lib" | "releases" | "tmp" | "log") && !name.starts_with("erts-")
    }
}

fn is_build_directory(application: &Path, path: &Path) -> bool {
    path.parent() == Some(application)
        && path.is_dir()
        && BUILD_DIRECTORIES.iter().any(|name| path.ends_with(name))
}
