//! Disks around a rumprun program: a binary that `rumprun-bake` made for the platform `hw`, with Erlang
//! in it. Nothing can be added to the binary itself; around it go its configuration ([`config`]) and the
//! files of a release.

pub mod config;
pub mod multiboot;
