//! How releases end, seen by the harness.

use boot_contract::events::APPLICATION_STARTED;
use boot_contract::status::Ending;
use image::DiskImage;
use qemu::{Boot, End, Forward, Guest, HostPort, Machine, Profile, Verdict, http};
use std::fs::File;
use std::time::Duration;
use tests::{boot, image, scratch};

const LONG: Duration = Duration::from_secs(240);

/// `hello` on a machine with a disk, its application started; its page is at the port.
fn hello() -> (Guest, u16) {
    hello_on("kvm-q35")
}

fn hello_on(machine: &str) -> (Guest, u16) {
    let profile = Profile::named(machine).unwrap();
    let (boot, folder) = boot(&profile, &image("hello"));
    let machine = Machine::new(profile, boot).hold(folder);
    let forward = Forward {
        host: HostPort::Any,
        guest: 8080,
    };
    let mut guest = machine.forward(forward).start().unwrap();
    guest
        .wait_event(APPLICATION_STARTED, LONG)
        .unwrap_or_else(|error| panic!("{error}"));
    let port = guest.host_port(8080).unwrap();
    (guest, port)
}

fn failure(status: u32) -> End {
    End::Guest(Verdict {
        ending: Ending::Failure,
        status,
    })
}

#[test]
fn init_stop_passes_its_status_on() {
    let (mut guest, port) = hello();
    let page = http::get(port, "/stop?status=3", LONG).unwrap();
    assert_eq!(page.body, "stopping with status 3\n");
    assert_eq!(guest.wait_end(LONG).unwrap(), failure(3));
}

#[test]
fn halt_passes_its_status_on() {
    let (mut guest, port) = hello();
    // The machine is gone before it could answer.
    let _ = http::get(port, "/halt?status=4", LONG);
    assert_eq!(guest.wait_end(LONG).unwrap(), failure(4));
}

#[test]
fn the_power_button_stops_the_release() {
    for machine in ["kvm-pc", "kvm-q35", "microvm"] {
        let (mut guest, _) = hello_on(machine);
        guest.press_power_button();
        assert!(guest.wait_end(LONG).unwrap().is_success(), "{machine}");
        assert!(guest.console().contains("SIGTERM received"), "{machine}");
    }
}

#[test]
fn a_guest_that_is_asked_tells_what_it_does() {
    let profile = Profile::named("kvm-q35").unwrap();
    let (boot, folder) = boot(&profile, &image("hello"));
    let machine = Machine::new(profile, boot).cpus(2).hold(folder);
    let mut guest = machine.start().unwrap();
    guest
        .wait_event(APPLICATION_STARTED, LONG)
        .unwrap_or_else(|error| panic!("{error}"));
    guest.inject_nmi();
    let end = guest.wait_end(LONG).unwrap();
    let console = guest.console();
    let panicked = Verdict {
        ending: Ending::Panic,
        status: 0,
    };
    assert_eq!(end, End::Guest(panicked), "{console}");
    assert!(console.contains("by a non-maskable interrupt"), "{console}");
    let other = ["CPU 0 ", "CPU 1 "].map(|cpu| console.contains(&format!("\n{cpu}")));
    assert_ne!(other[0], other[1], "{console}");
    for call in ["futex", "epoll_wait"] {
        assert!(
            console.contains(&format!("waits, last call {call}")),
            "{console}"
        );
    }
}

#[test]
fn many_requests_are_answered() {
    let (mut guest, port) = hello();
    for _ in 0..200 {
        let page = http::get(port, "/", LONG).unwrap();
        assert_eq!(page.status, 200);
    }
    let _ = http::get(port, "/stop?status=0", LONG);
    assert!(guest.wait_end(LONG).unwrap().is_success());
}

#[test]
fn a_root_archive_without_a_program_is_a_bad_image() {
    let folder = scratch();
    let kernel = folder.path().join("kernel");
    let root = folder.path().join("root");
    let image = DiskImage::open(&image("hello")).unwrap();
    image
        .copy(image.kernel, &mut File::create(&kernel).unwrap())
        .unwrap();
    std::fs::write(&root, "this is no archive").unwrap();
    let boot = Boot::Direct {
        kernel,
        root,
        cmdline: String::new(),
    };
    let machine = Machine::new(Profile::named("microvm").unwrap(), boot);
    let end = machine.start().unwrap().wait_end(LONG).unwrap();
    assert_eq!(
        end,
        End::Guest(Verdict {
            ending: Ending::BadImage,
            status: 0
        })
    );
}
