//! Sending and receiving.

use linux_abi::layout::{Layout, MMsgHdr, MsgHdr};
use vfs::{Received, RecvFlags, SendMessage, Source};

use super::control::{Control, read_control, write_control};
use super::{as_socket, as_unix, read_address, write_address};
use crate::memory::{UserSink, UserSlices, UserSource};
use crate::syscall::io::{blocking, receive_limit, send_limit, signal_broken_pipe};
use crate::syscall::{Call, Result};

/// Sends everything that a blocking socket is given; a non-blocking one takes what it can.
fn send(
    c: &Call<'_>,
    fd: u64,
    slices: UserSlices,
    address: Option<&[u8]>,
    flags: u64,
    mut control: Control,
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
            rights: core::mem::take(&mut control.rights),
            control: control.others.clone(),
        };
        let limit = || send_limit(&file);
        let sent = blocking(c.task, &file, nonblocking, limit, || match as_unix(&file) {
            Some(socket) => {
                let cwd = c.task.process().context().cwd.clone();
                socket.send_from(&cwd, &mut source, &message)
            }
            None => socket.send(&mut source, &message),
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

pub(in crate::syscall) fn sendto(
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
    let slices = UserSlices::one(buffer, size);
    send(c, fd, slices, target.as_deref(), flags, Control::default())
}

pub(in crate::syscall) fn sendmsg(c: &mut Call<'_>, fd: u64, message: u64, flags: u64) -> Result {
    let header: MsgHdr = c.read(message)?;
    let target = match header.msg_name {
        0 => None,
        address => Some(read_address(c, address, header.msg_namelen.into())?),
    };
    let slices = c.memory().read_iovecs(header.msg_iov, header.msg_iovlen)?;
    let control = read_control(c, &header)?;
    send(
        c,
        fd,
        slices,
        target.as_deref().filter(|a| !a.is_empty()),
        flags,
        control,
    )
}

pub(in crate::syscall) fn sendmmsg(
    c: &mut Call<'_>,
    fd: u64,
    vector: u64,
    count: u64,
    flags: u64,
) -> Result {
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

fn receive(c: &Call<'_>, fd: u64, slices: UserSlices, flags: u64) -> Result<Received> {
    let file = c.file(fd)?;
    let socket = as_socket(&file)?;
    let flags = RecvFlags::from_bits_retain(flags as u32);
    let nonblocking = flags.contains(RecvFlags::DONTWAIT);
    let memory = c.memory();
    let mut sink = UserSink::new(&memory, slices);
    let limit = || receive_limit(&file);
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

pub(in crate::syscall) fn recvfrom(
    c: &mut Call<'_>,
    fd: u64,
    buffer: u64,
    size: u64,
    flags: u64,
    address: u64,
    address_size: u64,
) -> Result {
    let slices = UserSlices::one(buffer, size);
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

pub(in crate::syscall) fn recvmsg(c: &mut Call<'_>, fd: u64, message: u64, flags: u64) -> Result {
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
