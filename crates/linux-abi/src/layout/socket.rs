//! Messages and control data of sockets.

use super::{Field, Layout, layout};
use crate::raw;

layout! {
    /// `struct user_msghdr`, recvmsg(2).
    struct MsgHdr[56, like raw::net::msghdr] {
        msg_name: u64 = 0,
        msg_namelen: u32 = 8,
        msg_iov: u64 = 16,
        msg_iovlen: u64 = 24,
        msg_control: u64 = 32,
        msg_controllen: u64 = 40,
        msg_flags: u32 = 48,
    }

    /// `struct mmsghdr`, sendmmsg(2).
    struct MMsgHdr[64, like raw::net::mmsghdr] {
        msg_hdr: MsgHdr = 0,
        msg_len: u32 = 56,
    }

    /// `struct cmsghdr`, cmsg(3).
    struct CmsgHeader[16, like raw::net::cmsghdr] {
        cmsg_len: u64 = 0,
        cmsg_level: i32 = 8,
        cmsg_type: i32 = 12,
    }

    /// `struct linger`, socket(7).
    struct Linger[8, like raw::net::linger] {
        l_onoff: i32 = 0,
        l_linger: i32 = 4,
    }

    /// `struct ucred`, unix(7).
    struct Ucred[12, like raw::net::ucred] {
        pid: i32 = 0,
        uid: u32 = 4,
        gid: u32 = 8,
    }
}

/// Control messages start at multiples of this (`CMSG_ALIGN`).
const ALIGNMENT: usize = 8;

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cmsg<'a> {
    /// Protocol: `SOL_SOCKET`, `IPPROTO_IP`, ….
    pub level: i32,
    /// Its kind, `SCM_RIGHTS` for one.
    pub kind: i32,
    /// The payload.
    pub data: &'a [u8],
}

/// Bytes that a message of `length` bytes takes in a buffer (`CMSG_SPACE`).
pub const fn cmsg_space(length: usize) -> usize {
    CmsgHeader::SIZE + length.next_multiple_of(ALIGNMENT)
}

/// The control messages in `buffer`; a header that does not fit ends them with an error, for
/// which Linux answers `EINVAL`.
pub fn cmsgs(buffer: &[u8]) -> impl Iterator<Item = Result<Cmsg<'_>, InvalidCmsg>> {
    let mut rest = buffer;
    core::iter::from_fn(move || {
        if rest.len() < CmsgHeader::SIZE {
            return None;
        }
        let header = CmsgHeader::get(rest);
        let length = usize::try_from(header.cmsg_len).unwrap_or(usize::MAX);
        let Some(data) = rest.get(CmsgHeader::SIZE..length) else {
            rest = &[];
            return Some(Err(InvalidCmsg));
        };
        let next = length.next_multiple_of(ALIGNMENT).min(rest.len());
        rest = &rest[next..];
        Some(Ok(Cmsg {
            level: header.cmsg_level,
            kind: header.cmsg_type,
            data,
        }))
    })
}

/// A control message says a length that is below its header or beyond the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCmsg;

/// Writes a message at `used` into `buffer` and returns what is used then; `None`, and nothing
/// written, if it does not fit (the caller reports `MSG_CTRUNC`).
///
/// The padding after the last message may be cut off by the buffer's end, as on Linux.
pub fn push_cmsg(buffer: &mut [u8], used: usize, message: &Cmsg<'_>) -> Option<usize> {
    let length = CmsgHeader::SIZE + message.data.len();
    let place = buffer.get_mut(used..)?;
    let space = cmsg_space(message.data.len()).min(place.len());
    if place.len() < length {
        return None;
    }
    place[..space].fill(0);
    let header = CmsgHeader {
        cmsg_len: length as u64,
        cmsg_level: message.level,
        cmsg_type: message.kind,
    };
    header.put(place);
    place[CmsgHeader::SIZE..length].copy_from_slice(message.data);
    Some(used + space)
}
