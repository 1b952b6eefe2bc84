//! How the machine comes up: devices, root, network, then the program of the image.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use boot_contract::init::{self, Init};
use boot_contract::{cmdline, events};
use linux_abi::Errno;
use machine::boot::BootInfo;
use machine::dev::{self, clock as machine_clock, fw_cfg, serial};
use net::{Addressing, Addressing6, Config};
use vfs::{FdTable, File, Follow, OpenFile, OpenFlags};

use crate::task::{FileSystemContext, Program, Task, create_process};
use crate::{
    clock, clock_page, console, devices, ending, event, files, host, network, proc, random,
    release, sched, syscall, tty,
};

/// Longest addition to the command line that QEMU may hand over.
const EXTRA_MAX: usize = 16 * 1024;

/// The part of the command line that the kernel acts on (`boot_contract::cmdline`).
#[derive(Default)]
struct Options {
    address: Option<String>,
    gateway: Option<Ipv4Addr>,
    address6: Option<String>,
    gateway6: Option<Ipv6Addr>,
    dns: Vec<IpAddr>,
    hostname: Option<String>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    panic: bool,
    fault: bool,
    overflow: bool,
    trace: bool,
    terminal: Option<(u16, u16)>,
}

/// Runs the machine.
pub fn run(info: BootInfo) -> ! {
    serial::init();
    machine::cpu::adopt_boot_thread();
    machine::cpu::set_exit_hook(sched::exit_current);
    let extra = fw_cfg::read(fw_cfg::COMMAND_LINE, EXTRA_MAX).unwrap_or_default();
    let line = format!("{} {}", info.cmdline, String::from_utf8_lossy(&extra));
    let found = dev::init(&line, info.rsdp);
    clock::init(
        machine_clock::tsc_khz(),
        machine_clock::wall_clock_unix_seconds().unwrap_or(0),
    );
    event::report(events::KERNEL_UP, "");
    for failure in &found.failures {
        console::log!("{failure}");
    }
    if !random::init(found.entropy) {
        console::log!("no source of randomness: keys made here can be guessed");
    }
    let options = Options::parse(&line);
    syscall::set_trace(options.trace);
    if options.panic {
        start_other_cpus(&found.processors, panic_for_test);
        panic_for_test();
    }
    if options.fault {
        machine::mem::write_to_own_code();
        panic!("asked for a fault by test=fault, but the code can be written to");
    }
    if options.overflow {
        start_other_cpus(&found.processors, overflow_for_test);
        overflow_for_test();
    }
    start_other_cpus(&found.processors, sched::idle);
    let init = prepare_root(info.root_archive);
    host::set_name(options.hostname.as_deref().unwrap_or(&init.hostname));
    clock_page::init();
    event::report(events::ROOT_READY, "");
    network::init(found.network, options.network());
    if let Some((rows, columns)) = options.terminal {
        tty::set_size(rows, columns);
    }
    serial::set_receive_interrupt(true);
    tty::receive();
    start(init, options);
    sched::idle()
}

/// On all CPUs at once, where there are several: there must be one epitaph all the same.
fn panic_for_test() -> ! {
    panic!("asked for by test=panic")
}

/// On all CPUs at once: the boot stack and those of other CPUs have guards.
fn overflow_for_test() -> ! {
    let depth = machine::mem::overflow_stack(0);
    panic!("asked for by test=overflow, but the stack holds {depth} frames")
}

/// Starts the other CPUs; each runs `main`.
fn start_other_cpus(processors: &[u32], main: fn() -> !) {
    for apic in machine::cpu::start_others(processors, main) {
        console::log!(
            "the CPU with APIC identifier {apic} did not start; the machine goes without"
        );
    }
}

/// Indexes the root archive, adds the kernel's own files and reads what to run.
fn prepare_root(archive: &'static [u8]) -> Init {
    if archive.is_empty() {
        ending::bad_image("root archive", "the boot stage handed over none");
    }
    if let Err(error) = files::init(archive) {
        ending::bad_image("root archive", error);
    }
    for (what, result) in [
        ("/dev", devices::add(files::tree())),
        ("/proc", proc::add(files::tree())),
    ] {
        if let Err(error) = result {
            ending::bad_image(what, error);
        }
    }
    for (path, permissions) in [("/tmp", 0o1777), ("/etc", 0o755), ("/root", 0o700)] {
        // Most images have them already.
        let _ = files::tree().mkdir(files::tree().root(), path.as_bytes(), permissions);
    }
    let text = files::read_file(init::PATH.as_bytes())
        .unwrap_or_else(|error| ending::bad_image(init::PATH, error));
    Init::parse(&text).unwrap_or_else(|error| ending::bad_image(init::PATH, error))
}

/// Starts the program of the image and those beside it.
fn start(mut init: Init, options: Options) {
    init.args.extend(options.args);
    for (name, value) in options.env {
        init.env.retain(|(known, _)| *known != name);
        init.env.push((name, value));
    }
    if let Some(described) = init.release.take() {
        init.hostname = host::name();
        init = release::launch(&described, &init);
    }
    let cwd = if init.cwd.is_empty() { "/" } else { &init.cwd };
    let root = files::tree().root();
    let cwd = files::tree()
        .lookup(root, cwd.as_bytes(), Follow::Yes)
        .unwrap_or_else(|error| ending::bad_image(cwd, error));
    let context = FileSystemContext { cwd, umask: 0o022 };
    let env = init
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}").into_bytes());
    let env: Vec<_> = env.collect();
    let create = |path: &str, args: Vec<String>| -> Arc<Task> {
        let program = Program {
            path: path.as_bytes().to_vec(),
            args: args.into_iter().map(String::into_bytes).collect(),
            env: env.clone(),
        };
        standard_files()
            .and_then(|files| create_process(program, files, context.clone()))
            .unwrap_or_else(|error| ending::bad_image(path, error))
    };
    event::report(events::ERTS_STARTED, &format!("path={}", init.exec));
    // The first process made is process 1, but it relies on the others.
    let first = create(&init.exec, init.args);
    for path in init.beside {
        let beside = create(&path, [path.clone()].into());
        sched::enqueue(beside);
    }
    sched::enqueue(first);
}

/// Standard input, output and error on the console.
fn standard_files() -> Result<FdTable, Errno> {
    let mut table = FdTable::new(syscall::OPEN_FILES as usize);
    let console = OpenFile::new(tty::console() as Arc<dyn File>, OpenFlags::RDWR);
    for _ in 0..3 {
        table.add(Arc::clone(&console), false)?;
    }
    Ok(table)
}

impl Options {
    fn parse(line: &str) -> Self {
        let mut options = Self::default();
        for (key, value) in cmdline::words(line) {
            if !options.apply(key, value) {
                console::log!("unknown word on the command line: {key}={value}");
            }
        }
        options
    }

    /// Takes one word; false if it means nothing here.
    fn apply(&mut self, key: &str, value: &str) -> bool {
        match key {
            "ip" => self.address = Some(value.into()),
            "gw" => self.gateway = parse_address(key, value),
            "ip6" => self.address6 = Some(value.into()),
            "gw6" => self.gateway6 = parse_address(key, value),
            "dns" => {
                self.dns = value
                    .split(',')
                    .filter_map(|one| parse_address(key, one))
                    .collect();
            }
            "hostname" => self.hostname = Some(value.into()),
            "arg" => self.args.push(value.into()),
            "tty" => self.terminal = parse_size(value),
            "test" if value == "panic" => self.panic = true,
            "test" if value == "fault" => self.fault = true,
            "test" if value == "overflow" => self.overflow = true,
            "trace" if value == "syscalls" => self.trace = true,
            // QEMU tells a microvm without ACPI about its devices like this.
            "virtio_mmio.device" => {}
            _ => match key.strip_prefix("env.") {
                Some(name) if !name.is_empty() => self.env.push((name.into(), value.into())),
                _ => return false,
            },
        }
        true
    }

    fn network(&self) -> Config {
        let hostname = host::name();
        // Connections may take a quarter of what is free now.
        let tcp_memory = (machine::mem::statistics().free / 4) as usize;
        Config {
            addressing: self.addressing(),
            addressing6: self.addressing6(),
            dns: self.dns.clone(),
            hostname,
            tcp_memory,
            ..Config::default()
        }
    }

    fn addressing(&self) -> Addressing {
        match self.address.as_deref() {
            None | Some("dhcp") => Addressing::Dhcp,
            Some("none") => Addressing::None,
            Some(text) => match parse_network("ip", text, 24, 32) {
                Some((address, prefix)) => Addressing::Static {
                    address,
                    prefix,
                    gateway: self.gateway,
                },
                None => Addressing::None,
            },
        }
    }

    /// A machine without IPv4 has IPv6 only if it is told so.
    fn addressing6(&self) -> Addressing6 {
        match (self.address6.as_deref(), self.address.as_deref()) {
            (None, Some("none")) | (Some("none"), _) => Addressing6::None,
            (None | Some("auto"), _) => Addressing6::Automatic,
            (Some(text), _) => match parse_network("ip6", text, 64, 128) {
                Some((address, prefix)) => Addressing6::Static {
                    address,
                    prefix,
                    gateway: self.gateway6,
                },
                None => Addressing6::None,
            },
        }
    }
}

fn parse_size(value: &str) -> Option<(u16, u16)> {
    let size = value
        .split_once('x')
        .and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
    if size.is_none() {
        console::log!("tty={value}: expected ROWSxCOLUMNS; ignored");
    }
    size
}

/// Reads `ADDRESS/PREFIX`, where the prefix has a usual value and a largest one.
fn parse_network<A: FromStr>(key: &str, text: &str, usual: u8, largest: u8) -> Option<(A, u8)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok()),
        None => (text, Some(usual)),
    };
    let network = address
        .parse()
        .ok()
        .zip(prefix.filter(|prefix| *prefix <= largest));
    if network.is_none() {
        console::log!("{key}={text}: expected ADDRESS/PREFIX, none or a way to get one; ignored");
    }
    network
}

fn parse_address<A: FromStr>(key: &str, value: &str) -> Option<A> {
    let address = value.parse().ok();
    if address.is_none() {
        console::log!("{key}={value}: expected an address; ignored");
    }
    address
}
