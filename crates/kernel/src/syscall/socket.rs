//! Socket calls.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::{Cmsg, Layout, MMsgHdr, MsgHdr, TimeVal, cmsg_space, cmsgs, push_cmsg};
use linux_abi::raw::general as raw;
use linux_abi::raw::net as socket_raw;
use spin::Once;
use vfs::{
    File, OpenFile, OpenFlags, Received, RecvFlags, SendMessage, Shutdown, Socket, Source,
    UnixDomain, UnixKind, UnixSocket,
};

use super::file::add_pair;
use super::io::{blocking, never, signal_broken_pipe};
use super::{Call, Result};
use crate::memory::{UserSink, UserSlice, UserSource};
use crate::{clock, files, network};

const CLOEXEC: u64 = raw::O_CLOEXEC as u64;
const NONBLOCK: u64 = raw::O_NONBLOCK as u64;
/// Bits of the type argument that name the type (`SOCK_TYPE_MASK`).
const TYPE_MASK: u64 = 0xf;
const AF_UNIX: i32 = socket_raw::AF_UNIX as i32;
/// Longest address (`sizeof(struct sockaddr_storage)`).
const ADDRESS_MAX: usize = 128;
/// Longest option value that is taken.
const OPTION_MAX: usize = 4096;
/// Longest control data (`net.core.optmem_max` of Linux).
const CONTROL_MAX: usize = 131_072;
const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
/// Most descriptors of one message (`SCM_MAX_FD`).
const RIGHTS_MAX: usize = 253;

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
            blocking(c.task, &file, false, never, attempt)?;
            Ok(0)
        }
        result => result.map(|()| 0),
    }
}

fn wait_connected(c: &Call<'_>, file: &OpenFile, socket: &dyn Socket) -> Result {
    let queue = file.file().wait_queue().ok_or(Errno::EINVAL)?;
    let done = vfs::Events::OUT | vfs::Events::ERR | vfs::Events::HUP;
    c.task.wait_on(queue, None, || {
        file.file().poll().intersects(done).then_some(())
    })?;
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
    let limit = || time_limit(socket, socket_raw::SO_RCVTIMEO_OLD);
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

/// When an operation has to give up: from `SO_RCVTIMEO` or `SO_SNDTIMEO`, where zero is never.
fn time_limit(socket: &dyn Socket, option: u32) -> Option<u64> {
    let value = socket
        .option(SOL_SOCKET, option as i32, TimeVal::SIZE)
        .ok()?;
    let time = TimeVal::decode(value.first_chunk()?).nanoseconds()?;
    (time > 0).then(|| clock::now().saturating_add(time))
}

/// Sends everything that a blocking socket is given; a non-blocking one takes what it can.
fn send(
    c: &Call<'_>,
    fd: u64,
    slices: Vec<UserSlice>,
    address: Option<&[u8]>,
    flags: u64,
    mut rights: Vec<Arc<OpenFile>>,
) -> Result {
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let flags = RecvFlags::from_bits_retain(flags as u32);
    let nonblocking = flags.contains(RecvFlags::DONTWAIT);
    let memory = c.memory();
    let mut source = UserSource::new(&memory, slices);
    let mut done = 0;
    loop {
        let message = SendMessage {
            address,
            flags,
            rights: core::mem::take(&mut rights),
        };
        let limit = || time_limit(socket, socket_raw::SO_SNDTIMEO_OLD);
        let sent = blocking(c.task, &file, nonblocking, limit, || {
            socket.send(&mut source, &message)
        });
        match sent {
            Ok(0) => return Ok(done),
            Ok(count) => done += count as u64,
            Err(_) if done > 0 => return Ok(done),
            Err(error) if flags.contains(RecvFlags::NOSIGNAL) => return Err(error),
            Err(error) => return signal_broken_pipe(c, Err(error)),
        }
        if source.remaining() == 0 || nonblocking || file.is_nonblocking() {
            return Ok(done);
        }
    }
}

pub(super) fn sendto(
    c: &mut Call<'_>,
    fd: u64,
    buffer: u64,
    size: u64,
    flags: u64,
    address: u64,
    address_size: u64,
) -> Result {
    let target = match address {
        0 => None,
        address => Some(read_address(c, address, address_size)?),
    };
    let slices = vec![UserSlice {
        address: buffer,
        size: size as usize,
    }];
    send(c, fd, slices, target.as_deref(), flags, Vec::new())
}

pub(super) fn sendmsg(c: &mut Call<'_>, fd: u64, message: u64, flags: u64) -> Result {
    let header: MsgHdr = c.read(message)?;
    let target = match header.msg_name {
        0 => None,
        address => Some(read_address(c, address, header.msg_namelen.into())?),
    };
    let slices = c.memory().read_iovecs(header.msg_iov, header.msg_iovlen)?;
    let rights = read_rights(c, &header)?;
    send(
        c,
        fd,
        slices,
        target.as_deref().filter(|a| !a.is_empty()),
        flags,
        rights,
    )
}

/// The open files passed by `SCM_RIGHTS`; other control messages are ignored.
fn read_rights(c: &Call<'_>, header: &MsgHdr) -> Result<Vec<Arc<OpenFile>>> {
    if header.msg_control == 0 || header.msg_controllen == 0 {
        return Ok(Vec::new());
    }
    let size = usize::try_from(header.msg_controllen)
        .ok()
        .filter(|&size| size <= CONTROL_MAX);
    let control = c
        .memory()
        .read_bytes(header.msg_control, size.ok_or(Errno::ENOBUFS)?)?;
    let mut rights = Vec::new();
    for message in cmsgs(&control) {
        let message = message.map_err(|_| Errno::EINVAL)?;
        if (message.level, message.kind) != (SOL_SOCKET, SCM_RIGHTS) {
            continue;
        }
        for fd in message.data.chunks_exact(4) {
            let fd = u32::from_le_bytes(fd.try_into().unwrap_or_default());
            rights.push(c.file(fd.into())?);
        }
    }
    if rights.len() > RIGHTS_MAX {
        Err(Errno::EINVAL)
    } else {
        Ok(rights)
    }
}

pub(super) fn sendmmsg(c: &mut Call<'_>, fd: u64, vector: u64, count: u64, flags: u64) -> Result {
    let size = MMsgHdr::SIZE as u64;
    for index in 0..count.min(1024) {
        let at = vector.wrapping_add(index * size);
        match sendmsg(c, fd, at, flags) {
            Ok(sent) => c
                .memory()
                .write_u32(at + MsgHdr::SIZE as u64, sent as u32)?,
            Err(error) if index == 0 => return Err(error),
            Err(_) => return Ok(index),
        }
    }
    Ok(count.min(1024))
}

fn receive(c: &Call<'_>, fd: u64, slices: Vec<UserSlice>, flags: u64) -> Result<Received> {
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let flags = RecvFlags::from_bits_retain(flags as u32);
    let nonblocking = flags.contains(RecvFlags::DONTWAIT);
    let memory = c.memory();
    let mut sink = UserSink::new(&memory, slices);
    let limit = || time_limit(socket, socket_raw::SO_RCVTIMEO_OLD);
    let mut result = blocking(c.task, &file, nonblocking, limit, || {
        socket.receive(&mut sink, flags)
    })?;
    // MSG_WAITALL on a stream goes on until the buffer is full or the stream ends.
    let all = flags.contains(RecvFlags::WAITALL) && !flags.contains(RecvFlags::PEEK);
    while all && result.address.is_none() && vfs::Sink::remaining(&sink) > 0 {
        let next = blocking(c.task, &file, nonblocking, limit, || {
            socket.receive(&mut sink, flags)
        });
        match next {
            Ok(more) if more.length > 0 => result.length += more.length,
            _ => break,
        }
    }
    Ok(result)
}

pub(super) fn recvfrom(
    c: &mut Call<'_>,
    fd: u64,
    buffer: u64,
    size: u64,
    flags: u64,
    address: u64,
    address_size: u64,
) -> Result {
    let slices = vec![UserSlice {
        address: buffer,
        size: size as usize,
    }];
    let received = receive(c, fd, slices, flags)?;
    if address != 0 {
        write_address(
            c,
            &received.address.unwrap_or_default(),
            address,
            address_size,
        )?;
    }
    Ok(received.length as u64)
}

pub(super) fn recvmsg(c: &mut Call<'_>, fd: u64, message: u64, flags: u64) -> Result {
    let mut header: MsgHdr = c.read(message)?;
    let slices = c.memory().read_iovecs(header.msg_iov, header.msg_iovlen)?;
    let received = receive(c, fd, slices, flags)?;
    let length = received.length as u64;
    header.msg_flags = received.flags.bits();
    if header.msg_name != 0 {
        let address = received.address.as_deref().unwrap_or_default();
        let count = address.len().min(header.msg_namelen as usize);
        c.memory().write(header.msg_name, &address[..count])?;
        header.msg_namelen = address.len() as u32;
    }
    let (control, cut) = write_control(c, received, header.msg_controllen as usize, flags)?;
    if header.msg_control != 0 {
        c.memory().write(header.msg_control, &control)?;
    }
    header.msg_controllen = control.len() as u64;
    if cut {
        header.msg_flags |= RecvFlags::CTRUNC.bits();
    }
    c.write(message, &header)?;
    Ok(length)
}

/// Builds the control data of a received message in at most `room` bytes; also says whether some
/// did not fit. Passed files get descriptors.
fn write_control(
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

/// Size of `struct ifreq` and of the `struct ifconf` that `SIOCGIFCONF` takes.
const IFREQ_SIZE: usize = 40;
const IFCONF_SIZE: usize = 16;
const SIOCGIFCONF: u64 = 0x8912;

/// Queries about network interfaces (netdevice(7)).
pub(super) fn interface_ioctl(c: &Call<'_>, code: u64, arg: u64) -> Result {
    if code == SIOCGIFCONF {
        return interface_list(c, arg);
    }
    let mut request: [u8; IFREQ_SIZE] = c.memory().read_array(arg)?;
    network::stack().ioctl(code as u32, &mut request)?;
    c.memory().write(arg, &request)?;
    Ok(0)
}

fn interface_list(c: &Call<'_>, arg: u64) -> Result {
    let mut head: [u8; IFCONF_SIZE] = c.memory().read_array(arg)?;
    let room = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let buffer = head
        .last_chunk()
        .map_or(0, |&bytes| u64::from_le_bytes(bytes));
    let list = network::stack().interface_config();
    let count = if buffer == 0 {
        list.len()
    } else {
        list.len().min(room / IFREQ_SIZE * IFREQ_SIZE)
    };
    if buffer != 0 {
        c.memory().write(buffer, &list[..count])?;
    }
    head[..4].copy_from_slice(&(count as u32).to_le_bytes());
    c.memory().write(arg, &head)?;
    Ok(0)
}
