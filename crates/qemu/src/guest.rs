//! A running machine: waiting for what it does, and its end.

use crate::end::{End, Evidence, Verdict};
use crate::event::Event;
use crate::profile::Death;
use crate::qmp;
use crate::streams::{Message, STREAMS};
use boot_contract::status::Ending;
use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Lines of the console shown when a wait fails.
const TAIL_LINES: usize = 20;

/// A guest that said its last words has this long to say more, such as a backtrace.
const DYING: Duration = Duration::from_secs(3);

/// Bytes of the console that are kept at most; half of them go when there are more, so that a
/// guest may talk for years.
const CONSOLE_MAX: usize = 4 << 20;

/// A running machine; QEMU is killed when this is dropped.
pub struct Guest {
    child: Child,
    queue: Receiver<Message>,
    sender: Sender<Message>,
    open_streams: usize,
    qmp: Option<UnixStream>,
    console: Vec<u8>,
    copy: Option<Box<dyn Write + Send>>,
    events: Vec<Event>,
    evidence: Evidence,
    interrupted: Option<i32>,
    /// Last words that guests of this kind say.
    deaths: Vec<Death>,
    /// When a guest that said them is stopped, unless it ends before.
    dying: Option<Instant>,
    end: Option<End>,
    command: String,
    ports: Vec<(u16, u16)>,
    /// Folders that QEMU uses.
    folders: Vec<TempDir>,
}

/// Why a wait failed.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed.
    #[error("waited {} s for {what}, in vain{tail}", after.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// The console's last lines.
        tail: Tail,
    },
    /// The guest ended first.
    #[error("{end} before {what}{tail}")]
    Ended {
        /// What was waited for.
        what: String,
        /// How it ended.
        end: End,
        /// The console's last lines.
        tail: Tail,
    },
    /// [`Interrupter::interrupt`] was called.
    #[error("interrupted by signal {signal}")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

/// The console's last lines, displayed as an indented block (or as nothing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail(String);

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "; the console is empty");
        }
        write!(f, "; the console's last lines:")?;
        self.0
            .lines()
            .try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Ends the current wait of a [`Guest`] from another thread.
#[derive(Clone, Debug)]
pub struct Interrupter(Sender<Message>);

impl Interrupter {
    /// Makes the guest's current or next wait return [`WaitError::Interrupted`].
    pub fn interrupt(&self, signal: i32) {
        // Nobody listens once the guest is gone; then there is nothing to end.
        drop(self.0.send(Message::Interrupt(signal)));
    }
}

impl Guest {
    pub(crate) fn new(
        child: Child,
        (sender, queue): (Sender<Message>, Receiver<Message>),
        scratch: TempDir,
    ) -> Self {
        Self {
            child,
            queue,
            sender,
            open_streams: STREAMS,
            qmp: None,
            console: Vec::new(),
            copy: None,
            events: Vec::new(),
            evidence: Evidence::default(),
            interrupted: None,
            deaths: Vec::new(),
            dying: None,
            end: None,
            command: String::new(),
            ports: Vec::new(),
            folders: vec![scratch],
        }
    }

    pub(crate) fn describe(&mut self, command: String, ports: Vec<(u16, u16)>) {
        self.command = command;
        self.ports = ports;
    }

    /// From now on, what the console says is also written to `copy` while a wait runs.
    pub(crate) fn copy_console(&mut self, copy: Option<Box<dyn Write + Send>>) {
        self.copy = copy;
        let so_far = self.console.clone();
        self.write_copy(&so_far);
    }

    /// From now on, a guest that says one of these is stopped soon.
    pub(crate) fn watch_for(&mut self, deaths: &[Death]) {
        self.deaths = deaths.to_vec();
    }

    pub(crate) fn hold(&mut self, folder: Option<TempDir>) {
        self.folders.extend(folder);
    }

    /// Waits until the machine runs.
    pub(crate) fn wait_running(&mut self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_until("QEMU to start", timeout, |guest| {
            guest.qmp.as_ref().map(|_| ())
        })
    }

    /// The command that started QEMU, for a shell.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// QEMU's process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The port on 127.0.0.1 that leads to a port of the guest.
    pub fn host_port(&self, guest_port: u16) -> Option<u16> {
        let (host, _) = self.ports.iter().find(|(_, guest)| *guest == guest_port)?;
        Some(*host)
    }

    /// What the console said up to the last wait, in its last 2 MiB at least.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console).into_owned()
    }

    /// The events up to the last wait.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// A handle with which another thread can end a wait.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.sender.clone())
    }

    /// Waits for an event; one that was already reported counts.
    ///
    /// # Errors
    /// The deadline, the guest's end, or an interruption.
    pub fn wait_event(&mut self, name: &str, timeout: Duration) -> Result<Event, WaitError> {
        self.wait_until(&format!("event `{name}`"), timeout, |guest| {
            guest
                .events
                .iter()
                .find(|event| event.name == name)
                .cloned()
        })
    }

    /// Waits for a text anywhere in what the console [said](Self::console), from power-on.
    ///
    /// # Errors
    /// The deadline, the guest's end, or an interruption.
    pub fn wait_console(&mut self, text: &str, timeout: Duration) -> Result<(), WaitError> {
        self.wait_until(&format!("`{text}` on the console"), timeout, |guest| {
            guest.console().contains(text).then_some(())
        })
    }

    /// Waits until QEMU is gone and says how the run ended.
    ///
    /// # Errors
    /// The deadline or an interruption.
    pub fn wait_end(&mut self, timeout: Duration) -> Result<End, WaitError> {
        match self.wait_until("the guest to end", timeout, |_| None::<End>) {
            Err(WaitError::Ended { end, .. }) => Ok(end),
            Err(error) => Err(error),
            Ok(end) => Ok(end),
        }
    }

    /// Presses the machine's power button (ACPI); a guest may not react.
    pub fn press_power_button(&mut self) {
        self.execute("system_powerdown");
    }

    /// Sends a non-maskable interrupt: our kernel answers with what every CPU and thread does, and
    /// ends as if it had panicked.
    pub fn inject_nmi(&mut self) {
        self.execute("inject-nmi");
    }

    /// Asks QEMU to stop at once; [`wait_end`](Self::wait_end) then tells [`End::Stopped`].
    pub fn quit(&mut self) {
        self.execute("quit");
    }

    fn execute(&mut self, command: &str) {
        if let Some(stream) = &self.qmp {
            // A QEMU that does not listen any more has ended; the next wait says how.
            let _ = qmp::execute(stream, command);
        }
    }

    fn wait_until<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        condition: impl Fn(&Self) -> Option<T>,
    ) -> Result<T, WaitError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(value) = condition(self) {
                return Ok(value);
            }
            if let Some(signal) = self.interrupted.take() {
                return Err(WaitError::Interrupted { signal });
            }
            if self.open_streams == 0 {
                let (what, end, tail) = (what.to_owned(), self.end(), self.tail());
                return Err(WaitError::Ended { what, end, tail });
            }
            let until = self.dying.map_or(deadline, |dying| dying.min(deadline));
            match self
                .queue
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(message) => self.apply(message),
                Err(RecvTimeoutError::Timeout)
                    if self.dying.is_some_and(|d| d <= Instant::now()) =>
                {
                    self.dying = None;
                    self.quit();
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let (what, tail) = (what.to_owned(), self.tail());
                    return Err(WaitError::Timeout {
                        what,
                        after: timeout,
                        tail,
                    });
                }
            }
        }
    }

    fn apply(&mut self, message: Message) {
        match message {
            Message::Console(bytes) => {
                self.console.extend_from_slice(&bytes);
                self.look_for_death(bytes.len());
                if self.console.len() > CONSOLE_MAX {
                    self.console.drain(..CONSOLE_MAX / 2);
                }
                self.write_copy(&bytes);
            }
            Message::Event(event) => {
                self.evidence.verdict = Verdict::from_event(&event).or(self.evidence.verdict);
                self.events.push(event);
            }
            Message::QmpReady(stream) => self.qmp = Some(stream),
            Message::Shutdown(reason) => self.evidence.shutdown = Some(reason),
            Message::Stderr(text) => self.evidence.stderr = text,
            Message::Closed => self.open_streams -= 1,
            Message::Interrupt(signal) => self.interrupted = Some(signal),
        }
    }

    /// Looks for last words in the end of the console that is new.
    fn look_for_death(&mut self, new: usize) {
        if self.evidence.verdict.is_some() {
            return;
        }
        for Death { text, ending } in &self.deaths {
            let start = self.console.len().saturating_sub(new + text.len());
            let mut windows = self.console[start..].windows(text.len());
            let Some(ending) =
                Ending::from_name(ending).filter(|_| windows.any(|w| w == text.as_bytes()))
            else {
                continue;
            };
            self.evidence.verdict = Some(Verdict { ending, status: 0 });
            self.dying = Some(Instant::now() + DYING);
            return;
        }
    }

    /// A reader that went away (a closed pipe) is no reason to stop the guest.
    fn write_copy(&mut self, bytes: &[u8]) {
        if let Some(copy) = &mut self.copy
            && copy.write_all(bytes).and_then(|()| copy.flush()).is_err()
        {
            self.copy = None;
        }
    }

    /// All streams are closed, so QEMU has ended or is about to.
    fn end(&mut self) -> End {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let mut evidence = std::mem::take(&mut self.evidence);
        if let Ok(status) = self.child.wait() {
            evidence.code = status.code();
            evidence.signal = status.signal();
        }
        let end = evidence.judge();
        self.end = Some(end.clone());
        end
    }

    /// The console's last lines, up to the last wait.
    pub fn tail(&self) -> Tail {
        let console = self.console();
        let lines: Vec<_> = console
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        Tail(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.folders.clear();
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}
