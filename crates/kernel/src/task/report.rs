//! What every thread does, for the epitaph of a kernel that hangs or dies.

use core::sync::atomic::Ordering;

use linux_abi::describe;

use super::{Task, table};
use crate::console;

/// Prints a line for each thread. Uses no memory and waits for no lock: whoever holds it may have
/// been stopped for good.
pub(crate) fn print_threads() {
    if !table::try_each_task(print_thread) {
        console::print(format_args!("the table of threads is in use\n"));
    }
}

fn print_thread(task: &Task) {
    let (tid, pid) = (task.tid(), task.process().pid());
    let name = task.name.try_lock();
    let name = name.as_ref().map_or(&b"?"[..], |name| name);
    let name = name.escape_ascii();
    let cpu = task.last_cpu();
    console::print(format_args!("thread {tid} of process {pid} ({name}) "));
    if task.thread().is_running() {
        console::print(format_args!("runs on CPU {cpu}"));
    } else if task.wake_state().may_be_blocked() {
        console::print(format_args!("waits"));
    } else {
        console::print(format_args!("waits for CPU {cpu}"));
    }
    let number = task.call.load(Ordering::Relaxed);
    match describe(number) {
        Some(call) => console::print(format_args!(", last call {}\n", call.name)),
        None => console::print(format_args!(", last call {number}\n")),
    }
}
