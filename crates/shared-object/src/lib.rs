//! Shared objects for guests, made by build scripts: one file of Rust is compiled with the compiler
//! of the build and linked with the `rust-lld` beside it. No other program is needed, and the bytes
//! depend on the toolchain only.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the code is compiled for: no operating system, no standard library.
const TARGET: &str = "x86_64-unknown-none";

/// A shared object to be made.
#[derive(Clone, Copy, Debug)]
pub struct SharedObject<'a> {
    /// Name of the crate that the code is.
    pub name: &'a str,
    /// The code, a file with `#![no_std]` and functions that need nothing but each other and those
    /// that the program has which loads the object.
    pub code: &'a str,
    /// Further files that the code is made of.
    pub parts: &'a [&'a str],
    /// The linker's script.
    pub script: &'a str,
    /// The name that the object gives itself (`DT_SONAME`).
    pub soname: &'a str,
    /// Further arguments of the linker.
    pub link: &'a [&'a str],
}

impl SharedObject<'_> {
    /// Makes it; returns its file, in the build script's folder.
    ///
    /// # Errors
    /// A program is missing or fails.
    pub fn build(&self) -> Result<PathBuf, Box<dyn Error>> {
        let inputs = ["build.rs", self.code, self.script];
        for input in inputs.iter().chain(self.parts) {
            say(&format!("rerun-if-changed={input}"));
        }
        let out = PathBuf::from(required("OUT_DIR")?);
        let object = out.join(self.name).with_extension("o");
        let linked = out.join(self.name).with_extension("so");
        run(&mut self.compile(&object)?)?;
        run(&mut self.link(&object, &linked)?)?;
        Ok(linked)
    }

    fn compile(&self, object: &Path) -> Result<Command, Box<dyn Error>> {
        let mut rustc = Command::new(required("RUSTC")?);
        rustc
            .args(["--edition=2024", "--crate-type=lib", "--target", TARGET])
            .arg(format!("--crate-name={}_code", self.name))
            .args(["-Copt-level=3", "-Cpanic=abort", "-Ccodegen-units=1"])
            .args(["-Cdebuginfo=0", "-Coverflow-checks=off"])
            .arg("-Cdebug-assertions=off")
            .args(["-Crelocation-model=pic", "-Ccode-model=small"])
            .args(["-Cforce-unwind-tables=no", "-Dwarnings"])
            .arg("--emit=obj")
            .arg("-o")
            .arg(object)
            .arg(self.code);
        Ok(rustc)
    }

    fn link(&self, object: &Path, linked: &Path) -> Result<Command, Box<dyn Error>> {
        let mut lld = Command::new(rust_lld()?);
        lld.args(["-flavor", "gnu", "-shared", "--hash-style=both"])
            .args(["--build-id=none", "--gc-sections", "--strip-all"])
            .args(["--orphan-handling=error", "--fatal-warnings"])
            .args(["-z", "max-page-size=4096", "-T", self.script])
            .arg(format!("-soname={}", self.soname))
            .args(self.link)
            .arg("-o")
            .arg(linked)
            .arg(object);
        Ok(lld)
    }
}

/// Tells cargo.
#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
pub fn say(instruction: &str) {
    println!("cargo::{instruction}");
}

/// Pads a file with zeros to a multiple of `size` bytes, into another one.
///
/// # Errors
/// One of them cannot be read or written.
pub fn pad(file: &Path, size: usize, padded: &Path) -> Result<(), Box<dyn Error>> {
    let mut bytes = fs::read(file)?;
    bytes.resize(bytes.len().next_multiple_of(size), 0);
    Ok(fs::write(padded, bytes)?)
}

/// The linker that comes with the toolchain.
fn rust_lld() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(required("RUSTC")?)
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let host = required("HOST")?;
    let name = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    let programs = sysroot.join("lib/rustlib").join(host).join("bin");
    Ok(programs.join(name))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command
        .status()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?} ended with {status}; is the target {TARGET} installed?").into())
}

/// What cargo tells every build script.
fn required(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: run this through cargo"))
}
