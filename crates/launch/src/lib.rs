//! What happens between a release's start script and the emulator's `argv`.
//!
//! The formats and steps of the start scripts of relx and `mix release` and of `erlexec`, each on
//! its own: arguments files ([`vm_args`]), their expansion and the sorting of flags ([`erlexec`]),
//! the assignments of `env.sh` ([`env_sh`]), and relx's templates ([`substitute`]).
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod env_sh;
pub mod erlexec;
pub mod substitute;
pub mod vm_args;
