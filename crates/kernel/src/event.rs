//! Milestones for the harness, on the debug port (`boot_contract::events`).

use alloc::format;

use boot_contract::events::PREFIX;
use machine::dev::debug;

use crate::clock;

/// Reports `name`, with `details` as further words.
pub(crate) fn report(name: &str, details: &str) {
    if debug::is_present() {
        let space = if details.is_empty() { "" } else { " " };
        let line = format!("{PREFIX} {} {name}{space}{details}\n", clock::now());
        debug::write(line.as_bytes());
    }
}
