//! The harness itself, on real QEMU with guests of a few instructions.

use boot_contract::status::{EXIT_PORT, Ending};
use qemu::{Accel, Boot, End, Guest, Machine, Profile, Verdict, WaitError, probe_runs};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// SeaBIOS starts the boot sector in about a second of emulation.
const LONG: Duration = Duration::from_secs(60);

/// SeaBIOS reads no disk of less than a cylinder.
const DISK_SIZE: u64 = 1 << 20;

/// Builds a boot sector (16-bit code) that writes bytes to ports.
#[derive(Default)]
struct Sector(Vec<u8>);

impl Sector {
    fn out(mut self, port: u16, bytes: &[u8]) -> Self {
        let [low, high] = port.to_le_bytes();
        for &byte in bytes {
            // mov dx, port; mov al, byte; out dx, al
            self.0.extend([0xba, low, high, 0xb0, byte, 0xee]);
        }
        self
    }

    fn code(mut self, code: &[u8]) -> Self {
        self.0.extend(code);
        self
    }

    fn start(self) -> (Guest, NamedTempFile) {
        let mut sector = self.0;
        assert!(
            sector.len() <= 510,
            "the guest is too long for a boot sector"
        );
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        let mut disk = NamedTempFile::new().unwrap();
        disk.write_all(&sector).unwrap();
        disk.as_file().set_len(DISK_SIZE).unwrap();
        let profile = Profile::named("kvm-pc").unwrap();
        let boot = Boot::raw_disk(disk.path());
        let guest = Machine::new(profile, boot)
            .network(false)
            .memory_mib(16)
            .start()
            .unwrap();
        (guest, disk)
    }
}

const SERIAL: u16 = 0x3f8;
const DEBUG: u16 = boot_contract::events::DEBUG_PORT;
/// cli; hlt; jmp back to hlt
const HANG: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];

#[test]
fn an_end_is_told_by_event_and_status() {
    let (mut guest, _disk) = Sector::default()
        .out(SERIAL, b"hi\n")
        .out(DEBUG, b"@unibeam 7 exit kind=failure status=3\n")
        .out(EXIT_PORT, &[Ending::Failure.code()])
        .start();
    let end = guest.wait_end(LONG).unwrap();
    assert_eq!(
        end,
        End::Guest(Verdict {
            ending: Ending::Failure,
            status: 3
        })
    );
    assert_eq!(guest.console().trim(), "hi");
    assert_eq!(guest.events().len(), 1);
}

#[test]
fn the_status_alone_tells_the_kind() {
    let (mut guest, _disk) = Sector::default()
        .out(EXIT_PORT, &[Ending::Panic.code()])
        .start();
    let end = guest.wait_end(LONG).unwrap();
    assert_eq!(
        end,
        End::Guest(Verdict {
            ending: Ending::Panic,
            status: 0
        })
    );
}

#[test]
fn a_contradiction_is_no_success() {
    let (mut guest, _disk) = Sector::default()
        .out(DEBUG, b"@unibeam 7 exit kind=success status=0\n")
        .out(EXIT_PORT, &[Ending::Panic.code()])
        .start();
    let end = guest.wait_end(LONG).unwrap();
    assert!(matches!(end, End::Contradiction { .. }), "{end}");
}

#[test]
fn events_and_console_are_waited_for() {
    let (mut guest, _disk) = Sector::default()
        .out(DEBUG, b"noise\n@unibeam 42 kernel-up\n")
        .out(SERIAL, b"ready")
        .code(HANG)
        .start();
    assert_eq!(guest.wait_event("kernel-up", LONG).unwrap().ns, 42);
    guest.wait_console("ready", LONG).unwrap();
    guest.quit();
    assert_eq!(guest.wait_end(LONG).unwrap(), End::Stopped);
}

#[test]
fn a_wait_in_vain_shows_the_console() {
    let (mut guest, _disk) = Sector::default()
        .out(SERIAL, b"last words\n")
        .code(HANG)
        .start();
    guest.wait_console("last words", LONG).unwrap();
    let error = guest
        .wait_event("application-started", Duration::from_millis(50))
        .unwrap_err();
    assert!(matches!(error, WaitError::Timeout { .. }));
    let text = error.to_string();
    assert!(
        text.contains("application-started") && text.contains("\n    last words"),
        "{text}"
    );
}

#[test]
fn a_triple_fault_is_a_reset() {
    // lidt [cs:0x7c00+6]: a table without entries; int3 then faults three times.
    let lidt_and_int3 = [0x2e, 0x0f, 0x01, 0x1e, 0x07, 0x7c, 0xcc, 0, 0, 0, 0, 0, 0];
    let (mut guest, _disk) = Sector::default().code(&lidt_and_int3).start();
    assert_eq!(guest.wait_end(LONG).unwrap(), End::Reset);
}

#[test]
fn an_end_before_an_event_is_told() {
    let (mut guest, _disk) = Sector::default()
        .out(EXIT_PORT, &[Ending::Success.code()])
        .start();
    let error = guest.wait_event("kernel-up", LONG).unwrap_err();
    let WaitError::Ended { end, .. } = error else {
        panic!("{error}");
    };
    assert!(end.is_success());
}

#[test]
fn another_thread_ends_a_wait() {
    let (mut guest, _disk) = Sector::default().code(HANG).start();
    let interrupter = guest.interrupter();
    let thread = std::thread::spawn(move || interrupter.interrupt(15));
    let error = guest.wait_end(LONG).unwrap_err();
    assert!(
        matches!(error, WaitError::Interrupted { signal: 15 }),
        "{error}"
    );
    thread.join().unwrap();
}

#[test]
fn a_dropped_guest_leaves_no_process() {
    let (guest, _disk) = Sector::default().code(HANG).start();
    let process = format!("/proc/{}", guest.process_id());
    assert!(Path::new(&process).exists());
    drop(guest);
    assert!(!Path::new(&process).exists());
}

#[test]
fn qemus_own_failure_is_shown() {
    let profile = Profile::named("kvm-pc").unwrap();
    let boot = Boot::raw_disk("/nonexistent.img");
    let error = Machine::new(profile, boot).start().unwrap_err();
    assert!(error.to_string().contains("/nonexistent.img"), "{error}");
}

#[test]
fn the_guest_of_the_kvm_probe_ends_as_expected() {
    // Under emulation: what is tested is the guest, not this machine's KVM.
    assert!(probe_runs(Path::new("qemu-system-x86_64"), Accel::Tcg).unwrap());
}
