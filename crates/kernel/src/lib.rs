//! The safe half of the kernel: tasks, memory, files and system calls over `machine`.
//!
//! It starts in [`start::run`] and offers one program and its children the Linux x86-64
//! system-call interface.
//!
//! | module | what may go there |
//! |---|---|
//! | [`start`], [`release`], [`ending`] | how the machine comes up, what it starts, how it ends |
//! | [`syscall`] | one function for each system call, by family |
//! | [`task`], [`sched`], [`wait`], [`futex`] | threads and processes, who runs, who waits |
//! | [`memory`], [`elf`] | mappings, page faults, access to process memory |
//! | [`files`], [`devices`], [`proc`], [`tty`], [`timer_file`] | the file tree and what is in it |
//! | [`load`], [`shortage`] | load averages; who pays when memory is short |
//! | [`network`], [`random`], [`clock`], [`timers`], [`interrupts`] | glue to the machine |
//!
//! The kernel is not preempted and runs with interrupts off; a task gives up the CPU in
//! [`sched`] only. Locks are never held across that. Other CPUs run the same kernel at the same
//! time: docs/kernel-locking.md.
#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod clock;
mod clock_page;
mod console;
mod devices;
mod elf;
pub mod ending;
mod event;
mod files;
mod futex;
mod host;
mod interrupts;
mod load;
mod memory;
mod network;
mod proc;
mod random;
mod release;
mod sched;
mod shortage;
pub mod start;
mod syscall;
mod task;
mod timer_file;
mod timers;
mod tty;
mod wait;
