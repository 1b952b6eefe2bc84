//! `just bench`: the figures in docs/promises.md.
//!
//! Time is guest time under `-icount shift=0,sleep=off`: one nanosecond for each instruction, so a
//! run does not depend on the host's speed or load. Idle time counts as it would on a real clock.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what it is for"
)]

mod boot;
mod build;
mod linux;
mod micro;
mod requests;
mod table;

use table::Figure;

/// The examples measured.
const EXAMPLES: [&str; 3] = ["hello", "hello_elixir", "crypto_check"];

/// The machines measured.
const MACHINES: [&str; 3] = ["microvm", "q35-direct", "kvm-q35"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| match arguments.iter().position(|word| word == "--only") {
        Some(at) => arguments.get(at + 1).is_some_and(|only| only == part),
        None => true,
    };
    let mut figures: Vec<Figure> = Vec::new();
    if wanted("build") {
        figures.extend(build::cost("hello")); // first, see there
        figures.extend(build::large());
    }
    if wanted("sizes") {
        figures.extend(EXAMPLES.into_iter().flat_map(build::sizes));
        figures.extend(build::kernel_sizes());
    }
    if wanted("boot") {
        figures.extend(MACHINES.into_iter().map(boot::halt));
        for example in EXAMPLES {
            figures.extend(
                MACHINES
                    .into_iter()
                    .flat_map(|machine| boot::times(example, machine)),
            );
            figures.push(boot::interactive(example, "microvm"));
        }
    }
    if wanted("memory") {
        figures.push(boot::smallest_memory("hello", "microvm"));
        figures.push(boot::smallest_memory("hello", "kvm-q35"));
    }
    if wanted("micro") {
        figures.extend(micro::costs());
    }
    if wanted("requests") {
        figures.extend(requests::instructions());
        figures.extend(requests::open_connections());
        figures.extend(requests::rates());
    }
    if arguments.iter().any(|word| word == "--json") {
        println!("{}", serde_json::to_string_pretty(&figures).unwrap());
    } else {
        figures.iter().for_each(|figure| println!("{figure}"));
    }
}
