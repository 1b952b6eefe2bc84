//! The console as a terminal: Erlang's shell, typed at.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tests::{release, scratch, succeed, unibeam};

const LONG: Duration = Duration::from_secs(240);

/// `unibeam run --console`, and what it has said.
struct Shell {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    said: String,
}

impl Shell {
    fn start(mut child: Child) -> Self {
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
            keys: child.stdin.take().unwrap(),
            child,
            output,
            said: String::new(),
        }
    }

    /// Waits for `text` in what has been said since the last text.
    fn wait(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(at) = self.said.find(text) {
                self.said.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.said));
            self.said.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn erlangs_shell_edits_remembers_breaks_and_switches() {
    let folder = scratch();
    let image = folder.path().join("shell.img");
    let mut make = unibeam();
    make.arg("image")
        .arg(release("hello"))
        .arg("-o")
        .arg(&image);
    succeed(make.arg("--console"));
    let mut run = unibeam();
    run.arg("run").arg(&image).args(["--console", "--quiet"]);
    run.env("UNIBEAM_ACCEL", "tcg");
    run.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = Shell::start(run.spawn().unwrap());

    shell.wait("1> ");
    shell.type_keys("40+3\x7f2.\r");
    shell.wait("42\r\n");
    shell.wait("2> ");
    shell.type_keys("\x1b[A");
    shell.wait("40+2.");
    shell.type_keys("\r");
    shell.wait("42\r\n");
    shell.wait("3> ");
    shell.type_keys("\x07");
    shell.wait("User switch command");
    shell.wait(" --> ");
    shell.type_keys("c\r");
    shell.type_keys("\x03");
    shell.wait("BREAK: (a)bort");
    shell.type_keys("a\r");
    assert_eq!(shell.child.wait().unwrap().code(), Some(0));
}
