//! What differs between versions of OTP: its versions ([`Otp`]), the emulator's flags ([`flags`])
//! and functions.

pub mod flags;

pub use launch::otp::Otp;

/// Functions of the module `erlang`, which is in the emulator, and the OTP that they came with
/// (erts/preloaded/src/erlang.erl of OTP 24.3.3, 25.2.3, 26.2.5, 27.3.4.1, 28.5 and 29.0.2).
const NEW_BIFS: [(&str, u32, u32); 10] = [
    ("nodes", 2, 25),
    ("display_string", 2, 26),
    ("exit", 3, 28),
    ("hibernate", 0, 28),
    ("link", 2, 28),
    ("processes_iterator", 0, 28),
    ("processes_next", 1, 28),
    ("exit_signal", 3, 29),
    ("is_integer", 3, 29),
    ("is_record", 1, 29),
];

/// Whether the module `erlang` may have a function: `false` only if it is known not to.
pub fn has_bif(function: &str, arity: u32, erts: &str) -> bool {
    let mut new = NEW_BIFS.iter();
    let since = new.find(|(name, of, _)| (*name, *of) == (function, arity));
    match (since, Otp::of_erts(erts)) {
        (Some((_, _, since)), Some(otp)) => otp.major >= *since,
        _ => true,
    }
}

/// Modules in the emulator of OTP 25, sorted (erts/preloaded/src; lib/sasl/src/systools_make.erl,
/// `preloaded`).
const PRELOADED: [&str; 21] = [
    "atomics",
    "counters",
    "erl_init",
    "erl_prim_loader",
    "erl_tracer",
    "erlang",
    "erts_code_purger",
    "erts_dirty_process_signal_handler",
    "erts_internal",
    "erts_literal_area_collector",
    "init",
    "persistent_term",
    "prim_buffer",
    "prim_eval",
    "prim_file",
    "prim_inet",
    "prim_net",
    "prim_socket",
    "prim_zip",
    "socket_registry",
    "zlib",
];

/// Modules that came later, with the first OTP that has them (compared up to OTP 29).
const PRELOADED_SINCE: [(u32, &str); 1] = [(27, "erts_trace_cleaner")];

/// The modules in the emulator, sorted; those of the newest one, if it is not known.
pub fn preloaded(otp: Option<Otp>) -> Vec<&'static str> {
    let later = PRELOADED_SINCE
        .iter()
        .filter(|(since, _)| otp.is_none_or(|otp| otp.major >= *since));
    let mut modules: Vec<_> = PRELOADED
        .into_iter()
        .chain(later.map(|(_, module)| *module))
        .collect();
    modules.sort_unstable();
    modules
}

#[cfg(test)]
mod tests {
    use super::has_bif;

    #[test]
    fn new_functions_are_not_in_old_systems() {
        assert!(has_bif("link", 1, "13.1.5"));
        assert!(!has_bif("link", 2, "13.1.5"));
        assert!(has_bif("link", 2, "16.0"));
        assert!(!has_bif("is_integer", 3, "16.4"));
        assert!(has_bif("is_integer", 3, "99.0"));
    }
}
