//! The console as a terminal: Erlang's shell, typed at.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::{release, scratch, succeed, unibeam};

const LONG: Duration = Duration::from_secs(240);

/// `unibeam run --console`, and what it has said.
struct Shell {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    said: Vec<u8>,
    /// Where the image is.
    _folder: TempDir,
}

impl Shell {
    fn start(mut child: Child, folder: TempDir) -> Self {
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
            said: Vec::new(),
            _folder: folder,
        }
    }

    /// Waits for `text` in what has been said since the last text.
    fn wait(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        loop {
            let mut places = self.said.windows(text.len());
            if let Some(at) = places.position(|place| place == text.as_bytes()) {
                self.said.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| {
                panic!("no {text:?} in {:?}", String::from_utf8_lossy(&self.said))
            });
            self.said.extend(bytes);
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

/// A console image of an example, running with these flags.
fn shell_of(example: &str, flags: &[&str]) -> Shell {
    let folder = scratch();
    let image = folder.path().join("shell.img");
    let mut make = unibeam();
    make.arg("image")
        .arg(release(example))
        .arg("-o")
        .arg(&image);
    succeed(make.arg("--console"));
    let mut run = unibeam();
    run.arg("run").arg(&image).args(["--console", "--quiet"]);
    run.args(flags).env("UNIBEAM_ACCEL", "tcg");
    run.stdin(Stdio::piped()).stdout(Stdio::piped());
    Shell::start(run.spawn().unwrap(), folder)
}

#[test]
fn erlangs_shell_edits_remembers_breaks_and_switches() {
    let mut shell = shell_of("hello", &["--kernel-arg", "tty=50x132"]);
    shell.wait("1> ");
    shell.type_keys("{io:rows(), io:columns()}.\r");
    shell.wait("{{ok,50},{ok,132}}");
    shell.wait("2> ");
    shell.type_keys("40+3\x7f2.\r");
    shell.wait("42\r\n");
    shell.wait("3> ");
    shell.type_keys("\x1b[A");
    shell.wait("40+2.");
    shell.type_keys("\r");
    shell.wait("42\r\n");
    shell.wait("4> ");
    shell.type_keys("\x07");
    shell.wait("User switch command");
    shell.wait(" --> ");
    shell.type_keys("c\r");
    shell.type_keys("\x03");
    shell.wait("BREAK: (a)bort");
    shell.type_keys("a\r");
    assert_eq!(shell.child.wait().unwrap().code(), Some(0));
}

#[test]
fn iex_evaluates_completes_and_breaks() {
    let mut shell = shell_of("hello_elixir", &[]);
    shell.wait("1> ");
    shell.type_keys("Enum.sum 1..4\r");
    shell.wait("10");
    shell.wait("2> ");
    shell.type_keys("String.upc\t");
    shell.wait("String.upcase");
    shell.type_keys("(\"ä\")\r");
    shell.wait("\"Ä\"");
    shell.wait("3> ");
    // One key at a time: OTP 25 drops what comes in one piece with an arrow.
    shell.type_keys("\x1b[A");
    shell.wait("String.upcase");
    shell.type_keys("\x1b[A");
    shell.wait("Enum.sum 1..4");
    shell.type_keys("\r");
    shell.wait("10");
    shell.wait("4> ");
    shell.type_keys("\x03");
    shell.wait("BREAK: (a)bort");
    shell.type_keys("a\r");
    assert_eq!(shell.child.wait().unwrap().code(), Some(0));
}
