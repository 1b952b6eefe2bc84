//! The machine's name.

use alloc::string::{String, ToString};

use spin::Mutex;

static NAME: Mutex<String> = Mutex::new(String::new());

/// Name of a machine that was given none.
const DEFAULT: &str = "unibeam";
/// Longest name (`__NEW_UTS_LEN`).
const MAX: usize = 64;

/// The host name.
pub(crate) fn name() -> String {
    let name = NAME.lock();
    if name.is_empty() {
        DEFAULT.to_string()
    } else {
        name.clone()
    }
}

/// Sets the host name, cut to 64 characters.
pub(crate) fn set_name(name: &str) {
    *NAME.lock() = name.chars().take(MAX).collect();
}
