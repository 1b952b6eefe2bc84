//! Disks for rumprun. No baked program is at hand: a stand-in of the same shape prints what it was handed, by our boot
//! stage and, as an independent judge, by QEMU's own Multiboot loader.

use image::rumprun::config::{Address, Blk, Configuration, Net, Step};
use image::rumprun::{RumprunImage, RumprunSpec, assemble};
use image::{DiskSpec, RootEntry};
use qemu::{Boot, End, Machine, Profile, Verdict};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{repository, scratch, succeed};

const LONG: Duration = Duration::from_secs(120);

/// Compiles the stand-in.
fn program(folder: &Path) -> Vec<u8> {
    let sources = repository().join("tests/boot/rumprun");
    let output = folder.join("program.bin");
    let script = sources.join("program.ld");
    let link = [
        "--no-eh-frame-hdr",
        "--build-id=none",
        "-zmax-page-size=0x1000",
    ];
    succeed(
        Command::new("rustc")
            .args([
                "--edition=2024",
                "--target=x86_64-unknown-none",
                "-Copt-level=s",
            ])
            .args(["-Crelocation-model=static", "-Ccode-model=small"])
            .args(link.map(|argument| format!("-Clink-arg={argument}")))
            .arg(format!("-Clink-arg=-T{}", script.display()))
            .arg("-o")
            .arg(&output)
            .arg(sources.join("program.rs")),
    );
    fs::read(output).unwrap()
}

fn configuration() -> Configuration {
    let words = ["beam", "-eval", "io:format(\"a b\").", ""];
    Configuration {
        steps: vec![
            Step::Blk(Blk::own_disk("/opt/erlang")),
            Step::Env("HOME=/tmp".into()),
            Step::Env("LANG=C.UTF-8".into()),
            Step::Hostname("erlang".into()),
            Step::Net(Net {
                interface: "vioif0".into(),
                cloner: false,
                address: Address::Dhcp,
            }),
            Step::Cmdline(words.map(String::from).into()),
        ],
    }
}

/// What the stand-in says of [`configuration`], with the escapes of JSON.
const CONFIGURATION: &str = r#"config/blk/source=dev
config/blk/path=/dev/ld0a
config/blk/fstype=blk
config/blk/mountpoint=/opt/erlang
config/env=HOME=/tmp
config/env=LANG=C.UTF-8
config/hostname=erlang
config/net/if=vioif0
config/net/type=inet
config/net/method=dhcp
config/cmdline=beam -eval 'io:format(\"a b\").' ''
whole=true
"#;

/// A disk with the stand-in and some files.
fn disk(folder: &Path) -> PathBuf {
    let path = folder.join("rumprun.img");
    let root = [
        RootEntry::bytes("/lib/erlang/bin/start.boot", vec![7; 100_000], 0o644),
        RootEntry::symlink("/lib/erlang/releases", "../../releases"),
    ];
    let spec = RumprunSpec {
        program: &program(folder),
        boot_sector: boot_images::BOOT_SECTOR,
        bios_stage: boot_images::BIOS_STAGE,
        configuration: &configuration(),
        root: &root,
        manifest: None,
        mtime: 0,
        disk: DiskSpec::default(),
    };
    assemble(&spec, &path, &mut |_| {}).unwrap();
    path
}

fn machine(profile: &str, boot: Boot) -> Machine {
    let machine = Machine::new(Profile::named(profile).unwrap(), boot);
    machine.network(false).memory_mib(64)
}

/// Starts a machine and gives what it prints until its good end.
fn run(machine: Machine) -> String {
    let mut guest = machine.start().unwrap();
    let end = guest.wait_end(LONG).unwrap();
    let console = guest.console().replace('\r', "");
    let good = End::Guest(Verdict {
        ending: boot_contract::status::Ending::Success,
        status: 0,
    });
    assert_eq!(end, good, "{console}");
    console
}

/// The stand-in's lines after that with its loader.
fn after_loader<'a>(console: &'a str, loader: &str) -> &'a str {
    let head = format!("magic=true\nloader={loader}\n");
    let at = console.find(&head).unwrap_or_else(|| panic!("{console}"));
    &console[at + head.len()..]
}

fn check(said: &str) {
    assert!(said.contains("data=true\nzeros=true\n"), "{said}");
    assert!(said.contains("range=0x100000 size="), "{said}");
    assert!(said.contains("modules=1\naligned=true size="), "{said}");
    assert!(said.ends_with(CONFIGURATION), "{said}");
}

#[test]
fn a_disk_boots_its_program_with_its_configuration() {
    let folder = scratch();
    let disk = disk(folder.path());
    for profile in ["kvm-pc", "kvm-q35", "pc-ide"] {
        let console = run(machine(profile, Boot::raw_disk(&disk)));
        check(after_loader(&console, "unibeam"));
    }
}

/// The lines that do not depend on the loader.
fn common(said: &str) -> Vec<&str> {
    // QEMU gives more information than a boot stage has to.
    let lines = said.lines();
    lines.filter(|line| !line.starts_with("flags=")).collect()
}

#[test]
fn qemu_hands_over_the_same_as_our_boot_stage() {
    let folder = scratch();
    let disk = disk(folder.path());
    let image = RumprunImage::open(&disk).unwrap();
    let kernel = folder.path().join("kernel");
    image
        .copy(image.program, &mut File::create(&kernel).unwrap())
        .unwrap();
    let root = folder.path().join("config.json");
    fs::write(&root, image.configuration.emit().unwrap()).unwrap();
    let direct = Boot::Direct {
        kernel,
        root,
        cmdline: String::new(),
    };
    // With the disk, too: the firmware takes memory to drive it.
    let drive = format!("if=virtio,format=raw,file={}", disk.display());
    let direct = machine("q35-direct", direct);
    let theirs = run(direct.argument("-drive").argument(&drive));
    let theirs = after_loader(&theirs, "qemu");
    check(theirs);
    let ours = run(machine("kvm-q35", Boot::raw_disk(&disk)));
    let ours = after_loader(&ours, "unibeam");
    assert_eq!(common(ours), common(theirs));
}
