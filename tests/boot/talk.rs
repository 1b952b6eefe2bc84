//! A program that one types at and listens to.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(120);

/// A running program and what it has said; it ends with this.
pub(crate) struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// Bytes: a character may come in two pieces.
    said: Vec<u8>,
}

impl Talk {
    /// Starts a program; its standard error stays where the command says.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let (sender, output) = channel();
        let mut stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            output,
            said: Vec::new(),
        }
    }

    /// Waits for `text` in what has been said since the last text; gives what came before it.
    pub(crate) fn wait(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let mut places = self.said.windows(text.len());
            if let Some(at) = places.position(|place| place == text.as_bytes()) {
                let rest = self.said.split_off(at + text.len());
                let said = std::mem::replace(&mut self.said, rest);
                return String::from_utf8_lossy(&said[..at]).into_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| {
                panic!("no {text:?} in {:?}", String::from_utf8_lossy(&self.said))
            });
            self.said.extend(bytes);
        }
    }

    /// Types `keys`.
    pub(crate) fn say(&mut self, keys: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
