//! QMP, QEMU's control protocol: one JSON value on each line (QEMU: docs/interop/qmp-spec.rst).

use crate::streams::Message;
use serde::Deserialize;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::Sender;

/// A line from QEMU, as far as we care.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Line {
    /// Present in the greeting.
    #[serde(rename = "QMP")]
    greeting: Option<serde_json::Value>,
    event: Option<String>,
    data: Option<Data>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Data {
    reason: Option<String>,
}

/// Answers the greeting and reads events until QEMU is gone.
pub(crate) fn read(listener: &UnixListener, queue: &Sender<Message>) {
    let Ok((stream, _)) = listener.accept() else {
        return;
    };
    let Ok(writer) = stream.try_clone() else {
        return;
    };
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if let Some(message) = message(&line, &writer) {
            drop(queue.send(message));
        }
    }
}

fn message(line: &str, writer: &UnixStream) -> Option<Message> {
    let line: Line = serde_json::from_str(line).ok()?;
    if line.greeting.is_some() {
        let stream = writer.try_clone().ok()?;
        execute(&stream, "qmp_capabilities").ok()?;
        return Some(Message::QmpReady(stream));
    }
    (line.event? == "SHUTDOWN").then_some(())?;
    Some(Message::Shutdown(line.data?.reason?))
}

/// Sends a command without arguments.
pub(crate) fn execute(mut stream: &UnixStream, command: &str) -> io::Result<()> {
    writeln!(stream, "{{\"execute\":\"{command}\"}}")
}

#[cfg(test)]
mod tests {
    use super::message;
    use crate::streams::Message;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_greeting_is_answered() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let greeting = r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#;
        assert!(matches!(
            message(greeting, &ours),
            Some(Message::QmpReady(_))
        ));
        let mut answer = String::new();
        BufReader::new(theirs).read_line(&mut answer).unwrap();
        assert_eq!(answer, "{\"execute\":\"qmp_capabilities\"}\n");
    }

    #[test]
    fn of_the_events_only_a_shutdown_matters() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let shutdown = r#"{"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#;
        let Some(Message::Shutdown(reason)) = message(shutdown, &ours) else {
            panic!("no shutdown");
        };
        assert_eq!(reason, "guest-reset");
        assert!(message(r#"{"event": "RESUME"}"#, &ours).is_none());
        assert!(message(r#"{"return": {}}"#, &ours).is_none());
        assert!(message("rubbish", &ours).is_none());
    }
}
