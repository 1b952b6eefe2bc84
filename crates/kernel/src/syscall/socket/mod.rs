//! Socket calls.

mod control;
mod interface;
mod transfer;

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::raw::general as raw;
use linux_abi::raw::net as socket_raw;
use spin::Once;
use vfs::{File, OpenFile, OpenFlags, Shutdown, Socket, UnixDomain, UnixKind, UnixSocket};

use super::file::add_pair;
use super::io::{blocking, receive_limit, send_limit};
use super::{Call, Result};
use crate::wait::Interruption;
use crate::{files, network};

pub(super) use interface::interface_ioctl;
pub(super) use transfer::{recvfrom, recvmsg, sendmmsg, sendmsg, sendto};

const CLOEXEC: u64 = raw::O_CLOEXEC as u64;
const NONBLOCK: u64 = raw::O_NONBLOCK as u64;
/// Bits of the type argument that name the type (`SOCK_TYPE_MASK`).
const TYPE_MASK: u64 = 0xf;
const AF_UNIX: i32 = socket_raw::AF_UNIX as i32;
/// Longest address (`sizeof(struct sockaddr_storage)`).
const ADDRESS_MAX: usize = 128;
/// Longest option value that is taken.
const OPTION_MAX: usize = 4096;
const SOL_SOCKET: i32 = 1;

fn as_socket(file: &OpenFile) -> Result<&dyn Socket> {
    file.file().as_socket().ok_or(Errno::ENOTSOCK)
}

/// The local sockets of the machine.
fn unix() -> &'static Arc<UnixDomain> {
    static DOMAIN: Once<Arc<UnixDomain>> = Once::new();
    DOMAIN.call_once(|| UnixDomain::new(Arc::clone(files::tree())))
}

fn unix_kind(kind: u64) -> Result<UnixKind> {
    match (kind & TYPE_MASK) as u32 {
        socket_raw::SOCK_STREAM => Ok(UnixKind::Stream),
        socket_raw::SOCK_DGRAM => Ok(UnixKind::Datagram),
        socket_raw::SOCK_SEQPACKET => Ok(UnixKind::SeqPacket),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// A local socket's paths are relative to the caller's working directory.
fn as_unix(file: &OpenFile) -> Option<&UnixSocket> {
    file.file().as_any().downcast_ref()
}

fn open_flags(kind: u64) -> OpenFlags {
    OpenFlags::RDWR | OpenFlags::from_bits_retain((kind & NONBLOCK) as u32)
}

fn add(c: &Call<'_>, file: Arc<dyn File>, kind: u64) -> Result {
    let file = OpenFile::new(file, open_flags(kind));
    c.task
        .process()
        .files()
        .add(file, kind & CLOEXEC != 0)
        .map(|fd| fd as u64)
}

pub(super) fn socket(c: &mut Call<'_>, domain: u64, kind: u64, protocol: u64) -> Result {
    if kind & !(TYPE_MASK | CLOEXEC | NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (domain, protocol) = (domain as i32, protocol as i32);
    let kind_only = (kind & TYPE_MASK) as i32;
    let file = match domain {
        AF_UNIX => unix().socket(unix_kind(kind)?),
        _ => network::stack().socket(domain, kind_only, protocol)?,
    };
    add(c, file, kind)
}

pub(super) fn socketpair(c: &mut Call<'_>, domain: u64, kind: u64, _: u64, to: u64) -> Result {
    if domain as i32 != AF_UNIX {
        return Err(Errno::EOPNOTSUPP);
    }
    let (first, second) = unix().pair(unix_kind(kind)?);
    let open = |socket| OpenFile::new(socket as Arc<dyn File>, open_flags(kind));
    add_pair(c, to, open(first), open(second), kind & CLOEXEC != 0)
}

fn read_address(c: &Call<'_>, address: u64, size: u64) -> Result<Vec<u8>> {
    let size = usize::try_from(size as u32)
        .ok()
        .filter(|&s| s <= ADDRESS_MAX);
    c.memory().read_bytes(address, size.ok_or(Errno::EINVAL)?)
}

/// Stores an address, cut to the room that `size` points to, and its full size.
fn write_address(c: &Call<'_>, bytes: &[u8], address: u64, size: u64) -> Result<()> {
    if address == 0 {
        return Ok(());
    }
    let room = c.memory().read_u32(size)?;
    if (room as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let count = bytes.len().min(room as usize);
    c.memory().write(address, &bytes[..count])?;
    c.memory().write_u32(size, bytes.len() as u32)
}

pub(super) fn bind(c: &mut Call<'_>, fd: u64, address: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let address = read_address(c, address, size)?;
    match as_unix(&file) {
        Some(socket) => {
            let context = c.task.process().context().clone();
            socket.bind_from(&context.cwd, &address, context.umask)?;
        }
        None => as_socket(&file)?.bind(&address)?,
    }
    Ok(0)
}

pub(super) fn listen(c: &mut Call<'_>, fd: u64, backlog: u64) -> Result {
    let file = c.file(fd)?;
    as_socket(&file)?.listen(backlog as i32)?;
    Ok(0)
}

pub(super) fn connect(c: &mut Call<'_>, fd: u64, address: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let address = read_address(c, address, size)?;
    let socket = as_socket(&file)?;
    let attempt = || match as_unix(&file) {
        Some(socket) => {
            let cwd = c.task.process().context().cwd.clone();
            socket.connect_from(&cwd, &address)
        }
        None => socket.connect(&address),
    };
    match attempt() {
        Err(Errno::EINPROGRESS) if !file.is_nonblocking() => wait_connected(c, &file, socket),
        // A local connect waits for room in the backlog.
        Err(Errno::EAGAIN) => {
            blocking(c.task, &file, false, || send_limit(&file), attempt)?;
            Ok(0)
        }
        result => result.map(|()| 0),
    }
}

fn wait_connected(c: &Call<'_>, file: &OpenFile, socket: &dyn Socket) -> Result {
    let queue = file.file().wait_queue().ok_or(Errno::EINVAL)?;
    let done = vfs::Events::OUT | vfs::Events::ERR | vfs::Events::HUP;
    let waited = c.task.wait_on(queue, send_limit(file), || {
        file.file().poll().intersects(done).then_some(())
    });
    match waited {
        // The attempt goes on (socket(7), `SO_SNDTIMEO`).
        Err(Interruption::TimedOut) => return Err(Errno::EINPROGRESS),
        waited => waited?,
    }
    let error = socket.option(SOL_SOCKET, socket_raw::SO_ERROR as i32, 4)?;
    let number = error
        .first_chunk()
        .map_or(0, |&bytes| i32::from_le_bytes(bytes));
    match number {
        0 => Ok(0),
        number => Err(Errno::from_number(number as u16)),
    }
}

pub(super) fn accept(c: &mut Call<'_>, fd: u64, address: u64, size: u64) -> Result {
    accept4(c, fd, address, size, 0)
}

pub(super) fn accept4(c: &mut Call<'_>, fd: u64, address: u64, size: u64, flags: u64) -> Result {
    if flags & !(CLOEXEC | NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let limit = || receive_limit(&file);
    let connection = blocking(c.task, &file, false, limit, || socket.accept())?;
    if address != 0 {
        let peer = connection
            .as_socket()
            .and_then(|peer| peer.peer_address().ok());
        write_address(c, &peer.unwrap_or_default(), address, size)?;
    }
    add(c, connection, flags)
}

pub(super) fn getsockname(c: &mut Call<'_>, fd: u64, address: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let own = as_socket(&file)?.local_address()?;
    write_address(c, &own, address, size)?;
    Ok(0)
}

pub(super) fn getpeername(c: &mut Call<'_>, fd: u64, address: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let peer = as_socket(&file)?.peer_address()?;
    write_address(c, &peer, address, size)?;
    Ok(0)
}

pub(super) fn shutdown(c: &mut Call<'_>, fd: u64, how: u64) -> Result {
    let file = c.file(fd)?;
    let how = match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    as_socket(&file)?.shutdown(how)?;
    Ok(0)
}

pub(super) fn setsockopt(
    c: &mut Call<'_>,
    fd: u64,
    level: u64,
    name: u64,
    value: u64,
    size: u64,
) -> Result {
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let size = usize::try_from(size as i32)
        .ok()
        .filter(|&size| size <= OPTION_MAX);
    let value = c.memory().read_bytes(value, size.ok_or(Errno::EINVAL)?)?;
    socket.set_option(level as i32, name as i32, &value)?;
    Ok(0)
}

pub(super) fn getsockopt(
    c: &mut Call<'_>,
    fd: u64,
    level: u64,
    name: u64,
    value: u64,
    size: u64,
) -> Result {
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let room = usize::try_from(c.memory().read_u32(size)? as i32).map_err(|_| Errno::EINVAL)?;
    let mut bytes = socket.option(level as i32, name as i32, room.min(OPTION_MAX))?;
    bytes.truncate(room);
    c.memory().write(value, &bytes)?;
    c.memory().write_u32(size, bytes.len() as u32)?;
    Ok(0)
}
