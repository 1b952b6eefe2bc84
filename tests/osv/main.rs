//! Boots of real OSv kernels, which are not part of this repository: `UNIBEAM_OSV` names their files,
//! separated by colons. `scripts/osv` runs these tests, or says how many it leaves out.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use bases::Base;
use bases::osv::{LaunchMode, Osv};
use boot_contract::events;
use boot_contract::status::Ending;
use image::osv::OsvImage;
use qemu::{Boot, End, Forward, Guest, HostPort, Machine, Profile, Verdict, http};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tests::{make_image, output, release, scratch, succeed};

/// OSv takes some seconds of emulation, on a busy host many.
const LONG: Duration = Duration::from_secs(180);

/// A kernel and a way to load the emulator.
struct Way {
    /// Name of images made for it.
    name: String,
    file: PathBuf,
    mode: LaunchMode,
}

/// Every kernel that is named, in each of its modes.
fn ways() -> Vec<Way> {
    let list = std::env::var_os("UNIBEAM_OSV").expect("UNIBEAM_OSV names files with OSv kernels");
    let files: Vec<_> = std::env::split_paths(&list).collect();
    let ways = files.iter().enumerate().flat_map(|(number, file)| {
        let osv = Osv::open(file).unwrap_or_else(|error| panic!("{error}"));
        println!("{}: OSv {}", file.display(), osv.version());
        let modes = osv.facts().launch_modes().into_iter();
        modes.map(move |mode| Way {
            name: format!("{number}-{mode}"),
            file: file.clone(),
            mode,
        })
    });
    ways.collect()
}

impl Way {
    fn flags(&self, more: &[&str]) -> Vec<String> {
        let base = format!("osv:{}", self.file.display());
        let own = ["--base", &base, "--osv-launch", self.mode.name()];
        own.iter().chain(more).map(|&flag| flag.into()).collect()
    }

    /// An image of an example for it.
    fn image(&self, example: &str, more: &[&str]) -> PathBuf {
        let name = format!("{example}-{}", self.name);
        make_image(&name, &release(example), &self.flags(more))
    }

    /// The numbers of processors that it can have: the kernel's linker needs two.
    fn processors(&self) -> &'static [u32] {
        match self.mode {
            LaunchMode::LdLinux => &[1, 2, 4],
            LaunchMode::Kernel => &[2, 4],
        }
    }
}

fn machine(image: &Path, cpus: u32, port: u16) -> Machine {
    let forward = Forward {
        host: HostPort::Any,
        guest: port,
    };
    let profile = Profile::named("osv-pc").unwrap();
    let machine = Machine::new(profile, Boot::raw_disk(image));
    machine.cpus(cpus).forward(forward)
}

fn page(guest: &Guest, port: u16) -> String {
    let host = guest.host_port(port).unwrap();
    http::get(host, "/", LONG).unwrap().body
}

fn started(machine: Machine) -> Guest {
    let mut guest = machine.start().unwrap();
    guest.wait_event(events::APPLICATION_STARTED, LONG).unwrap();
    guest
}

fn end(ending: Ending, status: u32) -> End {
    End::Guest(Verdict { ending, status })
}

#[test]
fn a_release_answers_over_http_on_any_number_of_processors() {
    for way in ways() {
        let image = way.image("hello", &[]);
        for &cpus in way.processors() {
            let guest = started(machine(&image, cpus, 8080));
            let page = page(&guest, 8080);
            assert!(page.contains("OTP 25"), "{} on {cpus}: {page}", way.name);
        }
    }
}

#[test]
fn an_elixir_release_answers_over_http() {
    for way in ways() {
        let image = way.image("hello_elixir", &[]);
        let guest = started(machine(&image, 2, 4000));
        let page = page(&guest, 4000);
        assert!(page.contains("Elixir"), "{}: {page}", way.name);
    }
}

#[test]
fn nifs_work_and_the_status_is_told() {
    for way in ways() {
        let image = way.image("crypto_check", &[]);
        let mut guest = machine(&image, 2, 80).start().unwrap();
        let end_of_it = guest.wait_end(LONG).unwrap();
        let console = guest.console();
        assert_eq!(
            end_of_it,
            end(Ending::Success, 0),
            "{}\n{console}",
            way.name
        );
        assert!(console.contains("crypto: aes_256_gcm true"), "{console}");
    }
}

#[test]
fn a_kernel_alone_boots_a_disk_without_one() {
    for way in ways() {
        let folder = scratch();
        let osv = Osv::open(&way.file).unwrap();
        let kernel = folder.path().join("loader.elf");
        std::fs::write(&kernel, osv.file().kernel()).unwrap();
        let alone = Way {
            name: format!("alone-{}", way.name),
            file: kernel.clone(),
            mode: way.mode,
        };
        let image = alone.image("hello", &[]);
        let guest = started(direct(&image, kernel, folder));
        assert!(page(&guest, 8080).contains("OTP 25"), "{}", way.name);
    }
}

/// A machine that is given the kernel.
fn direct(image: &Path, kernel: PathBuf, folder: TempDir) -> Machine {
    let cmdline = OsvImage::open(image).unwrap().cmdline;
    let boot = Boot::Kernel {
        kernel,
        cmdline,
        disk: image.into(),
        format: "raw",
    };
    let forward = Forward {
        host: HostPort::Any,
        guest: 8080,
    };
    let profile = Profile::named("osv-direct").unwrap();
    let machine = Machine::new(profile, boot).hold(folder);
    machine.cpus(2).forward(forward)
}

/// The name of the node, at an address that both sides have.
const NODE: &str = "hello@127.0.0.1";
const COOKIE: &str = "kept-in-no-file";
/// Where a node without epmd listens, unless it is told otherwise.
const DISTRIBUTION: u16 = 4370;

/// A distributed node in a guest.
fn node(way: &Way) -> Guest {
    let flags = format!("ERL_ZFLAGS=-name {NODE}");
    let image = way.image("hello", &["--cookie", COOKIE, "--env", &flags]);
    started(machine(&image, 2, DISTRIBUTION))
}

/// What an expression gives in the guest's node, which is called from a node on this host.
fn call(guest: &Guest, module: &str, function: &str, arguments: &str) -> String {
    let port = guest.host_port(DISTRIBUTION).unwrap();
    let code = format!(
        "io:format(\"~w\", [rpc:call('{NODE}', {module}, {function}, {arguments})]), halt()."
    );
    let mut erl = Command::new("erl");
    erl.args(["-noshell", "-name", "host@127.0.0.1", "-setcookie", COOKIE])
        .args(["-start_epmd", "false", "-dist_listen", "false"])
        .args(["-erl_epmd_port", &port.to_string(), "-eval", &code]);
    succeed(&mut erl)
}

#[test]
fn a_node_is_called_without_epmd_and_stops() {
    for way in ways() {
        let mut guest = node(&way);
        assert_eq!(call(&guest, "erlang", "node", "[]"), format!("'{NODE}'"));
        assert_eq!(
            call(&guest, "erlang", "get_cookie", "[]"),
            format!("'{COOKIE}'")
        );
        assert_eq!(call(&guest, "init", "stop", "[]"), "ok");
        let ended = guest.wait_end(LONG).unwrap();
        assert_eq!(ended, end(Ending::Success, 0), "{}", way.name);
    }
}

#[test]
fn programs_and_the_native_resolver_fail_and_nothing_else_does() {
    for way in ways() {
        let guest = node(&way);
        for _ in 0..20 {
            let port = call(&guest, "erlang", "open_port", "[{spawn, \"ls\"}, []]");
            assert!(port.contains("enotsup"), "{}: {port}", way.name);
        }
        let command = call(&guest, "os", "cmd", "[\"ls\"]");
        assert!(command.contains("'EXIT'"), "{}: {command}", way.name);
        let native = "[\"localhost\"]";
        let native = call(&guest, "inet_gethost_native", "gethostbyname", native);
        assert_eq!(native, "{error,enotsup}", "{}", way.name);
        let address = call(&guest, "inet", "getaddr", "[\"localhost\", inet]");
        assert_eq!(address, "{ok,{127,0,0,1}}", "{}", way.name);
        assert_eq!(call(&guest, "erlang", "node", "[]"), format!("'{NODE}'"));
    }
}

#[test]
fn every_end_is_told() {
    for way in ways() {
        for (argument, expected) in [
            ("[7]", end(Ending::Failure, 7)),
            ("[abort]", end(Ending::Signal, 6)),
        ] {
            let mut guest = node(&way);
            call(&guest, "erlang", "halt", argument);
            let ended = guest.wait_end(LONG).unwrap();
            assert_eq!(ended, expected, "{}\n{}", way.name, guest.console());
        }
    }
}

#[test]
fn a_kernel_that_aborts_is_told_from_one_that_works() {
    for way in ways() {
        let image = way.image("hello", &[]);
        let mut guest = machine(&image, 2, 8080).memory_mib(40).start().unwrap();
        let ended = guest.wait_end(LONG).unwrap();
        let told = [Ending::Panic, Ending::OutOfMemory].map(|ending| end(ending, 0));
        assert!(
            told.contains(&ended),
            "{}: {ended}\n{}",
            way.name,
            guest.console()
        );
    }
}

#[test]
fn variables_and_the_address_can_be_given() {
    for way in ways() {
        let network = [
            "--ip",
            "10.0.2.15/24",
            "--gateway",
            "10.0.2.2",
            "--env",
            "GREETING=a $b ü",
        ];
        let flags = format!("ERL_ZFLAGS=-name {NODE}");
        let more = ["--cookie", COOKIE, "--env", &flags];
        let image = way.image("hello", &[&network[..], &more].concat());
        let guest = started(machine(&image, 2, DISTRIBUTION));
        let greeting = call(&guest, "os", "getenv", "[\"GREETING\"]");
        assert_eq!(greeting, "[97,32,36,98,32,252]", "{}", way.name);
    }
}

#[test]
fn run_ends_with_the_status_of_the_release() {
    for way in ways() {
        let image = way.image("halt", &[]);
        let mut run = tests::unibeam();
        run.arg("run").arg(&image);
        run.args([
            "--smp",
            "2",
            "--accel",
            "tcg",
            "--timeout",
            "180",
            "--env",
            "A=b",
        ]);
        let result = output(&mut run);
        assert_eq!(result.status.code(), Some(0), "{}: {result:?}", way.name);
        let console = String::from_utf8_lossy(&result.stdout).into_owned();
        assert!(console.contains("halt: started"), "{console}");
    }
}
