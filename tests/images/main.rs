//! Images of real releases, judged by independent programs.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

mod archives;
mod bad_input;
mod content;
mod failures;
mod formats;
mod inspect;
mod oracles;
mod osv;
mod outputs;
mod reproducible;
mod sbom;
mod sign;
