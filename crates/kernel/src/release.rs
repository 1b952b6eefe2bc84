//! The start of a release: what its start script would do, done at boot ([`launch`]).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use boot_contract::init::Init;
use boot_contract::release::Release;
use launch::{Files, Launch, Unset};
use linux_abi::Errno;
use vfs::{FileKind, Follow};

use crate::{console, ending, files};

/// The file tree as the start sees it.
struct Root;

impl Files for Root {
    type Error = String;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Self::Error> {
        match files::read_file(path.as_bytes()) {
            Ok(content) => Ok(Some(content)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        }
    }

    fn has(&self, path: &str) -> bool {
        let found = files::tree().lookup(files::tree().root(), path.as_bytes(), Follow::Yes);
        found.is_ok_and(|inode| inode.kind() == FileKind::Regular)
    }
}

/// Makes out program and arguments of a release and writes the files that it starts with. Ends
/// the machine if that cannot be.
pub(crate) fn launch(release: &Release, wanted: &Init) -> Init {
    let launch = launch::launch(release, wanted, &mut Root).unwrap_or_else(|error| {
        let advice = "correct the variables, or the release, and start the machine again";
        ending::not_configured(error, advice)
    });
    if let Some(first) = launch.unset.first() {
        for unset in &launch.unset {
            console::log!("{unset}");
        }
        ending::not_configured("a variable has no value", &advice(first));
    }
    write_files(&launch);
    launch.init
}

fn advice(unset: &Unset) -> String {
    let name = &unset.name;
    format!(
        "give it one with `unibeam run --env {name}=VALUE`, which is env.{name}=VALUE on the kernel's command line; or write a default, ${{{name}:-VALUE}}"
    )
}

fn write_files(launch: &Launch) {
    make_directories(&format!("{}/", launch.home));
    for (path, content) in &launch.files {
        make_directories(path);
        if let Err(error) = files::write_file(path.as_bytes(), content) {
            let reason = format!("{path} cannot be written: {error}");
            ending::not_configured(reason, "give the machine more memory");
        }
    }
}

/// Makes the directories that a file is in; that one cannot be made shows when the file is.
fn make_directories(path: &str) {
    for (at, _) in path.match_indices('/').skip(1) {
        let _ = files::tree().mkdir(files::tree().root(), &path.as_bytes()[..at], 0o755);
    }
}
