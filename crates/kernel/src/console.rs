//! The kernel's own words on the serial console, for people.

use core::fmt::{self, Write};

use machine::dev::serial;

/// Writes to the serial port.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    serial::write(line.as_bytes());
                    serial::write(b"\r\n");
                }
                None => serial::write(line.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Prints without a prefix; used by [`log!`] and the epitaph.
pub(crate) fn print(arguments: fmt::Arguments<'_>) {
    // The console never fails.
    let _ = Console.write_fmt(arguments);
}

/// Prints one line of the kernel's on the console.
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::console::print(format_args!("unibeam: {}\n", format_args!($($argument)*)))
    };
}
pub(crate) use log;
