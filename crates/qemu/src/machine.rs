//! What to run: a machine, as a builder, and its QEMU command line.

use crate::accel::Accel;
use crate::cmdline::{option_value, shell_line};
use crate::end::End;
use crate::guest::{Guest, WaitError};
use crate::profile::{Profile, Start};
use crate::streams::Sockets;
use boot_contract::{events, status};
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The program that runs machines.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// Name of the fw_cfg file with further words for the kernel's command line.
const FW_CFG_CMDLINE: &str = "opt/unibeam/cmdline";

/// QEMU opens files and sockets in this time, even on a busy host.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Between finding a free port and QEMU's taking it, someone else may; then we find another.
const PORT_ATTEMPTS: usize = 5;

/// QEMU's words when a host port cannot be bound (net/slirp.c).
const PORT_REFUSED: &str = "Could not set up host forwarding rule";

/// What a machine starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The firmware starts this disk image.
    Disk {
        /// The file.
        path: PathBuf,
        /// QEMU's name of its format.
        format: &'static str,
    },
    /// QEMU loads a kernel, which finds its root on a disk.
    Kernel {
        /// The kernel, an ELF file with a PVH entry.
        kernel: PathBuf,
        /// Its command line.
        cmdline: String,
        /// The disk.
        disk: PathBuf,
        /// QEMU's name of its format.
        format: &'static str,
    },
    /// QEMU loads the parts of an image.
    Direct {
        /// The kernel, an ELF file with a PVH entry.
        kernel: PathBuf,
        /// The root archive.
        root: PathBuf,
        /// The image's own command line.
        cmdline: String,
    },
}

impl Boot {
    /// The firmware starts this raw disk image.
    pub fn raw_disk(path: impl Into<PathBuf>) -> Self {
        Self::Disk {
            path: path.into(),
            format: "raw",
        }
    }
}

/// A TCP port of the guest, offered on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Port on the host.
    pub host: HostPort,
    /// Port of the guest.
    pub guest: u16,
}

/// A port of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// Any that is free; [`Guest::host_port`] tells which.
    Any,
    /// This one.
    Fixed(u16),
}

/// What the guest's serial port receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// Our standard input.
    Inherit,
    /// Our terminal with every key, `^C` too; `^A X` ends QEMU (qemu(1), "Keys in the character
    /// backend multiplexer").
    AllKeys,
}

/// Where a copy of the console goes.
pub type Console = Box<dyn Write + Send>;

/// A machine to be started.
pub struct Machine {
    profile: Profile,
    boot: Boot,
    accel: Accel,
    memory_mib: u32,
    cpus: u32,
    words: Vec<String>,
    network: bool,
    forwards: Vec<Forward>,
    input: Input,
    console: Option<Console>,
    arguments: Vec<String>,
    program: PathBuf,
    held: Option<TempDir>,
}

/// Why a machine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A machine that boots from disk was given parts, or the other way round.
    #[error("machine `{profile}` starts from {expected}")]
    WrongBoot {
        /// The profile's name.
        profile: &'static str,
        /// What it starts from.
        expected: &'static str,
    },
    /// QEMU is not there or not executable.
    #[error("cannot run `{}`; install it: apt-get install qemu-system-x86 seabios", program.display())]
    NoQemu {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder for sockets cannot be made.
    #[error("cannot make a socket in the temporary folder {}; set TMPDIR to a short, writable path", folder.display())]
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A host port is in use.
    #[error("host port {port} is in use; choose another, or none to have a free one chosen")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// No host port could be taken.
    #[error("found no free port on 127.0.0.1")]
    NoPort {
        /// What the system said, if it said anything.
        source: Option<io::Error>,
    },
    /// QEMU ended before the machine ran.
    #[error("{end}\n  command: {command}")]
    Refused {
        /// How QEMU ended.
        end: End,
        /// The command line.
        command: String,
    },
    /// QEMU neither ran nor ended.
    #[error("{source}\n  command: {command}")]
    NotRunning {
        /// The failed wait.
        source: WaitError,
        /// The command line.
        command: String,
    },
}

impl Machine {
    /// A machine of this profile with 256 MiB, one CPU, a network card without forwarded ports.
    pub fn new(profile: Profile, boot: Boot) -> Self {
        Self {
            profile,
            boot,
            accel: Accel::Tcg,
            memory_mib: 256,
            cpus: 1,
            words: Vec::new(),
            network: true,
            forwards: Vec::new(),
            input: Input::None,
            console: None,
            arguments: Vec::new(),
            program: PathBuf::from(QEMU),
            held: None,
        }
    }

    /// What executes the guest's instructions.
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = accel;
        self
    }

    /// Memory in MiB.
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Number of CPUs.
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// Adds a word to the kernel's command line (`boot_contract::cmdline`), quoted if need be.
    pub fn kernel_word(mut self, word: &str) -> Self {
        self.words.push(quote_word(word));
        self
    }

    /// With or without a network card.
    pub fn network(mut self, network: bool) -> Self {
        self.network = network;
        self
    }

    /// Offers a TCP port of the guest on 127.0.0.1.
    pub fn forward(mut self, forward: Forward) -> Self {
        self.forwards.push(forward);
        self
    }

    /// What the guest's serial port receives.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Also writes the console there.
    pub fn copy_console(mut self, console: Console) -> Self {
        self.console = Some(console);
        self
    }

    /// Adds a QEMU argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Keeps a folder (with what the guest starts from) until the guest is gone.
    pub fn hold(mut self, folder: TempDir) -> Self {
        self.held = Some(folder);
        self
    }

    /// Runs this program instead of the `qemu-system-x86_64` in PATH.
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Starts QEMU and waits until the machine runs.
    ///
    /// # Errors
    /// QEMU is missing, ended at once, or did not come up; ports or sockets are not available.
    pub fn start(mut self) -> Result<Guest, StartError> {
        self.check_boot()?;
        let console = self.console.take();
        for _ in 0..PORT_ATTEMPTS {
            let ports = self.choose_ports()?;
            match self.attempt(&ports) {
                Err(StartError::Refused {
                    end: End::QemuFailed { stderr, .. },
                    ..
                }) if stderr.contains(PORT_REFUSED) => {
                    self.check_fixed_ports(&stderr)?;
                }
                result => {
                    let mut guest = result?;
                    guest.copy_console(console);
                    guest.watch_for(&self.profile.deaths);
                    guest.hold(self.held.take());
                    return Ok(guest);
                }
            }
        }
        Err(StartError::NoPort { source: None })
    }

    fn check_boot(&self) -> Result<(), StartError> {
        let expected = match (self.profile.start, &self.boot) {
            (Start::Disk, Boot::Disk { .. })
            | (Start::Kernel, Boot::Kernel { .. })
            | (Start::Direct, Boot::Direct { .. }) => {
                return Ok(());
            }
            (Start::Disk, _) => "a disk image",
            (Start::Kernel, _) => "a kernel and a disk",
            (Start::Direct, _) => "a kernel and a root archive",
        };
        Err(StartError::WrongBoot {
            profile: self.profile.name,
            expected,
        })
    }

    fn choose_ports(&self) -> Result<Vec<(u16, u16)>, StartError> {
        self.forwards
            .iter()
            .map(|forward| match forward.host {
                HostPort::Fixed(port) => Ok((port, forward.guest)),
                HostPort::Any => Ok((free_port()?, forward.guest)),
            })
            .collect()
    }

    fn check_fixed_ports(&self, stderr: &str) -> Result<(), StartError> {
        let refused = |port: &u16| stderr.contains(&format!(":{port}-"));
        let fixed = self
            .forwards
            .iter()
            .filter_map(|forward| match forward.host {
                HostPort::Fixed(port) => Some(port),
                HostPort::Any => None,
            });
        match fixed.into_iter().find(refused) {
            Some(port) => Err(StartError::PortInUse { port }),
            None => Ok(()),
        }
    }

    fn attempt(&self, ports: &[(u16, u16)]) -> Result<Guest, StartError> {
        let scratch_error = |source| {
            let folder = std::env::temp_dir();
            StartError::Scratch { folder, source }
        };
        let scratch = tempfile::tempdir().map_err(scratch_error)?;
        let sockets = Sockets::bind(scratch.path()).map_err(scratch_error)?;
        let arguments = self.arguments(sockets.events_path(), sockets.qmp_path(), ports);
        let program = self.program.as_os_str();
        let command =
            shell_line(std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref)));

        let mut child = Command::new(program)
            .args(&arguments)
            .stdin(match self.input {
                Input::None => Stdio::null(),
                Input::Inherit | Input::AllKeys => Stdio::inherit(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| StartError::NoQemu {
                program: self.program.clone(),
                source,
            })?;
        let (sender, queue) = mpsc::channel();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            sockets.read(stdout, stderr, &sender);
        }
        let mut guest = Guest::new(child, (sender, queue), scratch);
        match guest.wait_running(START_TIMEOUT) {
            Ok(()) => {}
            Err(WaitError::Ended { end, .. }) => return Err(StartError::Refused { end, command }),
            Err(source) => return Err(StartError::NotRunning { source, command }),
        }
        guest.describe(command, ports.to_vec());
        Ok(guest)
    }

    /// QEMU's arguments; everything but the sockets and the ports is decided by the builder.
    fn arguments(&self, events: &Path, qmp: &Path, ports: &[(u16, u16)]) -> Vec<OsString> {
        let mut list = Arguments::default();
        let accel = self.accel;
        list.pair(
            "-machine",
            format!("{},accel={}", self.profile.machine, accel.name()),
        );
        list.pair("-cpu", accel.cpu(&self.profile.cpu).to_owned());
        list.pair("-m", format!("{}M", self.memory_mib));
        list.pair("-smp", self.cpus.to_string());
        for flag in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            list.word(flag);
        }
        list.pair("-display", "none");
        self.boot_arguments(&mut list);
        self.network_arguments(ports, &mut list);
        if let Some(rng) = &self.profile.rng {
            list.pair("-device", rng.clone());
        }
        channel_arguments(self.input, events, qmp, &mut list);
        for argument in self.profile.arguments.iter().chain(&self.arguments) {
            list.word(argument);
        }
        list.0
    }

    fn boot_arguments(&self, list: &mut Arguments) {
        let words = self.words.join(" ");
        match &self.boot {
            Boot::Kernel {
                kernel,
                cmdline,
                disk,
                format,
            } => {
                self.disk_arguments(disk, format, "", list);
                list.pair("-kernel", kernel);
                list.pair("-append", cmdline);
            }
            Boot::Disk { path, format } => {
                self.disk_arguments(path, format, ",bootindex=0", list);
                if !words.is_empty() {
                    let words = option_value(&words);
                    list.pair("-fw_cfg", format!("name={FW_CFG_CMDLINE},string={words}"));
                }
            }
            Boot::Direct {
                kernel,
                root,
                cmdline,
            } => {
                list.pair("-kernel", kernel);
                list.pair("-initrd", root);
                let line = format!("{} {words}", cmdline.trim());
                list.pair("-append", line.trim());
            }
        }
    }

    fn disk_arguments(&self, path: &Path, format: &str, order: &str, list: &mut Arguments) {
        let device = self.profile.disk.as_deref().unwrap_or_default();
        let file = option_value(&path.to_string_lossy());
        // The image stays as it is: writes go to a temporary file that QEMU removes.
        list.pair(
            "-drive",
            format!("file={file},if=none,id=disk,format={format},snapshot=on"),
        );
        list.pair("-device", format!("{device},drive=disk{order}"));
    }

    fn network_arguments(&self, ports: &[(u16, u16)], list: &mut Arguments) {
        if !self.network {
            return;
        }
        let forwards: String = ports
            .iter()
            .map(|(host, guest)| format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"))
            .collect();
        list.pair("-netdev", format!("user,id=net0{forwards}"));
        list.pair("-device", format!("{},netdev=net0", self.profile.network));
    }
}

/// Console, events, exit status and control; see the crate's head.
fn channel_arguments(input: Input, events: &Path, qmp: &Path, list: &mut Arguments) {
    let socket = |id: &str, path: &Path| {
        format!(
            "socket,id={id},path={}",
            option_value(&path.to_string_lossy())
        )
    };
    let keys = match input {
        Input::AllKeys => ",mux=on,signal=off",
        Input::None | Input::Inherit => "",
    };
    list.pair("-chardev", format!("stdio,id=console{keys}"));
    list.pair("-serial", "chardev:console");
    list.pair("-chardev", socket("events", events));
    list.pair(
        "-device",
        format!(
            "isa-debugcon,iobase={:#x},chardev=events",
            events::DEBUG_PORT
        ),
    );
    list.pair(
        "-device",
        format!("isa-debug-exit,iobase={:#x},iosize=0x04", status::EXIT_PORT),
    );
    list.pair("-chardev", socket("qmp", qmp));
    list.pair("-mon", "chardev=qmp,mode=control");
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn word(&mut self, word: &str) {
        self.0.push(word.into());
    }

    fn pair(&mut self, flag: &str, value: impl Into<OsString>) {
        self.0.push(flag.into());
        self.0.push(value.into());
    }
}

/// A word of the kernel's command line keeps its spaces inside double quotes.
pub fn quote_word(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| StartError::NoPort {
            source: Some(source),
        })
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
