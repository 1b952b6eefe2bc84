//! The terminal on the serial line: `vfs::LineDiscipline` between the port and programs.
//!
//! Its signals go to the first process. `^Z` does not: nobody could wake the machine up again
//! (POSIX discards it for an orphaned process group, too).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use linux_abi::layout::{Layout, SigInfo, Termios, Termios2, WinSize};
use linux_abi::raw::general as raw;
use linux_abi::raw::ioctl as request;
use machine::dev::serial;
use spin::{LazyLock, Mutex};
use vfs::{
    Errno, Events, File, FileKind, LineDiscipline, Readiness, Sink, Source, Stat, WaitQueue,
};

use crate::memory::Memory;
use crate::task::{SignalTarget, send_signal};
use crate::timers::{self, Alarm};
use crate::{clock, files};

/// Most bytes that one write takes: the kernel does nothing else meanwhile.
const WRITE_MAX: usize = 16 * 1024;
/// Size of the terminal until someone says otherwise.
const SIZE: WinSize = WinSize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};
/// Bytes of output that are processed at once.
const CHUNK: usize = 256;
/// The session of the first process.
const SESSION: u32 = 1;

/// The terminal. There is one, on COM1.
pub(crate) struct Tty {
    state: Mutex<State>,
    waiters: WaitQueue,
}

struct State {
    line: LineDiscipline,
    size: WinSize,
    /// The foreground process group, as it was set.
    group: u32,
    /// When waiting readers look again (`VTIME`).
    alarm: Option<u64>,
}

static TTY: LazyLock<Arc<Tty>> = LazyLock::new(|| {
    Arc::new(Tty {
        state: Mutex::new(State {
            line: LineDiscipline::default(),
            size: SIZE,
            group: SESSION,
            alarm: None,
        }),
        waiters: WaitQueue::new(),
    })
});

/// The terminal on COM1.
pub(crate) fn console() -> Arc<Tty> {
    Arc::clone(&TTY)
}

/// Says how large the terminal is, before anyone uses it.
pub(crate) fn set_size(rows: u16, columns: u16) {
    TTY.state.lock().size = WinSize {
        ws_row: rows,
        ws_col: columns,
        ..SIZE
    };
}

/// Takes what has arrived on the serial line.
pub(crate) fn receive() {
    let mut echo = Vec::new();
    let mut signals = Vec::new();
    {
        let mut state = TTY.state.lock();
        let now = clock::now();
        while let Some(byte) = serial::receive() {
            signals.extend(state.line.input(byte, now, &mut echo));
        }
    }
    serial::write(&echo);
    for signal in signals {
        if signal != raw::SIGTSTP as i32 {
            signal_first_process(signal);
        }
    }
    TTY.waiters.wake(Events::IN);
}

fn signal_first_process(signal: i32) {
    if let Some(process) = files::first_process() {
        send_signal(SignalTarget::Process(process), SigInfo::of_kernel(signal));
    }
}

impl Alarm for Tty {
    fn expire(&self, _now: u64) {
        self.state.lock().alarm = None;
        self.waiters.wake(Events::IN);
    }
}

impl State {
    /// Has waiting readers look again at `deadline`.
    fn look_again_at(&mut self, deadline: u64) {
        if self.alarm != Some(deadline) {
            self.alarm = Some(deadline);
            let tty: Weak<Tty> = Arc::downgrade(&TTY);
            timers::set(deadline, tty);
        }
    }

    fn set_settings(&mut self, code: u32, settings: Termios) {
        if matches!(code, request::TCSETSF | request::TCSETSF2) {
            self.line.flush_input();
        }
        self.line.set_settings(settings);
    }
}

impl Tty {
    /// Bytes that can be read now (`FIONREAD`).
    pub(crate) fn readable_bytes(&self) -> usize {
        self.state.lock().line.readable_bytes()
    }

    /// ioctl(2) on the terminal (ioctl_tty(2)).
    ///
    /// # Errors
    /// `EFAULT`, `EINVAL`, `ENOTTY` for unknown requests.
    pub(crate) fn ioctl(&self, memory: &Memory, code: u32, arg: u64) -> Result<u64, Errno> {
        match code {
            request::TCGETS => {
                let settings = *self.state.lock().line.settings();
                memory.write(arg, settings.encode().as_ref())?;
            }
            request::TCGETS2 => {
                let settings = with_speed(self.state.lock().line.settings());
                memory.write(arg, settings.encode().as_ref())?;
            }
            request::TCSETS | request::TCSETSW | request::TCSETSF => {
                let settings = Termios::decode(&memory.read_array(arg)?);
                self.state.lock().set_settings(code, settings);
            }
            request::TCSETS2 | request::TCSETSW2 | request::TCSETSF2 => {
                let settings = without_speed(&Termios2::decode(&memory.read_array(arg)?));
                self.state.lock().set_settings(code, settings);
            }
            request::TIOCGWINSZ => {
                let size = self.state.lock().size;
                memory.write(arg, size.encode().as_ref())?;
            }
            request::TIOCSWINSZ => self.resize(WinSize::decode(&memory.read_array(arg)?)),
            request::TIOCGPGRP => {
                let group = self.state.lock().group;
                memory.write_u32(arg, group)?;
            }
            request::TIOCSPGRP => {
                let group = memory.read_u32(arg)?;
                self.state.lock().group = group;
            }
            request::TIOCGSID => memory.write_u32(arg, SESSION)?,
            request::TCFLSH => self.flush(arg)?,
            // Everything written has been sent.
            request::TIOCOUTQ => memory.write_u32(arg, 0)?,
            request::TIOCSCTTY
            | request::TIOCNOTTY
            | request::TCSBRK
            | request::TCSBRKP
            | request::TCXONC => {}
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn resize(&self, size: WinSize) {
        let old = core::mem::replace(&mut self.state.lock().size, size);
        if old.encode() != size.encode() {
            signal_first_process(raw::SIGWINCH as i32);
        }
    }

    fn flush(&self, queue: u64) -> Result<(), Errno> {
        match u32::try_from(queue).map_err(|_| Errno::EINVAL)? {
            raw::TCIFLUSH | raw::TCIOFLUSH => self.state.lock().line.flush_input(),
            raw::TCOFLUSH => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// The speed of the port, which the settings do not change.
const SPEED: u32 = 115_200;

fn with_speed(settings: &Termios) -> Termios2 {
    Termios2 {
        c_iflag: settings.c_iflag,
        c_oflag: settings.c_oflag,
        c_cflag: settings.c_cflag,
        c_lflag: settings.c_lflag,
        c_line: settings.c_line,
        c_cc: settings.c_cc,
        c_ispeed: SPEED,
        c_ospeed: SPEED,
    }
}

fn without_speed(settings: &Termios2) -> Termios {
    Termios {
        c_iflag: settings.c_iflag,
        c_oflag: settings.c_oflag,
        c_cflag: settings.c_cflag,
        c_lflag: settings.c_lflag,
        c_line: settings.c_line,
        c_cc: settings.c_cc,
    }
}

/// Device number of /dev/console (Documentation/admin-guide/devices.txt of Linux).
pub(crate) const CONSOLE_NUMBER: u64 = vfs::device_number(5, 1);

impl File for Tty {
    fn stat(&self) -> Stat {
        let mut stat = Stat::anonymous(FileKind::CharDevice);
        stat.permissions = 0o620;
        stat.rdev = CONSOLE_NUMBER;
        stat
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        let count = match state.line.readiness(to.remaining(), clock::now()) {
            Readiness::Now(count) => count,
            Readiness::Later => return Err(Errno::EAGAIN),
            Readiness::Until(deadline) => {
                state.look_again_at(deadline);
                return Err(Errno::EAGAIN);
            }
        };
        let bytes: Vec<u8> = state.line.peek(count).collect();
        let count = to.put(&bytes)?;
        state.line.consume(count);
        Ok(count)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        let mut buffer = [0; CHUNK];
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 4);
        while from.remaining() > 0 && done < WRITE_MAX {
            let count = from.take(&mut buffer)?;
            out.clear();
            let mut state = self.state.lock();
            state.line.process_output(&buffer[..count], &mut out);
            drop(state);
            serial::write(&out);
            done += count;
        }
        Ok(done)
    }

    fn poll(&self) -> Events {
        if self.state.lock().line.is_readable() {
            Events::IN | Events::OUT
        } else {
            Events::OUT
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.waiters)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
