//! Vectors, readiness and terminals.

use super::layout;
use crate::raw;

layout! {
    /// `struct iovec`, readv(2).
    struct IoVec[16, like raw::general::iovec] {
        iov_base: u64 = 0,
        iov_len: u64 = 8,
    }

    /// `struct pollfd`, poll(2).
    struct PollFd[8, like raw::general::pollfd] {
        fd: i32 = 0,
        events: i16 = 4,
        revents: i16 = 6,
    }

    /// `struct epoll_event`, epoll_ctl(2): packed on x86-64, which `linux-raw-sys` does not say.
    struct EpollEvent[12] {
        events: u32 = 0,
        data: u64 = 4,
    }

    /// `struct winsize`, ioctl_tty(2).
    struct WinSize[8, like raw::general::winsize] {
        ws_row: u16 = 0,
        ws_col: u16 = 2,
        ws_xpixel: u16 = 4,
        ws_ypixel: u16 = 6,
    }

    /// `struct termios` of the kernel, which is not that of the C library; ioctl_tty(2).
    struct Termios[36, like raw::general::termios] {
        c_iflag: u32 = 0,
        c_oflag: u32 = 4,
        c_cflag: u32 = 8,
        c_lflag: u32 = 12,
        c_line: u8 = 16,
        c_cc: [u8; 19] = 17,
    }

    /// `struct termios2`, `TCGETS2` in ioctl_tty(2).
    struct Termios2[44, like raw::general::termios2] {
        c_iflag: u32 = 0,
        c_oflag: u32 = 4,
        c_cflag: u32 = 8,
        c_lflag: u32 = 12,
        c_line: u8 = 16,
        c_cc: [u8; 19] = 17,
        c_ispeed: u32 = 36,
        c_ospeed: u32 = 40,
    }
}

impl Termios {
    /// The settings of a fresh terminal on Linux (`tty_std_termios`): echo, whole lines,
    /// signals from ^C, ^\ and ^Z, 38400 baud.
    pub const STANDARD: Self = {
        use raw::general as g;
        Self {
            c_iflag: g::ICRNL | g::IXON,
            c_oflag: g::OPOST | g::ONLCR,
            c_cflag: g::B38400 | g::CS8 | g::CREAD | g::HUPCL,
            c_lflag: g::ISIG
                | g::ICANON
                | g::ECHO
                | g::ECHOE
                | g::ECHOK
                | g::ECHOCTL
                | g::ECHOKE
                | g::IEXTEN,
            c_line: 0,
            // VINTR ^C, VQUIT ^\, VERASE DEL, VKILL ^U, VEOF ^D, VTIME 0, VMIN 1, VSWTC, VSTART
            // ^Q, VSTOP ^S, VSUSP ^Z, VEOL, VREPRINT ^R, VDISCARD ^O, VWERASE ^W, VLNEXT ^V, VEOL2
            c_cc: *b"\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0",
        }
    };
}
