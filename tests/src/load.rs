//! Load for a guest: HTTP requests over connections that stay open, and over fresh ones.
//!
//! One thread polls all connections, each of which has one request under way at any time.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long an answer may take before it counts as lost. A busy host's emulator is slow, but not
/// that slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Answers are missing.
    #[error(
        "no answer for {} s on {silent} of {connections} connections, after {answered} answers",
        PATIENCE.as_secs()
    )]
    Stall {
        /// Connections that wait for their answer as long as that.
        silent: usize,
        /// All connections.
        connections: usize,
        /// Requests answered in this run until then.
        answered: u64,
    },
    /// The guest ended a connection.
    #[error("the guest closed a connection, after {answered} answers")]
    Closed {
        /// Requests answered in this run until then.
        answered: u64,
    },
    /// An answer is not what was asked for.
    #[error("wrong answer to {path}: {start:?}")]
    Wrong {
        /// The path.
        path: String,
        /// How the answer starts.
        start: String,
    },
    /// The host's end failed.
    #[error("port {port} of this host: {source}")]
    Io {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

/// Connections to a guest's port.
pub struct Load {
    port: u16,
    connections: Vec<Connection>,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many requests have been answered.
    Answers(u64),
    /// A time has come.
    Time(Instant),
}

impl Until {
    fn is_reached(self, answered: u64) -> bool {
        match self {
            Self::Answers(count) => answered >= count,
            Self::Time(end) => Instant::now() >= end,
        }
    }
}

/// What a run was.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Requests answered.
    pub answered: u64,
    /// How long it took.
    pub time: Duration,
}

impl Run {
    /// Requests per second.
    pub fn rate(self) -> f64 {
        self.answered as f64 / self.time.as_secs_f64()
    }
}

impl Load {
    /// Opens connections, one after the other: the backlog of a port that QEMU forwards is 1. Each
    /// asks for a page, because QEMU takes connections that the guest has not.
    ///
    /// # Errors
    /// A connection fails.
    pub fn open(port: u16, count: usize) -> Result<Self, LoadError> {
        let connections = (0..count).map(|_| {
            let mut connection = Connection::open(port)?;
            connection.fetch("/")?;
            connection.set_blocking(false)?;
            Ok(connection)
        });
        let connections = connections.collect::<Result<_, _>>()?;
        Ok(Self { port, connections })
    }

    /// Keeps all connections busy with requests for `path`, each with its next one as soon as it has
    /// its answer.
    ///
    /// # Errors
    /// An answer is missing or wrong.
    pub fn run(&mut self, path: &str, until: Until) -> Result<Run, LoadError> {
        let connections = &mut self.connections;
        let start = Instant::now();
        for connection in &mut *connections {
            connection.ask(path)?;
        }
        let mut answered = 0;
        while let Some(ready) = wait(self.port, connections)? {
            for index in ready {
                let connection = &mut connections[index];
                if connection.receive(path, answered)?.is_none() {
                    continue;
                }
                answered += 1;
                if !until.is_reached(answered) {
                    connection.ask(path)?;
                }
            }
            check_patience(connections, answered)?;
        }
        let time = start.elapsed();
        Ok(Run { answered, time })
    }
}

/// Fetches a page over a connection of its own.
///
/// # Errors
/// The answer is missing or wrong.
pub fn fetch(port: u16, path: &str) -> Result<String, LoadError> {
    Connection::open(port)?.fetch(path)
}

/// Waits until some connections have something to read, for a second at most; their indexes.
/// `None` if none has a request under way.
fn wait(port: u16, connections: &[Connection]) -> Result<Option<Vec<usize>>, LoadError> {
    let asking: Vec<_> = (0..connections.len())
        .filter(|&index| connections[index].asked.is_some())
        .collect();
    if asking.is_empty() {
        return Ok(None);
    }
    let mut list: Vec<_> = asking
        .iter()
        .map(|&index| PollFd::new(connections[index].stream.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut list, PollTimeout::from(1000u16)).map_err(|error| LoadError::Io {
        port,
        source: error.into(),
    })?;
    let ready = list.iter().zip(asking);
    let ready = ready.filter(|(entry, _)| entry.any() == Some(true));
    Ok(Some(ready.map(|(_, index)| index).collect()))
}

fn check_patience(connections: &[Connection], answered: u64) -> Result<(), LoadError> {
    let late = |asked: Instant| asked.elapsed() >= PATIENCE;
    let silent = connections
        .iter()
        .filter(|connection| connection.asked.is_some_and(late))
        .count();
    if silent == 0 {
        return Ok(());
    }
    let connections = connections.len();
    Err(LoadError::Stall {
        silent,
        connections,
        answered,
    })
}

/// A connection that stays open.
struct Connection {
    port: u16,
    stream: TcpStream,
    received: Vec<u8>,
    /// Since when a request has been under way.
    asked: Option<Instant>,
}

impl Connection {
    fn open(port: u16) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Io { port, source };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self {
            port,
            stream,
            received: Vec::new(),
            asked: None,
        })
    }

    fn failed(&self, source: io::Error) -> LoadError {
        let port = self.port;
        LoadError::Io { port, source }
    }

    fn set_blocking(&self, blocking: bool) -> Result<(), LoadError> {
        self.stream
            .set_nonblocking(!blocking)
            .map_err(|error| self.failed(error))
    }

    /// Asks for a path and waits for the answer.
    fn fetch(&mut self, path: &str) -> Result<String, LoadError> {
        self.ask(path)?;
        loop {
            if let Some(body) = self.receive(path, 0)? {
                return Ok(body);
            }
            check_patience(std::slice::from_ref(self), 0)?;
        }
    }

    fn ask(&mut self, path: &str) -> Result<(), LoadError> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        // Fits the host's buffer, which is empty: the answer to the request before was read.
        let sent = self.stream.write_all(request.as_bytes());
        sent.map_err(|error| self.failed(error))?;
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// Reads once; the body of the answer if it is complete.
    fn receive(&mut self, path: &str, answered: u64) -> Result<Option<String>, LoadError> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(LoadError::Closed { answered }),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        }
        let Some((head, body)) = split(&self.received) else {
            return Ok(None);
        };
        let is_good = head.starts_with("HTTP/1.1 200 ");
        let body = String::from_utf8_lossy(body).into_owned();
        if !is_good {
            let start = self.received[..self.received.len().min(80)].to_vec();
            return Err(LoadError::Wrong {
                path: path.into(),
                start: String::from_utf8_lossy(&start).into_owned(),
            });
        }
        self.received.clear();
        self.asked = None;
        Ok(Some(body))
    }
}

/// Head and body of an answer that is complete.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let at = answer.windows(END.len()).position(|bytes| bytes == END)?;
    let head = std::str::from_utf8(&answer[..at]).unwrap_or_default();
    let body = &answer[at + END.len()..];
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    (body.len() >= length.unwrap_or(0)).then_some((head, body))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_answer_is_complete_when_its_length_says_so() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let (head, body) = split(answer).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "));
        assert_eq!(body, b"abc");
        assert!((0..answer.len()).all(|length| split(&answer[..length]).is_none()));
    }
}
