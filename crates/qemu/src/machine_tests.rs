use super::{Boot, Forward, HostPort, Machine, StartError, quote_word};
use crate::accel::Accel;
use crate::cmdline::shell_line;
use crate::end::End;
use crate::profile::Profile;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn disk() -> Boot {
    Boot::raw_disk("/tmp/a,b.img")
}

fn direct() -> Boot {
    Boot::Direct {
        kernel: "/t/kernel".into(),
        root: "/t/root".into(),
        cmdline: "ip=dhcp\n".into(),
    }
}

fn machine(profile: &str, boot: Boot) -> Machine {
    Machine::new(Profile::named(profile).unwrap(), boot)
}

fn line(machine: &Machine, ports: &[(u16, u16)]) -> String {
    let arguments = machine.arguments(Path::new("/s/events"), Path::new("/s/qmp"), ports);
    shell_line(arguments.iter().map(AsRef::as_ref))
}

const CHANNELS: &str = "-chardev stdio,id=console -serial chardev:console \
    -chardev socket,id=events,path=/s/events -device isa-debugcon,iobase=0xe9,chardev=events \
    -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
    -chardev socket,id=qmp,path=/s/qmp -mon chardev=qmp,mode=control";

#[test]
fn a_disk_machine_takes_words_through_fw_cfg() {
    let machine = machine("kvm-pc", disk())
        .memory_mib(128)
        .cpus(2)
        .kernel_word("dns=1.1.1.1,8.8.8.8")
        .kernel_word("env.A=x y");
    let expected = format!(
        "-machine pc,accel=tcg -cpu max -m 128M -smp 2 -nodefaults -no-user-config -no-reboot -display none \
         -drive file=/tmp/a,,b.img,if=none,id=disk,format=raw,snapshot=on \
         -device virtio-blk-pci,drive=disk,bootindex=0 \
         -fw_cfg 'name=opt/unibeam/cmdline,string=dns=1.1.1.1,,8.8.8.8 \"env.A=x y\"' \
         -netdev user,id=net0,hostfwd=tcp:127.0.0.1:1234-:80 -device virtio-net-pci,romfile=,netdev=net0 \
         -device virtio-rng-pci {CHANNELS}"
    );
    assert_eq!(line(&machine, &[(1234, 80)]), expected);
}

#[test]
fn a_direct_machine_takes_words_through_its_command_line() {
    let machine = machine("microvm", direct())
        .accel(Accel::Kvm)
        .network(false)
        .kernel_word("test=panic");
    let expected = format!(
        "-machine microvm,acpi=on,rtc=on,pit=on,pic=on,accel=kvm -cpu host -m 256M -smp 1 \
         -nodefaults -no-user-config -no-reboot -display none \
         -kernel /t/kernel -initrd /t/root -append 'ip=dhcp test=panic' \
         -device virtio-rng-device {CHANNELS} -global virtio-mmio.force-legacy=false"
    );
    assert_eq!(line(&machine, &[]), expected);
}

#[test]
fn a_machine_refuses_what_it_cannot_start_from() {
    for (profile, boot) in [("kvm-pc", direct()), ("microvm", disk())] {
        let error = machine(profile, boot).start().unwrap_err();
        assert!(matches!(error, StartError::WrongBoot { .. }), "{error}");
    }
}

#[test]
fn words_with_spaces_are_quoted() {
    assert_eq!(quote_word("a=b"), "a=b");
    assert_eq!(quote_word("env.A=b c"), "\"env.A=b c\"");
}

#[test]
fn a_missing_qemu_is_named_with_the_remedy() {
    let error = machine("kvm-pc", disk())
        .program("/nonexistent/qemu".into())
        .start()
        .unwrap_err();
    assert!(matches!(error, StartError::NoQemu { .. }));
    assert!(
        error
            .to_string()
            .contains("apt-get install qemu-system-x86"),
        "{error}"
    );
}

/// A program that stands for a QEMU that fails at once. It runs through a shell script that another
/// thread's fork may hold open for a moment ("text file busy"), hence the separate interpreter.
fn failing_qemu(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("qemu");
    let write = format!("printf '#!/bin/sh\\n%s\\n' '{script}' > {}", path.display());
    assert!(
        Command::new("sh")
            .args(["-c", &write])
            .status()
            .unwrap()
            .success()
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_qemu_says_when_it_fails_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let program = failing_qemu(folder.path(), "echo bad option >&2; exit 1");
    let error = machine("kvm-pc", disk())
        .program(program)
        .start()
        .unwrap_err();
    let StartError::Refused {
        end: End::QemuFailed { code: 1, stderr },
        command,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(stderr, "bad option\n");
    assert!(command.contains("-drive"));
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = "Could not set up host forwarding rule \"tcp:127.0.0.1:8080-:80\"";
    let program = failing_qemu(folder.path(), &format!("echo {message:?} >&2; exit 1"));
    let forward = |host| Forward { host, guest: 80 };
    let fixed = machine("kvm-pc", disk())
        .program(program.clone())
        .forward(forward(HostPort::Fixed(8080)));
    assert!(matches!(
        fixed.start(),
        Err(StartError::PortInUse { port: 8080 })
    ));
    let any = machine("kvm-pc", disk())
        .program(program)
        .forward(forward(HostPort::Any));
    assert!(matches!(
        any.start(),
        Err(StartError::NoPort { source: None })
    ));
}
