//! What the cross-crate tests share: the program under test, the example releases, and images of
//! them, each made once.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

pub mod load;
mod program;
pub mod soak;

pub use program::{program, program_image};

use image::DiskImage;
use qemu::{Boot, Profile, Start};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};
use tempfile::TempDir;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// `<target>/<profile>`: programs live there, those of tests in `deps` below.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    if folder.ends_with("deps") {
        folder.parent().unwrap()
    } else {
        folder
    }
    .to_path_buf()
}

/// The program under test, as a command.
///
/// # Panics
/// It is not built.
pub fn unibeam() -> Command {
    let program = target_folder().join("unibeam");
    assert!(
        program.exists(),
        "{} is missing; run `cargo build -p unibeam`",
        program.display()
    );
    Command::new(program)
}

/// An example's release.
///
/// # Panics
/// It is not built.
pub fn release(example: &str) -> PathBuf {
    built(&repository().join("examples").join(example), example)
}

/// An example's release, built with the OTP of `examples/otp27`.
///
/// # Panics
/// It is not built.
pub fn release_of_otp_27(example: &str) -> PathBuf {
    built(&otp_27().join(example), example)
}

/// Where what is built with OTP 27 is, its own system (`sysroot`) and programs (`bin`) too.
pub fn otp_27() -> PathBuf {
    repository().join("examples/otp27/_build")
}

fn built(folder: &Path, example: &str) -> PathBuf {
    let build = folder.join("_build");
    let places = [build.join(example), build.join("prod/rel").join(example)];
    let found = places.iter().find(|place| place.join("releases").is_dir());
    found
        .unwrap_or_else(|| panic!("{example} is not built; run scripts/examples"))
        .clone()
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be run.
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a command that must succeed; gives its standard output.
///
/// # Panics
/// It fails.
pub fn succeed(command: &mut Command) -> String {
    let result = output(command);
    assert!(
        result.status.success(),
        "{command:?} failed with {}\n{}{}",
        result.status,
        String::from_utf8_lossy(&result.stdout),
        String::from_utf8_lossy(&result.stderr),
    );
    String::from_utf8(result.stdout).unwrap()
}

/// Folder of the shared images; a `static` is never dropped, so they stay until the target folder
/// is cleaned, and each run replaces them.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let name = test.file_stem().unwrap();
    let folder = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("test-images")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
});

static IMAGES: LazyLock<Mutex<HashMap<String, PathBuf>>> = LazyLock::new(Mutex::default);

/// An image of an example, made once for each test program.
///
/// # Panics
/// `unibeam image` fails.
pub fn image(example: &str) -> PathBuf {
    image_with(example, &[])
}

/// As [`image()`], made with further flags: the same ones each time.
///
/// # Panics
/// `unibeam image` fails.
pub fn image_with(example: &str, flags: &[String]) -> PathBuf {
    // A test that failed while it made an image says so itself.
    let mut images = IMAGES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let make = || make_image(example, &release(example), flags);
    images.entry(example.into()).or_insert_with(make).clone()
}

/// Makes an image of a release in the [`shared_folder()`].
///
/// # Panics
/// `unibeam image` fails.
pub fn make_image(name: &str, release: &Path, flags: &[String]) -> PathBuf {
    let path = FOLDER.join(format!("{name}.img"));
    let mut command = unibeam();
    command.arg("image").arg(release).arg("-o").arg(&path);
    succeed(command.args(flags));
    path
}

/// A folder that stays: what tests share is made in it anew by each run.
pub fn shared_folder() -> PathBuf {
    FOLDER.clone()
}

/// A folder that vanishes.
///
/// # Panics
/// It cannot be made.
pub fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What a machine of this profile starts from: the image itself or its parts, copied into a folder
/// that must live as long as the machine.
///
/// # Panics
/// The image cannot be read.
pub fn boot(profile: &Profile, image: &Path) -> (Boot, TempDir) {
    let folder = scratch();
    if profile.start == Start::Disk {
        return (Boot::raw_disk(image), folder);
    }
    let image = DiskImage::open(image).unwrap();
    let extract = |range, name| {
        let path = folder.path().join(name);
        image
            .copy(range, &mut File::create(&path).unwrap())
            .unwrap();
        path
    };
    let boot = Boot::Direct {
        kernel: extract(image.kernel, "kernel"),
        root: extract(image.root, "root"),
        cmdline: image.cmdline.clone(),
    };
    (boot, folder)
}
