//! futex(2) and robust lists.

use linux_abi::Errno;
use linux_abi::layout::{RobustListHead, TimeSpec};
use linux_abi::raw::general as raw;

use super::{Call, Layout, Result};
use crate::task::find_task;
use crate::{clock, futex};

const PRIVATE: u32 = raw::FUTEX_PRIVATE_FLAG;
const REALTIME: u32 = raw::FUTEX_CLOCK_REALTIME;

pub(super) fn futex(
    c: &mut Call<'_>,
    address: u64,
    operation: u64,
    value: u64,
    timeout: u64,
    second: u64,
    value3: u64,
) -> Result {
    let operation = operation as u32;
    let private = operation & PRIVATE != 0;
    let (value, value3) = (value as u32, value3 as u32);
    // For operations without a time-out, its place holds a second count.
    let count2 = timeout as u32;
    let command = operation & !(PRIVATE | REALTIME);
    match command {
        raw::FUTEX_WAIT => {
            let deadline = c.deadline(timeout)?;
            futex::wait(c.task, address, private, value, u32::MAX, deadline)?;
            Ok(0)
        }
        raw::FUTEX_WAIT_BITSET => {
            let deadline = absolute(c, timeout, operation & REALTIME != 0)?;
            let bits = Some(value3)
                .filter(|&bits| bits != 0)
                .ok_or(Errno::EINVAL)?;
            futex::wait(c.task, address, private, value, bits, deadline)?;
            Ok(0)
        }
        raw::FUTEX_WAKE => futex::wake(c.task, address, private, value, u32::MAX).map(u64::from),
        raw::FUTEX_WAKE_BITSET => {
            let bits = Some(value3)
                .filter(|&bits| bits != 0)
                .ok_or(Errno::EINVAL)?;
            futex::wake(c.task, address, private, value, bits).map(u64::from)
        }
        raw::FUTEX_REQUEUE | raw::FUTEX_CMP_REQUEUE => {
            let expected = (command == raw::FUTEX_CMP_REQUEUE).then_some(value3);
            let counts = (value, count2);
            futex::requeue(c.task, (address, second), private, counts, expected).map(u64::from)
        }
        raw::FUTEX_WAKE_OP => {
            let counts = (value, count2);
            futex::wake_op(c.task, (address, second), private, counts, value3).map(u64::from)
        }
        _ => Err(Errno::ENOSYS),
    }
}

fn absolute(c: &Call<'_>, timeout: u64, realtime: bool) -> Result<Option<u64>> {
    if timeout == 0 {
        return Ok(None);
    }
    let time = c
        .read::<TimeSpec>(timeout)?
        .nanoseconds()
        .ok_or(Errno::EINVAL)?;
    let offset = if realtime { clock::wall_offset() } else { 0 };
    Ok(Some(time.saturating_add_signed(-offset)))
}

pub(super) fn set_robust_list(c: &mut Call<'_>, head: u64, size: u64) -> Result {
    if size != RobustListHead::SIZE as u64 {
        return Err(Errno::EINVAL);
    }
    c.task.set_robust_list(head);
    Ok(0)
}

pub(super) fn get_robust_list(c: &mut Call<'_>, tid: u64, head: u64, size: u64) -> Result {
    let list = match tid as u32 {
        0 => c.task.robust_list(),
        tid => find_task(tid).ok_or(Errno::ESRCH)?.robust_list(),
    };
    let memory = c.memory();
    memory.write_u64(size, RobustListHead::SIZE as u64)?;
    memory.write_u64(head, list)?;
    Ok(0)
}
