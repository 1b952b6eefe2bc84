use std::string::{String, ToString};
use std::vec::Vec;

use linux_abi::raw::general as raw;
use proptest::prelude::{any, proptest};

use super::{BUFFER, LineDiscipline, Readiness};

/// A terminal and all that it echoed.
#[derive(Default)]
struct Screen {
    tty: LineDiscipline,
    echoed: Vec<u8>,
    signals: Vec<i32>,
}

impl Screen {
    fn with(change: impl Fn(&mut linux_abi::layout::Termios)) -> Self {
        let mut screen = Self::default();
        let mut settings = *screen.tty.settings();
        change(&mut settings);
        screen.tty.set_settings(settings);
        screen
    }

    fn raw(least: u8, time: u8) -> Self {
        Self::with(|settings| {
            settings.c_lflag &= !(raw::ICANON | raw::ECHO | raw::ISIG | raw::IEXTEN);
            settings.c_cc[raw::VMIN as usize] = least;
            settings.c_cc[raw::VTIME as usize] = time;
        })
    }

    fn typed(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.type_at(bytes.as_ref(), 0);
        self
    }

    fn type_at(&mut self, bytes: &[u8], now: u64) {
        for &byte in bytes {
            let signal = self.tty.input(byte, now, &mut self.echoed);
            self.signals.extend(signal);
        }
    }

    /// One read of up to `wanted` bytes.
    fn read(&mut self, wanted: usize) -> Option<String> {
        let Readiness::Now(count) = self.tty.readiness(wanted, 0) else {
            return None;
        };
        let bytes: Vec<u8> = self.tty.peek(count).collect();
        self.tty.consume(count);
        Some(String::from_utf8_lossy(&bytes).to_string())
    }

    fn echoed(&self) -> String {
        String::from_utf8_lossy(&self.echoed).to_string()
    }
}

fn is(text: &str) -> Option<String> {
    Some(text.to_string())
}

#[test]
fn lines_are_read_one_by_one_and_in_parts() {
    let mut screen = Screen::default().typed("one\rtwo\nthr");
    assert_eq!(screen.echoed(), "one\r\ntwo\r\nthr");
    assert_eq!(screen.tty.readable_bytes(), 4);
    assert_eq!(screen.read(2), is("on"));
    assert_eq!(screen.read(100), is("e\n"));
    assert_eq!(screen.read(100), is("two\n"));
    assert_eq!(screen.read(100), None);
}

#[test]
fn erasing_goes_back_on_the_screen_too() {
    let mut screen = Screen::default().typed("ab\x7fc\n");
    assert_eq!(screen.echoed(), "ab\x08 \x08c\r\n");
    assert_eq!(screen.read(100), is("ac\n"));
    let screen = Screen::default().typed("\x7f");
    assert_eq!(screen.echoed(), "", "nothing to erase");
}

#[test]
fn a_control_character_is_two_columns_and_a_tab_as_many_as_it_took() {
    let back = "\x08 \x08";
    let screen = Screen::default().typed("\x01\x7f");
    assert_eq!(screen.echoed(), "^A".to_string() + &back.repeat(2));
    let screen = Screen::default().typed("abc\t\x7f");
    assert_eq!(screen.echoed(), "abc\t".to_string() + &back.repeat(5));
}

#[test]
fn a_character_of_utf8_is_erased_as_one() {
    let mut screen = Screen::with(|s| s.c_iflag |= raw::IUTF8).typed("aü\x7f\n");
    assert_eq!(screen.echoed(), "aü\x08 \x08\r\n");
    assert_eq!(screen.read(100), is("a\n"));
}

#[test]
fn words_and_lines_are_erased() {
    let mut screen = Screen::default().typed("one two_2, \x17\n");
    assert_eq!(screen.read(100), is("one \n"));
    let mut screen = Screen::default().typed("one two\x15three\n");
    assert_eq!(screen.read(100), is("three\n"));
    assert!(screen.echoed().contains(&"\x08 \x08".repeat(7)));
    let screen = Screen::with(|s| s.c_lflag &= !raw::ECHOKE).typed("one\x15");
    assert_eq!(screen.echoed(), "one^U\r\n");
}

#[test]
fn the_line_is_shown_again_on_request() {
    let screen = Screen::default().typed("a\x01b\x12");
    assert_eq!(screen.echoed(), "a^Ab^R\r\na^Ab");
}

#[test]
fn the_next_byte_can_be_taken_as_it_is() {
    let mut screen = Screen::default().typed("a\x16\x03\x16\x7f\n");
    assert_eq!(screen.signals, []);
    assert_eq!(screen.read(100), is("a\x03\x7f\n"));
    assert_eq!(screen.echoed(), "a^\x08^C^\x08^?\r\n");
}

#[test]
fn an_end_of_file_ends_a_line_without_a_byte() {
    let mut screen = Screen::default().typed("ab\x04\x04");
    assert_eq!(screen.read(100), is("ab"));
    assert_eq!(screen.read(100), is(""));
    assert_eq!(screen.read(100), None);
}

#[test]
fn further_ends_of_line() {
    let mut screen = Screen::with(|s| s.c_cc[raw::VEOL as usize] = b';').typed("a;b");
    assert_eq!(screen.read(100), is("a;"));
    assert_eq!(screen.read(100), None);
}

#[test]
fn signals_flush_the_input() {
    let mut screen = Screen::default().typed("old\nnew\x03\x1c\x1a");
    let expected = [raw::SIGINT, raw::SIGQUIT, raw::SIGTSTP].map(|s| s as i32);
    assert_eq!(screen.signals, expected);
    assert_eq!(screen.read(100), None);
    assert!(screen.echoed().ends_with("new^C^\\^Z"));
    let mut screen = Screen::with(|s| s.c_lflag |= raw::NOFLSH).typed("a\n\x03");
    assert_eq!(screen.read(100), is("a\n"));
    let mut screen = Screen::raw(1, 0).typed("\x03");
    assert_eq!((screen.signals.len(), screen.read(1)), (0, is("\x03")));
}

#[test]
fn input_flags_translate() {
    let mut screen = Screen::with(|s| s.c_iflag = raw::IGNCR | raw::ISTRIP).typed(b"\xe1\r\n");
    assert_eq!(screen.read(9), is("a\n"));
    let mut screen = Screen::raw(1, 0);
    let mut settings = *screen.tty.settings();
    settings.c_iflag = raw::INLCR;
    screen.tty.set_settings(settings);
    assert_eq!(screen.typed("\n").read(9), is("\r"));
}

#[test]
fn without_echo_only_a_newline_may_show() {
    let silent = |s: &mut linux_abi::layout::Termios| s.c_lflag &= !raw::ECHO;
    let screen = Screen::with(silent).typed("secret\x7f\n");
    assert_eq!(screen.echoed(), "");
    let screen = Screen::with(|s| {
        silent(s);
        s.c_lflag |= raw::ECHONL;
    });
    assert_eq!(screen.typed("secret\n").echoed(), "\r\n");
}

#[test]
fn a_full_buffer_takes_the_end_of_the_line_still() {
    let mut screen = Screen::with(|s| s.c_iflag |= raw::IMAXBEL);
    screen.type_at(&[b'x'; BUFFER + 10], 0);
    assert!(screen.echoed().ends_with('\x07'));
    screen.type_at(b"\n", 0);
    assert_eq!(screen.read(BUFFER * 2).unwrap().len(), BUFFER);
}

#[test]
fn raw_reads_wait_for_vmin_bytes() {
    let mut screen = Screen::raw(3, 0).typed("ab");
    assert_eq!(screen.tty.readiness(100, 0), Readiness::Later);
    assert!(!screen.tty.is_readable());
    assert_eq!(
        screen.tty.readiness(2, 0),
        Readiness::Now(2),
        "all it wants"
    );
    screen.type_at(b"cd", 0);
    assert_eq!(screen.read(100), is("abcd"));
    assert_eq!(Screen::raw(0, 0).read(100), is(""), "no waiting at all");
}

#[test]
fn vtime_counts_from_the_read_or_from_byte_to_byte() {
    const TENTH: u64 = 100_000_000;
    let mut screen = Screen::raw(0, 2);
    assert_eq!(screen.tty.readiness(9, 5), Readiness::Until(5 + 2 * TENTH));
    assert_eq!(screen.tty.readiness(9, 5 + 2 * TENTH), Readiness::Now(0));
    screen.type_at(b"a", 6);
    assert_eq!(screen.tty.readiness(9, 6), Readiness::Now(1));
    let mut screen = Screen::raw(3, 1);
    assert_eq!(screen.tty.readiness(9, 0), Readiness::Later);
    screen.type_at(b"a", 7);
    assert_eq!(screen.tty.readiness(9, 8), Readiness::Until(7 + TENTH));
    assert_eq!(screen.tty.readiness(9, 7 + TENTH), Readiness::Now(1));
}

#[test]
fn a_change_of_mode_keeps_the_input() {
    let mut screen = Screen::default().typed("line\npart");
    let canonical = *screen.tty.settings();
    screen.tty.set_settings(*Screen::raw(1, 0).tty.settings());
    assert_eq!(screen.read(6), is("line\np"));
    screen.tty.set_settings(canonical);
    assert_eq!(screen.read(100), is("art"));
}

#[test]
fn flow_control_is_taken_off_the_input() {
    let mut screen = Screen::default().typed("a\x13b\x11\n");
    assert_eq!(screen.read(100), is("ab\n"));
}

#[test]
fn output_flags() {
    let processed = |flags, bytes: &[u8]| {
        let mut screen = Screen::with(|s| s.c_oflag = flags);
        let mut out = Vec::new();
        screen.tty.process_output(bytes, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(processed(raw::OPOST | raw::ONLCR, b"a\nb\n"), "a\r\nb\r\n");
    assert_eq!(processed(raw::ONLCR, b"a\n"), "a\n", "needs OPOST");
    assert_eq!(processed(raw::OPOST | raw::OCRNL, b"a\r"), "a\n");
    assert_eq!(processed(raw::OPOST | raw::ONOCR, b"\ra\r"), "a\r");
    assert_eq!(processed(raw::OPOST | raw::XTABS, b"ab\tc"), "ab      c");
}

proptest! {
    /// Whatever is typed in whatever mode: no panic, and no more is read than was typed.
    #[test]
    fn anything_can_be_typed(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        input in any::<u32>(),
        local in any::<u32>(),
        output in any::<u32>(),
    ) {
        let mut screen = Screen::with(|s| {
            (s.c_iflag, s.c_lflag, s.c_oflag) = (input, local, output);
        });
        screen.type_at(&bytes, 0);
        let mut read = 0;
        while let Readiness::Now(count @ 1..) = screen.tty.readiness(7, 0) {
            screen.tty.consume(count);
            read += count;
        }
        assert!(read <= bytes.len());
    }
}
