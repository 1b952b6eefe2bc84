//! Control data of messages (cmsg(3)).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::{Cmsg, MsgHdr, cmsg_space, cmsgs, push_cmsg};
use vfs::{OpenFile, Received, RecvFlags};

use super::SOL_SOCKET;
use crate::syscall::{Call, Result};

/// Longest control data (`net.core.optmem_max` of Linux).
const CONTROL_MAX: usize = 131_072;
const SCM_RIGHTS: i32 = 1;
/// Most descriptors of one message (`SCM_MAX_FD`).
const RIGHTS_MAX: usize = 253;

/// What control data of a message to send holds: open files, and everything else.
#[derive(Default)]
pub(super) struct Control {
    pub(super) rights: Vec<Arc<OpenFile>>,
    pub(super) others: Vec<(i32, i32, Vec<u8>)>,
}

/// Reads the control data of a message to send.
pub(super) fn read_control(c: &Call<'_>, header: &MsgHdr) -> Result<Control> {
    let mut control = Control::default();
    if header.msg_control == 0 || header.msg_controllen == 0 {
        return Ok(control);
    }
    let size = usize::try_from(header.msg_controllen)
        .ok()
        .filter(|&size| size <= CONTROL_MAX);
    let bytes = c
        .memory()
        .read_bytes(header.msg_control, size.ok_or(Errno::ENOBUFS)?)?;
    for message in cmsgs(&bytes) {
        let message = message.map_err(|_| Errno::EINVAL)?;
        if (message.level, message.kind) != (SOL_SOCKET, SCM_RIGHTS) {
            let other = (message.level, message.kind, message.data.to_vec());
            control.others.push(other);
            continue;
        }
        for fd in message.data.chunks_exact(4) {
            let fd = u32::from_le_bytes(fd.try_into().unwrap_or_default());
            control.rights.push(c.file(fd.into())?);
        }
    }
    match control.rights.len() {
        0..=RIGHTS_MAX => Ok(control),
        _ => Err(Errno::EINVAL),
    }
}

/// Builds the control data of a received message in at most `room` bytes; also says whether some
/// did not fit. Passed files get descriptors.
pub(super) fn write_control(
    c: &Call<'_>,
    received: Received,
    room: usize,
    flags: u64,
) -> Result<(Vec<u8>, bool)> {
    let mut buffer = vec![0; room.min(CONTROL_MAX)];
    let mut used = 0;
    let mut cut = false;
    if !received.rights.is_empty() {
        let close_on_exec = flags & u64::from(RecvFlags::CMSG_CLOEXEC.bits()) != 0;
        let fits = (buffer.len().saturating_sub(cmsg_space(0))) / 4;
        cut |= received.rights.len() > fits;
        let mut numbers = Vec::new();
        for file in received.rights.into_iter().take(fits) {
            // The table of descriptors is full: the rest is lost, as the flag says.
            let Ok(fd) = c.task.process().files().add(file, close_on_exec) else {
                cut = true;
                break;
            };
            numbers.extend_from_slice(&fd.to_le_bytes());
        }
        let message = Cmsg {
            level: SOL_SOCKET,
            kind: SCM_RIGHTS,
            data: &numbers,
        };
        match push_cmsg(&mut buffer, used, &message) {
            Some(end) => used = end,
            None => cut = true,
        }
    }
    for (level, kind, data) in &received.control {
        let message = Cmsg {
            level: *level,
            kind: *kind,
            data,
        };
        match push_cmsg(&mut buffer, used, &message) {
            Some(end) => used = end,
            None => cut = true,
        }
    }
    buffer.truncate(used);
    Ok((buffer, cut))
}
