//! What stands in for the helper: a thread for each port that is to be started.
//!
//! It reads what program the emulator wants (otp: erts/emulator/sys/unix/sys_drivers.c,
//! `spawn_start`) and answers that it cannot be started. Only the resolver, `inet_gethost`, seems to
//! start, since without it the emulator ends (lib/kernel/src/inet_gethost_native.erl,
//! `open_executable`): each of its answers is the error `enotsup`.

use crate::contract::{ANSWER_SIZE, not_started, started};
use crate::libc::{ENOTSUP, close, pthread_create, pthread_detach, read, write};
use core::ffi::{c_int, c_void};

/// Number of the resolver's process, as the emulator shows it: larger than any of Linux
/// (`PID_MAX_LIMIT`).
const RESOLVER_PID: i32 = 1 << 23;
/// Its program, as it is told.
const RESOLVER: &[u8] = b"inet_gethost";

/// Bytes that are read at a time; a request of the resolver has fewer.
const BUFFER: usize = 1024;

/// Starts the thread for a port whose program would read `input` and write `output`, both of which
/// it closes.
pub fn start(input: c_int, output: c_int) {
    let argument = (input as u32 as usize) << 32 | output as u32 as usize;
    let mut thread = 0;
    // SAFETY: `thread` is written before the call returns, and `serve` takes any number.
    let status = unsafe {
        pthread_create(&raw mut thread, core::ptr::null(), serve, argument as *mut c_void)
    };
    if status == 0 {
        // SAFETY: the thread was just made, and nobody waits for it.
        unsafe { pthread_detach(thread) };
    } else {
        Pipes { input, output }.send(&not_started(ENOTSUP as u8));
    }
}

extern "C" fn serve(argument: *mut c_void) -> *mut c_void {
    let argument = argument as usize;
    let pipes = Pipes {
        input: (argument >> 32) as u32 as c_int,
        output: argument as u32 as c_int,
    };
    match pipes.is_resolver() {
        Some(true) => {
            pipes.send(&started(RESOLVER_PID));
            let _ = pipes.resolve();
        }
        _ => pipes.send(&not_started(ENOTSUP as u8)),
    }
    core::ptr::null_mut()
}

/// The two ends that a port's program has.
struct Pipes {
    input: c_int,
    output: c_int,
}

impl Drop for Pipes {
    fn drop(&mut self) {
        // SAFETY: no conditions; both were made for this value.
        unsafe {
            close(self.input);
            close(self.output);
        }
    }
}

impl Pipes {
    /// Reads the command: its size, flags (4 bytes), the program with a zero at its end, and more.
    fn is_resolver(&self) -> Option<bool> {
        let mut head = [0; 4];
        self.receive(&mut head)?;
        let mut left = usize::try_from(i32::from_ne_bytes(head)).ok()?;
        let mut buffer = [0; BUFFER];
        let mut found = None;
        while left > 0 {
            let (part, _) = buffer.split_at_mut_checked(left.min(BUFFER))?;
            self.receive(part)?;
            left -= part.len();
            // The program's name is in the first part, as paths are short.
            found = found.or(Some(names(part.get(4..)?, RESOLVER)));
        }
        found
    }

    /// Answers requests until the port is closed.
    fn resolve(&self) -> Option<()> {
        // The emulator has understood that the program runs.
        self.receive(&mut [0; ANSWER_SIZE])?;
        loop {
            let mut length = [0; 4];
            self.receive(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            let mut buffer = [0; BUFFER];
            let (request, _) = buffer.split_at_mut_checked(length)?;
            self.receive(request)?;
            let number = request.first_chunk::<4>()?;
            // Questions for a name and for an address; other requests have no answer.
            if matches!(request.get(4), Some(1 | 2)) {
                self.send(&13_u32.to_be_bytes());
                self.send(number);
                self.send(b"\0enotsup\0");
            }
        }
    }

    /// Fills all of the buffer.
    fn receive(&self, mut buffer: &mut [u8]) -> Option<()> {
        while !buffer.is_empty() {
            // SAFETY: the buffer is as long as said.
            let count = unsafe { read(self.input, buffer.as_mut_ptr().cast(), buffer.len()) };
            let count = usize::try_from(count).ok().filter(|&count| count > 0)?;
            (_, buffer) = buffer.split_at_mut_checked(count)?;
        }
        Some(())
    }

    fn send(&self, bytes: &[u8]) {
        // SAFETY: there are as many bytes as said. What cannot be written, nobody waits for.
        unsafe { write(self.output, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// Whether the text up to the first zero holds this.
fn names(text: &[u8], program: &[u8]) -> bool {
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        if *first == 0 {
            return false;
        }
        if rest.starts_with(program) {
            return true;
        }
        rest = behind;
    }
    false
}
