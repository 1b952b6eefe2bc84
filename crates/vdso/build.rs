//! Compiles `code/vdso.rs` with the compiler of the build and links it with the `rust-lld` beside
//! it: no other program is needed, and the bytes depend on the toolchain only.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-none";
const PAGE: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    for input in [
        "build.rs",
        "code/vdso.rs",
        "code/vdso.ld",
        "src/clock_page.rs",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(required("OUT_DIR")?);
    let (object, linked, image) = (
        out.join("vdso.o"),
        out.join("vdso.so"),
        out.join("vdso.img"),
    );
    run(&mut compile(&object)?)?;
    run(&mut link(&object, &linked)?)?;
    pad_to_pages(&linked, &image)?;
    println!("cargo::rustc-env=VDSO_IMAGE={}", image.display());
    Ok(())
}

fn compile(object: &Path) -> Result<Command, Box<dyn Error>> {
    let mut rustc = Command::new(required("RUSTC")?);
    rustc
        .args([
            "--edition=2024",
            "--crate-name=vdso_code",
            "--crate-type=lib",
        ])
        .args(["--target", TARGET])
        .args(["-Copt-level=3", "-Cpanic=abort", "-Ccodegen-units=1"])
        .args([
            "-Cdebuginfo=0",
            "-Coverflow-checks=off",
            "-Cdebug-assertions=off",
        ])
        .args(["-Crelocation-model=pic", "-Ccode-model=small"])
        .args(["-Cforce-unwind-tables=no", "-Dwarnings"])
        .arg("--emit=obj")
        .arg("-o")
        .arg(object)
        .arg("code/vdso.rs");
    Ok(rustc)
}

fn link(object: &Path, linked: &Path) -> Result<Command, Box<dyn Error>> {
    let mut lld = Command::new(rust_lld()?);
    lld.args(["-flavor", "gnu", "-shared", "-soname=linux-vdso.so.1"])
        .args(["-T", "code/vdso.ld"])
        .args([
            "--hash-style=both",
            "--build-id=none",
            "-Bsymbolic",
            "--no-undefined",
        ])
        .args([
            "-z",
            "rodynamic",
            "-z",
            "norelro",
            "-z",
            "max-page-size=4096",
        ])
        .args([
            "--gc-sections",
            "--strip-all",
            "--orphan-handling=error",
            "--fatal-warnings",
        ])
        .arg("-o")
        .arg(linked)
        .arg(object);
    Ok(lld)
}

/// The linker that comes with the toolchain.
fn rust_lld() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(required("RUSTC")?)
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let host = required("HOST")?;
    let name = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    Ok(sysroot
        .join("lib/rustlib")
        .join(host)
        .join("bin")
        .join(name))
}

fn pad_to_pages(linked: &Path, image: &Path) -> Result<(), Box<dyn Error>> {
    let mut bytes = std::fs::read(linked)?;
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    Ok(std::fs::write(image, bytes)?)
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command
        .status()
        .map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?} ended with {status}; is the target {TARGET} installed?").into())
}

fn required(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: run this through cargo"))
}
