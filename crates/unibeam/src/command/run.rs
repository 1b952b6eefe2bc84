//! `unibeam run`: the guest's console here, its status as ours.

use super::guest::Prepared;
use crate::cli::RunArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signals::Caught;
use qemu::{End, Guest, HostPort, Input};
use std::io;
use std::time::Duration;

/// As long as anyone may want: a wait takes an end, and `Instant` cannot hold all of `Duration`.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Runs an image until it ends.
///
/// # Errors
/// It does not start, or the time passes.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Error> {
    let terminal = args.console.then(terminal_size).flatten();
    let prepared = Prepared::new(&args.image, &args.machine, terminal)?;
    if !args.quiet {
        output::note(prepared.summary(&args.machine));
    }
    let mut machine = prepared
        .machine
        .input(if args.console {
            Input::AllKeys
        } else {
            Input::Inherit
        })
        .copy_console(Box::new(io::stdout()));
    for port in &args.ports {
        machine = machine.forward(port.0);
    }
    let signals = Caught::new().map_err(Error::Signals)?;
    let mut guest = machine.start()?;
    let _forwarding = signals.forward(guest.interrupter());
    announce(args, &guest);
    let limit = args.timeout.map_or(FOREVER, Duration::from_secs);
    let end = guest.wait_end(limit)?;
    if !args.quiet && !matches!(end, End::Guest(_)) || end_needs_words(&end) {
        output::note(format!("unibeam: {end}"));
    }
    Ok(Exit::from_end(&end))
}

/// The size of the terminal here, in a word for the kernel; `None` if there is no terminal.
fn terminal_size() -> Option<String> {
    let (rows, columns) = output::terminal()?;
    Some(format!("tty={rows}x{columns}"))
}

/// A status of the release speaks for itself; the guest's own trouble does not.
fn end_needs_words(end: &End) -> bool {
    Exit::from_end(end).status() > 120
}

fn announce(args: &RunArgs, guest: &Guest) {
    if args.verbose {
        output::note(guest.command());
    }
    for port in &args.ports {
        let guest_port = port.0.guest;
        let Some(host) = guest.host_port(guest_port) else {
            continue;
        };
        // A port we chose is news; one the user chose is not.
        if !args.quiet && port.0.host == HostPort::Any {
            output::note(format!(
                "port {guest_port} of the guest is 127.0.0.1:{host}"
            ));
        }
    }
}
