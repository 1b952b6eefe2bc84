//! What requests cost: the example `load`, asked over TCP from outside through QEMU's user network.
//!
//! Instructions are the guest's own account (`cpu.stat` of the root control group), read before and
//! after: with `-icount shift=0` the time-stamp counter counts instructions, and the kernel reads it
//! at every entry from ring 3 and every return. What is neither ring 3 nor halted is the kernel's,
//! interrupts included. Reading the figures costs the guest a few hundred thousand instructions,
//! which the number of requests makes negligible.

use crate::table::Figure;
use tests::load::{Load, Until, fetch};
use tests::soak::Server;

const MACHINE: &str = "q35-direct";
/// Time passes while the guest waits for us, and stands still while it works.
const ICOUNT: [&str; 2] = ["-icount", "shift=0,sleep=on"];

/// Connections that are asked, and requests for a figure of instructions and of time.
const ACTIVE: usize = 32;
const COUNTED: u64 = 20_000;
const TIMED: u64 = 120_000;

/// Open connections besides those that are asked. The guest opens them to itself, because QEMU's
/// user network becomes slow with many connections, and a guest that waits does other things.
const OPEN: [u64; 4] = [1, 100, 1000, 10_000];

/// Memory for the largest number of them, in MiB.
const MEMORY: u32 = 2048;

/// Instructions for each request with 32 connections that stay open.
pub(crate) fn instructions() -> Vec<Figure> {
    eprintln!("counting instructions of requests");
    let mut server = start(1, &ICOUNT);
    let mut load = Load::open(server.port, ACTIVE).unwrap();
    let [user, kernel] = cost(&mut server, &mut load);
    vec![
        Figure::new("request, 32 connections: kernel", kernel, "instructions"),
        Figure::new("request, 32 connections: ring 3", user, "instructions"),
    ]
}

/// Instructions of the kernel for each request with more and more other connections open.
pub(crate) fn open_connections() -> Vec<Figure> {
    let mut server = start(1, &ICOUNT);
    let mut load = Load::open(server.port, ACTIVE).unwrap();
    let mut already = 0;
    OPEN.into_iter()
        .map(|open| {
            eprintln!("counting instructions of requests with {open} other open connections");
            let path = format!("/open?{}", open - already);
            already = open;
            fetch(server.port, &path).unwrap_or_else(|error| panic!("{error}"));
            let [_, kernel] = cost(&mut server, &mut load);
            let name = format!("request, {open} more connections open: kernel");
            Figure::new(name, kernel, "instructions")
        })
        .collect()
}

/// Requests each second with one processor and two, and their ratio: the only one of the three that
/// says something about another host.
pub(crate) fn rates() -> Vec<Figure> {
    let [one, two] = [1, 2].map(|cpus| {
        eprintln!("timing requests with {cpus} processors");
        let server = start(cpus, &[]);
        let mut load = Load::open(server.port, ACTIVE).unwrap();
        let mut run = |count| load.run("/", Until::Answers(count)).unwrap();
        run(TIMED / 4); // QEMU translates the guest's code
        run(TIMED).rate()
    });
    vec![
        Figure::new("requests each second, 1 processor", one, ""),
        Figure::new("requests each second, 2 processors", two, ""),
        Figure::new("requests, 2 processors to 1", two / one, "times"),
    ]
}

fn start(cpus: u32, arguments: &[&str]) -> Server {
    Server::start(MACHINE, cpus, MEMORY, arguments).unwrap_or_else(|error| panic!("{error}"))
}

/// Instructions for each request in ring 3 and in the kernel.
fn cost(server: &mut Server, load: &mut Load) -> [f64; 2] {
    let mut run = |count| {
        load.run("/", Until::Answers(count))
            .unwrap_or_else(|error| panic!("{error}"))
            .answered
    };
    run(COUNTED / 10);
    let before = account(server);
    let answered = run(COUNTED);
    let after = account(server);
    [0, 1].map(|part| (after[part] - before[part]) as f64 * 1e3 / answered as f64)
}

/// Microseconds, which are thousands of instructions, in ring 3 and in the kernel.
fn account(server: &mut Server) -> [i64; 2] {
    ["user_usec", "system_usec"].map(|field| {
        server
            .figure("/sys/fs/cgroup/cpu.stat", field)
            .unwrap_or_else(|error| panic!("{error}"))
    })
}
