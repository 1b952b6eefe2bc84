//! Futexes (futex(2)). Waiters queue by address; a private futex is named by its address space,
//! a shared one by the frame behind it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use linux_abi::Errno;
use spin::Mutex;

use crate::memory::Memory;
use crate::task::Task;
use crate::wait::Interruption;

/// Names a futex: address space (or 0 for shared), then address (or frame and offset).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(usize, u64);

struct WaiterEntry {
    task: Arc<Task>,
    bits: u32,
    /// Set by whoever takes the entry out of its queue to wake it.
    woken: AtomicBool,
}

type Queues = BTreeMap<Key, VecDeque<Arc<WaiterEntry>>>;

/// All waiters. Lock order: before a process's memory.
static QUEUES: Mutex<Queues> = Mutex::new(BTreeMap::new());

/// A word's owner in robust and priority-inheriting futexes (linux/futex.h).
const TID_MASK: u32 = 0x3fff_ffff;
const OWNER_DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;
/// Most entries of a robust list that are looked at (ROBUST_LIST_LIMIT).
const ROBUST_LIMIT: usize = 2048;

fn key(memory: &Arc<Memory>, address: u64, private: bool) -> Result<Key, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let shared = !private && memory.lock().find(address).is_some_and(|vma| vma.shared);
    if shared {
        let (frame, offset) = memory.word(address, false)?;
        return Ok(Key(0, frame.number() * crate::memory::PAGE + offset as u64));
    }
    Ok(Key(Arc::as_ptr(memory) as usize, address))
}

/// `FUTEX_WAIT_BITSET`: waits while the word has the value `expected`.
///
/// # Errors
/// `EAGAIN` if it has not, `ETIMEDOUT`, `EINTR`, `EFAULT`, `EINVAL`.
pub(crate) fn wait(
    task: &Arc<Task>,
    address: u64,
    private: bool,
    expected: u32,
    bits: u32,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let memory = task.memory();
    let key = key(&memory, address, private)?;
    let entry = Arc::new(WaiterEntry {
        task: Arc::clone(task),
        bits,
        woken: AtomicBool::new(false),
    });
    {
        let mut queues = QUEUES.lock();
        if memory.load_u32(address)? != expected {
            return Err(Errno::EAGAIN);
        }
        queues.entry(key).or_default().push_back(Arc::clone(&entry));
    }
    let woken = || entry.woken.load(Ordering::Acquire).then_some(());
    let result = task.wait_for(deadline, woken);
    if result.is_err() {
        remove(&entry);
        // A wake-up that came in between counts.
        if entry.woken.load(Ordering::Acquire) {
            return Ok(());
        }
    }
    result.map_err(Interruption::into)
}

/// Takes an entry out of whatever queue it is in.
fn remove(entry: &Arc<WaiterEntry>) {
    QUEUES.lock().retain(|_, queue| {
        queue.retain(|other| !Arc::ptr_eq(other, entry));
        !queue.is_empty()
    });
}

/// `FUTEX_WAKE_BITSET`: wakes up to `count` waiters that have one of `bits`; returns how many.
///
/// # Errors
/// `EFAULT`, `EINVAL`.
pub(crate) fn wake(
    task: &Arc<Task>,
    address: u64,
    private: bool,
    count: u32,
    bits: u32,
) -> Result<u32, Errno> {
    let key = key(&task.memory(), address, private)?;
    Ok(wake_key(&mut QUEUES.lock(), key, count, bits))
}

fn wake_key(queues: &mut Queues, key: Key, count: u32, bits: u32) -> u32 {
    let Some(queue) = queues.get_mut(&key) else {
        return 0;
    };
    let mut woken = 0;
    queue.retain(|entry| {
        if woken == count || entry.bits & bits == 0 {
            return true;
        }
        woken += 1;
        entry.woken.store(true, Ordering::Release);
        entry.task.wake_up();
        false
    });
    if queue.is_empty() {
        queues.remove(&key);
    }
    woken
}

/// `FUTEX_CMP_REQUEUE`: wakes up to `wake` waiters and moves up to `requeue` others to another
/// futex, if the word has the value `expected` (or always, without one).
///
/// # Errors
/// `EAGAIN`, `EFAULT`, `EINVAL`.
pub(crate) fn requeue(
    task: &Arc<Task>,
    (from, to): (u64, u64),
    private: bool,
    (wake, requeue): (u32, u32),
    expected: Option<u32>,
) -> Result<u32, Errno> {
    let memory = task.memory();
    let (source, target) = (key(&memory, from, private)?, key(&memory, to, private)?);
    let mut queues = QUEUES.lock();
    if let Some(expected) = expected
        && memory.load_u32(from)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let woken = wake_key(&mut queues, source, wake, u32::MAX);
    let Some(queue) = queues.get_mut(&source) else {
        return Ok(woken);
    };
    let moved = queue.len().min(requeue as usize);
    let batch: VecDeque<_> = queue.drain(..moved).collect();
    if queue.is_empty() {
        queues.remove(&source);
    }
    if !batch.is_empty() {
        queues.entry(target).or_default().extend(batch);
    }
    Ok(woken + moved as u32)
}

/// `FUTEX_WAKE_OP`: changes the second word, wakes waiters of the first and, if the old value of
/// the second compares as asked, of the second.
///
/// # Errors
/// `EFAULT`, `EINVAL`, `ENOSYS` for an unknown operation.
pub(crate) fn wake_op(
    task: &Arc<Task>,
    (first, second): (u64, u64),
    private: bool,
    (count, count_second): (u32, u32),
    operation: u32,
) -> Result<u32, Errno> {
    let memory = task.memory();
    let (key_first, key_second) = (
        key(&memory, first, private)?,
        key(&memory, second, private)?,
    );
    let (frame, offset) = memory.word(second, true)?;
    let mut queues = QUEUES.lock();
    let old = apply(frame.atomic_u32(offset), operation)?;
    let mut woken = wake_key(&mut queues, key_first, count, u32::MAX);
    if compare(old, operation)? {
        woken += wake_key(&mut queues, key_second, count_second, u32::MAX);
    }
    Ok(woken)
}

/// The operation of `FUTEX_WAKE_OP`: bits 28 to 31, with its argument in bits 12 to 23.
fn apply(word: &AtomicU32, operation: u32) -> Result<u32, Errno> {
    let mut argument = operation >> 12 & 0xfff;
    if operation >> 31 == 1 {
        argument = 1 << (argument & 31);
    }
    let order = Ordering::SeqCst;
    match operation >> 28 & 7 {
        0 => Ok(word.swap(argument, order)),
        1 => Ok(word.fetch_add(argument, order)),
        2 => Ok(word.fetch_or(argument, order)),
        3 => Ok(word.fetch_and(!argument, order)),
        4 => Ok(word.fetch_xor(argument, order)),
        _ => Err(Errno::ENOSYS),
    }
}

/// The comparison of `FUTEX_WAKE_OP`: bits 24 to 27, with its argument in bits 0 to 11.
fn compare(old: u32, operation: u32) -> Result<bool, Errno> {
    let (old, argument) = (old as i32, (operation & 0xfff) as i32);
    match operation >> 24 & 15 {
        0 => Ok(old == argument),
        1 => Ok(old != argument),
        2 => Ok(old < argument),
        3 => Ok(old <= argument),
        4 => Ok(old > argument),
        5 => Ok(old >= argument),
        _ => Err(Errno::ENOSYS),
    }
}

/// Marks the robust futexes of an ending thread as left behind and wakes one waiter of each
/// (linux: Documentation/locking/robust-futexes.rst).
pub(crate) fn release_robust(task: &Arc<Task>) {
    let head = task.robust_list();
    if head != 0 {
        // A list that cannot be read ends the walk, as in Linux.
        let _ = walk_robust(task, head);
    }
}

fn walk_robust(task: &Arc<Task>, head: u64) -> Result<(), Errno> {
    let memory = task.memory();
    let offset = memory.read_u64(head + 8)?;
    let pending = memory.read_u64(head + 16)? & !1;
    let mut entry = memory.read_u64(head)?;
    for _ in 0..ROBUST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = memory.read_u64(entry & !1)?;
        if entry & !1 != pending {
            mark_dead(task, (entry & !1).wrapping_add(offset))?;
        }
        entry = next;
    }
    if pending != 0 {
        mark_dead(task, pending.wrapping_add(offset))?;
    }
    Ok(())
}

fn mark_dead(task: &Arc<Task>, address: u64) -> Result<(), Errno> {
    let (frame, offset) = task.memory().word(address, true)?;
    let word = frame.atomic_u32(offset);
    let died = |value| (value & TID_MASK == task.tid()).then_some(value & WAITERS | OWNER_DIED);
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, died);
    if before.is_ok_and(|value| value & WAITERS != 0) {
        wake(task, address, false, 1, u32::MAX)?;
    }
    Ok(())
}
