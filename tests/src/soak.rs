//! A guest under load for long: no answer may be missing or wrong, and no memory may be lost.

use crate::load::{self, Load, LoadError, Until};
use crate::{boot, image_with};
use boot_contract::events::APPLICATION_STARTED;
use qemu::{Forward, Guest, HostPort, Machine, Profile, StartError, WaitError};
use std::thread;
use std::time::{Duration, Instant};

/// The release and the port it serves at.
pub const EXAMPLE: &str = "load";
/// See [`EXAMPLE`].
pub const PORT: u16 = 8080;
/// What `os:cmd` runs; taken from this host.
const SHELL: &str = "/bin/sh";

/// Shell commands that the guest runs for one request.
const PORTS_AT_ONCE: u64 = 10;
/// Of the requests, those that come over a connection of their own: one in five.
const FRESH_SHARE: u64 = 5;
/// Connections of the mixed load that stay open.
const MIXED_CONNECTIONS: usize = 8;
/// Kernel memory that may be missing afterwards, in KiB: tables that have grown with the number of
/// connections, and free pieces of the kernel's heap.
const LOSS_MAX: i64 = 1024;

/// How long the guest may take to start, to stop, and to die.
const START: Duration = Duration::from_secs(180);
const DEATH: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests, over connections that stay open and fresh ones.
    pub requests: u64,
    /// Connections that stay open.
    pub connections: usize,
    /// Shell commands.
    pub ports: u64,
    /// How long everything happens at once.
    pub mixed: Duration,
    /// Processors.
    pub cpus: u32,
}

/// Why a guest did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The release did not start.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// Load was not borne.
    #[error("{during}: {source}\n{diagnosis}")]
    Load {
        /// What was done.
        during: &'static str,
        /// What happened.
        source: LoadError,
        /// What the guest says about it.
        diagnosis: String,
    },
    /// Memory is gone.
    #[error("{lost} KiB of memory are neither free nor held by the release (allowed: {LOSS_MAX})")]
    Leak {
        /// How much, in KiB.
        lost: i64,
    },
    /// The guest has no such figure.
    #[error("the guest's {file} has no {field}")]
    NoFigure {
        /// The file.
        file: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// A guest that runs the example.
pub struct Server {
    guest: Guest,
    /// The port on this host.
    pub port: u16,
}

impl Server {
    /// Starts the example on a machine, with further arguments for QEMU.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        profile: &str,
        cpus: u32,
        memory_mib: u32,
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let image = image_with(EXAMPLE, &[format!("--add={SHELL}")]);
        // The names come from this workspace.
        #[allow(clippy::expect_used, reason = "see above")]
        let profile = Profile::named(profile).expect("a machine of this repository");
        let (boot, folder) = boot(&profile, &image);
        let forward = Forward {
            host: HostPort::Any,
            guest: PORT,
        };
        let machine = Machine::new(profile, boot)
            .hold(folder)
            .cpus(cpus)
            .memory_mib(memory_mib)
            .forward(forward);
        let with_argument = |machine: Machine, word: &&str| machine.argument(word);
        let mut guest = arguments.iter().fold(machine, with_argument).start()?;
        guest.wait_event(APPLICATION_STARTED, START)?;
        let port = guest.host_port(PORT).unwrap_or_default();
        Ok(Self { guest, port })
    }

    /// A number from a file of the guest: the first one behind `field`.
    ///
    /// # Errors
    /// No answer, or no such field.
    pub fn figure(&mut self, file: &'static str, field: &'static str) -> Result<i64, Failure> {
        let text = self.check("asking for figures", |port| load::fetch(port, file))?;
        let number = text.lines().find_map(|line| {
            let rest = line.strip_prefix(field)?;
            rest.split_whitespace().next()?.parse().ok()
        });
        number.ok_or(Failure::NoFigure { file, field })
    }

    /// Memory in KiB that is free or held by the release: what is in neither was lost.
    fn accounted_memory(&mut self) -> Result<i64, Failure> {
        self.check("collecting garbage", |port| load::fetch(port, "/collect"))?;
        let free = self.figure("/proc/meminfo", "MemFree:")?;
        Ok(free + self.figure("/proc/self/status", "VmRSS:")?)
    }

    /// Puts load on the guest; if it fails, the guest has to say what it was doing.
    ///
    /// # Errors
    /// As the load.
    pub fn check<T>(
        &mut self,
        during: &'static str,
        load: impl FnOnce(u16) -> Result<T, LoadError>,
    ) -> Result<T, Failure> {
        load(self.port).map_err(|source| Failure::Load {
            during,
            source,
            diagnosis: self.diagnose(),
        })
    }

    /// Whether the guest answers at all, and where its first processor is: a non-maskable
    /// interrupt makes the kernel write its epitaph.
    fn diagnose(&mut self) -> String {
        let answers = match load::fetch(self.port, "/") {
            Ok(_) => "a fresh connection is answered".into(),
            Err(error) => format!("a fresh connection is not answered either: {error}"),
        };
        self.guest.inject_nmi();
        let end = match self.guest.wait_end(DEATH) {
            Ok(end) => end.to_string(),
            Err(error) => error.to_string(),
        };
        let command = self.guest.command();
        format!(
            "{answers}\nafter a non-maskable interrupt: {end}{}\ncommand: {command}",
            self.guest.tail()
        )
    }
}

/// Does it all, and tells `say` how it goes.
///
/// # Errors
/// The first thing that goes wrong.
pub fn run(profile: &str, plan: &Plan, say: &mut dyn FnMut(String)) -> Result<(), Failure> {
    let mut server = Server::start(profile, plan.cpus, 512, &[])?;
    say(format!("{profile} with {} processors is up", plan.cpus));
    // Whatever is allocated once is allocated now.
    let warm_up = Plan {
        requests: plan.requests / 10,
        ports: plan.ports / 10,
        mixed: plan.mixed / 10,
        ..*plan
    };
    load_with(&mut server, &warm_up, &mut |_| {})?;
    let before = server.accounted_memory()?;
    load_with(&mut server, plan, say)?;
    let lost = before - server.accounted_memory()?;
    say(format!("{lost} KiB of memory less than before"));
    if lost > LOSS_MAX {
        return Err(Failure::Leak { lost });
    }
    Ok(())
}

fn load_with(server: &mut Server, plan: &Plan, say: &mut dyn FnMut(String)) -> Result<(), Failure> {
    let fresh = plan.requests / FRESH_SHARE;
    let kept = plan.requests - fresh;
    let run = server.check("requests over connections that stay open", |port| {
        Load::open(port, plan.connections)?.run("/", Until::Answers(kept))
    })?;
    say(format!(
        "{} requests over {} connections: {:.0} each second",
        run.answered,
        plan.connections,
        run.rate()
    ));
    let start = Instant::now();
    server.check("requests over fresh connections", |port| {
        (0..fresh).try_for_each(|_| load::fetch(port, "/").map(drop))
    })?;
    let rate = fresh as f64 / start.elapsed().as_secs_f64();
    say(format!("{fresh} fresh connections: {rate:.0} each second"));
    server.check("shell commands", |port| run_ports(port, plan.ports))?;
    say(format!("{} shell commands", plan.ports));
    let answers = server.check("everything at once", |port| mix(port, plan.mixed))?;
    say(format!(
        "{answers} requests in {} s of everything at once",
        plan.mixed.as_secs()
    ));
    Ok(())
}

fn run_ports(port: u16, count: u64) -> Result<(), LoadError> {
    let path = format!("/ports?{PORTS_AT_ONCE}");
    (0..count.div_ceil(PORTS_AT_ONCE)).try_for_each(|_| load::fetch(port, &path).map(drop))
}

/// Connections that stay open, fresh ones, shell commands, and files, timers and garbage, all at
/// the same time; the number of requests.
fn mix(port: u16, time: Duration) -> Result<u64, LoadError> {
    let end = Instant::now() + time;
    let repeat = |path: &'static str| {
        let mut count = 0;
        while Instant::now() < end {
            load::fetch(port, path)?;
            count += 1;
        }
        Ok(count)
    };
    let kept = || {
        let mut load = Load::open(port, MIXED_CONNECTIONS)?;
        let run = load.run("/", Until::Time(end))?;
        Ok(run.answered)
    };
    thread::scope(|scope| {
        let threads = [
            scope.spawn(kept),
            scope.spawn(|| repeat("/")),
            scope.spawn(|| repeat("/ports?2")),
            scope.spawn(|| repeat("/work")),
        ];
        let results = threads.map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.into_iter().sum()
    })
}
