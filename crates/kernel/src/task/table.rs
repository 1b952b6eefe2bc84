//! Numbers of tasks and processes.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use spin::Mutex;

use super::{Process, Task};

/// Numbers wrap here, as with Linux's default pid_max.
const MAX_ID: u32 = 32768;

struct Table {
    tasks: BTreeMap<u32, Weak<Task>>,
    processes: BTreeMap<u32, Weak<Process>>,
    last: u32,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    tasks: BTreeMap::new(),
    processes: BTreeMap::new(),
    last: 0,
});

/// An unused number; `None` if all are in use.
pub(super) fn new_id() -> Option<u32> {
    let mut table = TABLE.lock();
    for _ in 0..MAX_ID {
        table.last = table.last % MAX_ID + 1;
        let id = table.last;
        if !table.tasks.contains_key(&id) && !table.processes.contains_key(&id) {
            return Some(id);
        }
    }
    None
}

/// Makes a task known by its number.
pub(super) fn add_task(task: &Task) {
    TABLE.lock().tasks.insert(task.tid(), task.this.clone());
}

/// Forgets a task by all its numbers.
pub(super) fn remove_task(task: &Task) {
    let mut table = TABLE.lock();
    for number in [task.tid(), task.tag] {
        table.tasks.remove(&number);
    }
}

pub(super) fn add_process(process: &Arc<Process>) {
    TABLE
        .lock()
        .processes
        .insert(process.pid(), Arc::downgrade(process));
}

pub(super) fn remove_process(pid: u32) {
    TABLE.lock().processes.remove(&pid);
}

/// The thread with this number.
pub(crate) fn find_task(tid: u32) -> Option<Arc<Task>> {
    TABLE.lock().tasks.get(&tid)?.upgrade()
}

/// Calls `f` for every thread, unless the table is in use; returns whether it was not. For a
/// dying kernel: no thread is dropped here, whoever else gives it up.
pub(super) fn try_each_task(f: impl Fn(&Task)) -> bool {
    let Some(table) = TABLE.try_lock() else {
        return false;
    };
    for task in table.tasks.values().filter_map(Weak::upgrade) {
        f(&task);
        core::mem::forget(task);
    }
    true
}

/// The process with this number; ended ones count until their parent has waited.
pub(crate) fn find_process(pid: u32) -> Option<Arc<Process>> {
    TABLE.lock().processes.get(&pid)?.upgrade()
}

/// All processes, in order of their numbers.
pub(crate) fn all_processes() -> Vec<Arc<Process>> {
    TABLE
        .lock()
        .processes
        .values()
        .filter_map(Weak::upgrade)
        .collect()
}
