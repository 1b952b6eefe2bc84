//! The threads that read what QEMU says and put it into one queue.
//!
//! Sockets are bound here before QEMU starts and QEMU connects to them, so nothing is polled. If
//! QEMU dies before it connects, [`Sockets::release`] connects in its place to end the wait.

use crate::{event::Event, qmp};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Message {
    /// Bytes on the serial console.
    Console(Vec<u8>),
    /// A line on the debug port.
    Event(Event),
    /// QEMU accepts commands; the machine runs.
    QmpReady(UnixStream),
    /// The machine is about to stop, for this reason.
    Shutdown(String),
    /// All of QEMU's standard error.
    Stderr(String),
    /// One of the [`STREAMS`] ended.
    Closed,
    /// Someone wants the wait to end because of this signal.
    Interrupt(i32),
}

/// How many streams report [`Message::Closed`]: console, events, QMP, standard error.
pub(crate) const STREAMS: usize = 4;

/// The two sockets QEMU connects to.
#[derive(Debug)]
pub(crate) struct Sockets {
    events: (PathBuf, UnixListener),
    qmp: (PathBuf, UnixListener),
}

impl Sockets {
    /// Binds both in a folder of our own.
    pub(crate) fn bind(folder: &Path) -> io::Result<Self> {
        let bind = |name: &str| -> io::Result<_> {
            let path = folder.join(name);
            let listener = UnixListener::bind(&path)?;
            Ok((path, listener))
        };
        Ok(Self {
            events: bind("events")?,
            qmp: bind("qmp")?,
        })
    }

    pub(crate) fn events_path(&self) -> &Path {
        &self.events.0
    }

    pub(crate) fn qmp_path(&self) -> &Path {
        &self.qmp.0
    }

    /// Starts the threads that read a process's streams into the queue.
    pub(crate) fn read(
        self,
        stdout: impl Read + Send + 'static,
        stderr: impl Read + Send + 'static,
        queue: &Sender<Message>,
    ) {
        let (events_path, events) = self.events;
        let (qmp_path, qmp) = self.qmp;
        spawn(queue, move |queue| {
            read_console(stdout, queue);
            release(&[&events_path, &qmp_path]);
        });
        spawn(queue, |queue| read_stderr(stderr, queue));
        spawn(queue, move |queue| read_events(&events, queue));
        spawn(queue, move |queue| qmp::read(&qmp, queue));
    }
}

/// Ends a wait for a connection that will not come any more; harmless if it came.
fn release(paths: &[&Path]) {
    for path in paths {
        drop(UnixStream::connect(path));
    }
}

fn spawn(queue: &Sender<Message>, read: impl FnOnce(&Sender<Message>) + Send + 'static) {
    let queue = queue.clone();
    thread::spawn(move || {
        read(&queue);
        drop(queue.send(Message::Closed));
    });
}

fn read_console(mut stdout: impl Read, queue: &Sender<Message>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stdout.read(&mut buffer) {
        if queue
            .send(Message::Console(buffer[..length].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn read_stderr(mut stderr: impl Read, queue: &Sender<Message>) {
    let mut bytes = Vec::new();
    // What arrived before an error is still worth showing.
    let _ = stderr.read_to_end(&mut bytes);
    drop(queue.send(Message::Stderr(
        String::from_utf8_lossy(&bytes).into_owned(),
    )));
}

fn read_events(listener: &UnixListener, queue: &Sender<Message>) {
    let Ok((stream, _)) = listener.accept() else {
        return;
    };
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        if let Some(event) = Event::parse(&String::from_utf8_lossy(&line)) {
            drop(queue.send(Message::Event(event)));
        }
    }
}
