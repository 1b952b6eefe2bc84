//! Tests that start a machine. Nothing is skipped: what is missing fails with what to do.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

mod callfuzz;
mod configuration;
mod console;
mod debian;
mod distribution;
mod endings;
mod hardening;
mod harness;
mod network;
mod otp;
mod otp27;
mod probes;
mod releases;
mod rumprun;
mod services;
mod soak;
mod statuses;
mod talk;
mod wire;
