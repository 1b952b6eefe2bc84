//! `unibeam test`: boot, check, stop, and a verdict.

use super::guest::Prepared;
use crate::cli::{Endpoint, TestArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signals::Caught;
use bases::Family;
use boot_contract::events;
use boot_contract::status::Ending;
use qemu::http::{self, HttpError, Response};
use qemu::{End, Event, Forward, Guest, HostPort, Machine, Verdict, WaitError};
use serde::Serialize;
use std::time::Duration;

/// Why a test failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("port {0} is not forwarded")]
    NotForwarded(u16),
    #[error("{path} answered status {found}, expected 200: {body:?}")]
    HttpStatus {
        path: String,
        found: u16,
        body: String,
    },
    #[error("{path} does not contain {expected:?}: {body:?}")]
    Page {
        path: String,
        expected: String,
        body: String,
    },
    #[error("{end}, expected an end with status {expected}")]
    End { end: End, expected: u32 },
}

impl Failure {
    /// The failure with its causes, and with the console's last lines if it does not have them.
    fn explain(&self, guest: &Guest) -> String {
        let text = output::with_causes(self);
        match self {
            Self::Wait(_) => text,
            _ => format!("{text}{}", guest.tail()),
        }
    }
}

/// What was found, for people and programs.
#[derive(Debug, Default, Serialize)]
struct Report {
    image: String,
    machine: String,
    accel: &'static str,
    passed: bool,
    /// Milliseconds of guest time from power-on to the application's start.
    application_started_ms: Option<f64>,
    page: Option<Page>,
    /// How the guest ended, in words.
    ending: Option<String>,
    failure: Option<String>,
    events: Vec<Milestone>,
    command: String,
}

#[derive(Debug, Serialize)]
struct Page {
    path: String,
    status: u16,
    body: String,
}

#[derive(Debug, Serialize)]
struct Milestone {
    name: String,
    ns: u64,
}

/// Tests an image.
///
/// # Errors
/// Nothing could be tested.
pub(crate) fn run(args: &TestArgs) -> Result<Exit, Error> {
    let prepared = Prepared::new(&args.image, &args.machine, None)?;
    let spinner = output::spinner(!args.report.json && !args.report.quiet, "testing");
    let mut report = Report {
        image: args.image.display().to_string(),
        machine: prepared.name.into(),
        accel: prepared.accel.name(),
        ..Report::default()
    };
    let signals = Caught::new().map_err(Error::Signals)?;
    let button = Button::of(prepared.family);
    let mut guest = forward(prepared.machine, args).start()?;
    let _forwarding = signals.forward(guest.interrupter());
    report.command = guest.command().to_owned();

    let outcome = check(&mut guest, args, button, &mut report);
    spinner.finish_and_clear();
    if let Err(Failure::Wait(error @ WaitError::Interrupted { .. })) = outcome {
        return Err(error.into());
    }
    report.passed = outcome.is_ok();
    report.failure = outcome.err().map(|failure| failure.explain(&guest));
    report.events = guest.events().iter().map(milestone).collect();
    show(&report, args)?;
    Ok(if report.passed {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn milestone(event: &Event) -> Milestone {
    Milestone {
        name: event.name.clone(),
        ns: event.ns,
    }
}

/// Forwards the ports of the pages that are asked for.
fn forward(machine: Machine, args: &TestArgs) -> Machine {
    let mut ports: Vec<_> = [&args.http, &args.stop]
        .into_iter()
        .flatten()
        .map(|e| e.port)
        .collect();
    ports.dedup();
    ports.into_iter().fold(machine, |machine, guest| {
        machine.forward(Forward {
            host: HostPort::Any,
            guest,
        })
    })
}

/// What a guest does at the machine's power button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Button {
    /// It stops the release, which tells its status.
    Stops,
    /// It switches the machine off, whatever the release does (osv: drivers/acpi.cc).
    SwitchesOff,
}

impl Button {
    fn of(family: Family) -> Self {
        match family {
            Family::Osv => Self::SwitchesOff,
            _ => Self::Stops,
        }
    }
}

fn check(
    guest: &mut Guest,
    args: &TestArgs,
    button: Button,
    report: &mut Report,
) -> Result<(), Failure> {
    let limit = Duration::from_secs(args.timeout);
    if let Some(expected) = args.status {
        return check_end(guest, expected, args, report);
    }
    let started = guest.wait_event(events::APPLICATION_STARTED, limit)?;
    report.application_started_ms = Some(started.ns as f64 / 1e6);
    match (&args.http, &args.expect) {
        (Some(endpoint), expected) => {
            check_page(guest, endpoint, expected.as_deref(), limit, report)?
        }
        (None, Some(expected)) => guest.wait_console(expected, limit)?,
        (None, None) => {}
    }
    stop(guest, args, button, report)
}

/// A release that ends by itself.
fn check_end(
    guest: &mut Guest,
    expected: u32,
    args: &TestArgs,
    report: &mut Report,
) -> Result<(), Failure> {
    let limit = Duration::from_secs(args.timeout);
    if let Some(text) = &args.expect {
        guest.wait_console(text, limit)?;
    }
    let end = guest.wait_end(limit)?;
    let started = guest
        .events()
        .iter()
        .find(|e| e.name == events::APPLICATION_STARTED);
    report.application_started_ms = started.map(|event| event.ns as f64 / 1e6);
    demand(end, expected, report)
}

fn check_page(
    guest: &Guest,
    endpoint: &Endpoint,
    expected: Option<&str>,
    limit: Duration,
    report: &mut Report,
) -> Result<(), Failure> {
    let Response { status, body } = fetch(guest, endpoint, limit)?;
    let path = endpoint.path.clone();
    report.page = Some(Page {
        path: path.clone(),
        status,
        body: body.clone(),
    });
    if status != 200 {
        return Err(Failure::HttpStatus {
            path,
            found: status,
            body,
        });
    }
    match expected {
        Some(text) if !body.contains(text) => Err(Failure::Page {
            path,
            expected: text.into(),
            body,
        }),
        _ => Ok(()),
    }
}

fn fetch(guest: &Guest, endpoint: &Endpoint, limit: Duration) -> Result<Response, Failure> {
    let port = guest
        .host_port(endpoint.port)
        .ok_or(Failure::NotForwarded(endpoint.port))?;
    Ok(http::get(port, &endpoint.path, limit)?)
}

/// By its own page if there is one, else by the power button, which the
/// run-time system answers with `init:stop/0`.
fn stop(
    guest: &mut Guest,
    args: &TestArgs,
    button: Button,
    report: &mut Report,
) -> Result<(), Failure> {
    let limit = Duration::from_secs(args.timeout);
    match &args.stop {
        // The release may end before it answers; its end is what counts.
        Some(endpoint) => drop(fetch(guest, endpoint, limit)),
        None => guest.press_power_button(),
    }
    let end = guest.wait_end(limit)?;
    if args.stop.is_none() && button == Button::SwitchesOff && end == End::PoweredOff {
        report.ending = Some("the guest switched off at the power button".into());
        return Ok(());
    }
    demand(end, 0, report)
}

fn demand(end: End, expected: u32, report: &mut Report) -> Result<(), Failure> {
    report.ending = Some(end.to_string());
    let ending = if expected == 0 {
        Ending::Success
    } else {
        Ending::Failure
    };
    if end
        == End::Guest(Verdict {
            ending,
            status: expected,
        })
    {
        Ok(())
    } else {
        Err(Failure::End { end, expected })
    }
}

fn show(report: &Report, args: &TestArgs) -> Result<(), Error> {
    if args.report.json {
        return output::json(report);
    }
    if let Some(failure) = &report.failure {
        output::note(format!(
            "FAILED {}: {failure}\n  command: {}",
            report.image, report.command
        ));
        return Ok(());
    }
    if args.report.quiet {
        return Ok(());
    }
    if let Some(page) = &report.page {
        output::result(page.body.trim_end())?;
    }
    let started = report
        .application_started_ms
        .map_or_else(String::new, |ms| {
            format!("; from power-on to application started: {ms:.0} ms")
        });
    let ending = report.ending.as_deref().unwrap_or_default();
    output::result(format!(
        "passed on {} ({}){started}; {ending}",
        report.machine, report.accel
    ))
}
