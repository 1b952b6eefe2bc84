//! TCP and UDP over loopback, and Unix socket pairs.

use probes::{step, takes_about};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, bind, connect, getpeername, listen,
    recv, recvmsg, send, sendmsg, shutdown, socket, socket_with,
};
use rustix::time::Timespec;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::Duration;

const ANY_PORT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
const PAUSE: Duration = Duration::from_millis(30);
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

fn main() {
    connections();
    refusals();
    nonblocking();
    options();
    datagrams();
    unix();
    rights();
}

/// Two ends of one TCP connection.
fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(ANY_PORT)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

fn ready(fd: impl AsFd, events: PollFlags, patience: Timespec) -> io::Result<PollFlags> {
    let mut entries = [PollFd::new(&fd, events)];
    poll(&mut entries, Some(&patience))?;
    Ok(entries[0].revents())
}

fn joined<T>(handle: thread::JoinHandle<T>) -> io::Result<T> {
    handle
        .join()
        .map_err(|_| io::Error::other("the thread panicked"))
}

fn connections() {
    step("a connection has matching addresses", || {
        let (client, server) = tcp_pair()?;
        let there = client.local_addr()? == server.peer_addr()?;
        let back = client.peer_addr()? == server.local_addr()?;
        Ok((
            there,
            back,
            server.local_addr()?.ip(),
            client.local_addr()?.port() >= 1024,
        ))
    });
    step("an echo", || {
        let (mut client, mut server) = tcp_pair()?;
        client.write_all(b"hello")?;
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes)?;
        server.write_all(&bytes)?;
        client.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    step("half-close", || {
        let (mut client, mut server) = tcp_pair()?;
        client.write_all(b"question")?;
        client.shutdown(Shutdown::Write)?;
        let mut text = String::new();
        server.read_to_string(&mut text)?;
        server.write_all(b"answer")?;
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok((text, answer))
    });
    step("four MiB each way at once", || {
        let (client, server) = tcp_pair()?;
        let threads = [client.try_clone()?, server.try_clone()?].map(|mut stream| {
            thread::spawn(move || {
                let bytes: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 253) as u8).collect();
                stream.write_all(&bytes)?;
                stream.shutdown(Shutdown::Write)
            })
        });
        let received = [client, server].map(|mut stream| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes)?;
                let right = bytes
                    .iter()
                    .enumerate()
                    .all(|(n, &byte)| byte == (n % 253) as u8);
                Ok::<_, io::Error>((bytes.len(), right))
            })
        });
        for writer in threads {
            joined(writer)??;
        }
        let [first, second] = received;
        Ok((joined(first)??, joined(second)??))
    });
    step("200 connections one after another", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        let address = listener.local_addr()?;
        let mut total = 0;
        for number in 0..200_u8 {
            let mut client = TcpStream::connect(address)?;
            let mut server = listener.accept()?.0;
            client.write_all(&[number])?;
            let mut byte = [0];
            server.read_exact(&mut byte)?;
            total += usize::from(byte[0]);
        }
        Ok(total)
    });
    step("50 connections at once", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        let address = listener.local_addr()?;
        let mut pairs = Vec::new();
        for _ in 0..50 {
            pairs.push((TcpStream::connect(address)?, listener.accept()?.0));
        }
        for (number, (client, _)) in pairs.iter_mut().enumerate() {
            client.write_all(&[number as u8])?;
        }
        let mut right = 0;
        for (number, (_, server)) in pairs.iter_mut().enumerate() {
            let mut byte = [0];
            server.read_exact(&mut byte)?;
            right += usize::from(usize::from(byte[0]) == number);
        }
        Ok(right)
    });
    step("peek leaves the bytes", || {
        let (mut client, mut server) = tcp_pair()?;
        client.write_all(b"abc")?;
        let mut bytes = [0; 8];
        let peeked = server.peek(&mut bytes)?;
        Ok((peeked, server.read(&mut bytes)?))
    });
    step("MSG_WAITALL waits for all", || {
        let (mut client, server) = tcp_pair()?;
        let writer = thread::spawn(move || {
            client.write_all(b"ab")?;
            thread::sleep(PAUSE);
            client.write_all(b"cd").map(|()| client)
        });
        let (count, _) = recv(&server, &mut [0; 4][..], RecvFlags::WAITALL)?;
        drop(joined(writer)?);
        Ok(count)
    });
}

fn refusals() {
    step("nobody listens", || {
        let address = TcpListener::bind(ANY_PORT)?.local_addr()?;
        TcpStream::connect(address).map(drop)
    });
    step("an address in use", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        TcpListener::bind(listener.local_addr()?).map(drop)
    });
    step("an address of somebody else", || {
        TcpListener::bind((Ipv4Addr::new(192, 0, 2, 1), 0)).map(drop)
    });
    step("the peer of a socket without one", || {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        Ok(getpeername(&socket).map(drop)?)
    });
    step("shutdown without a connection", || {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        Ok(shutdown(&socket, rustix::net::Shutdown::Both)?)
    });
    step("connect twice", || {
        let (client, _server) = tcp_pair()?;
        Ok(connect(&client, &client.peer_addr()?)?)
    });
    step("write after the reader is gone", || {
        let (mut client, server) = tcp_pair()?;
        drop(server);
        for _ in 0..100 {
            client.write_all(b"x")?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    step("a close with unread bytes resets", || {
        let (mut client, server) = tcp_pair()?;
        client.write_all(b"never read")?;
        ready(&server, PollFlags::IN, PATIENCE)?;
        drop(server);
        client.read(&mut [0; 1])
    });
    step("an unknown family", || {
        Ok(socket(AddressFamily::from_raw(60), SocketType::STREAM, None).map(drop)?)
    });
    step("accept on a socket that does not listen", || {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        Ok(rustix::net::accept(&socket).map(drop)?)
    });
    step("recv on a file", || {
        let file = std::fs::File::open("/dev/null")?;
        Ok(recv(&file, &mut [0; 1][..], RecvFlags::empty()).map(drop)?)
    });
}

fn nonblocking_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn nonblocking() {
    step("connect in the background", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        let socket = nonblocking_socket()?;
        let started = match connect(&socket, &listener.local_addr()?) {
            Ok(()) => "started",
            Err(Errno::INPROGRESS) => "started",
            Err(error) => return Err(error.into()),
        };
        let events = ready(&socket, PollFlags::OUT, PATIENCE)?;
        Ok((started, events, sockopt::socket_error(&socket)?.is_ok()))
    });
    step("a refused connect in the background", || {
        let address = TcpListener::bind(ANY_PORT)?.local_addr()?;
        let socket = nonblocking_socket()?;
        if connect(&socket, &address) == Err(Errno::INPROGRESS) {
            ready(&socket, PollFlags::OUT, PATIENCE)?;
            return Ok(sockopt::socket_error(&socket)? == Err(Errno::CONNREFUSED));
        }
        Ok(connect(&socket, &address).is_err())
    });
    step("accept with nobody there", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        listener.set_nonblocking(true)?;
        listener.accept().map(drop)
    });
    step("a listener is ready when somebody is there", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let before = ready(&listener, PollFlags::IN, at_once)?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        Ok((before, ready(&listener, PollFlags::IN, PATIENCE)?))
    });
    step("an accepted socket blocks again", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        listener.set_nonblocking(true)?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        ready(&listener, PollFlags::IN, PATIENCE)?;
        let server = rustix::net::accept(&listener)?;
        Ok(rustix::fs::fcntl_getfl(&server)?.contains(rustix::fs::OFlags::NONBLOCK))
    });
    step("recv with nothing there", || {
        let (client, _server) = tcp_pair()?;
        client.set_nonblocking(true)?;
        (&client).read(&mut [0; 1])
    });
    step("MSG_DONTWAIT with nothing there", || {
        let (client, _server) = tcp_pair()?;
        Ok(recv(&client, &mut [0; 1][..], RecvFlags::DONTWAIT).map(drop)?)
    });
    step("send until full, then drain", || {
        let (mut client, mut server) = tcp_pair()?;
        client.set_nonblocking(true)?;
        let mut sent = 0;
        while let Ok(count) = client.write(&[1; 4096]) {
            sent += count;
        }
        let full = ready(
            &client,
            PollFlags::OUT,
            Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        )?;
        client.shutdown(Shutdown::Write)?;
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes)?;
        Ok((full.is_empty(), bytes.len() == sent))
    });
    step("events when the peer ends", || {
        let (client, server) = tcp_pair()?;
        client.shutdown(Shutdown::Write)?;
        let events = PollFlags::IN | PollFlags::RDHUP;
        let half = ready(&server, events, PATIENCE)?;
        server.shutdown(Shutdown::Write)?;
        thread::sleep(PAUSE);
        Ok((half, ready(&server, events, PATIENCE)?))
    });
}

fn options() {
    step("options that are flags", || {
        let (client, _server) = tcp_pair()?;
        let before = (
            sockopt::tcp_nodelay(&client)?,
            sockopt::socket_keepalive(&client)?,
        );
        sockopt::set_tcp_nodelay(&client, true)?;
        sockopt::set_socket_keepalive(&client, true)?;
        Ok((
            before,
            sockopt::tcp_nodelay(&client)?,
            sockopt::socket_keepalive(&client)?,
        ))
    });
    step("linger", || {
        let (client, _server) = tcp_pair()?;
        let before = sockopt::socket_linger(&client)?;
        sockopt::set_socket_linger(&client, Some(Duration::from_secs(3)))?;
        Ok((before, sockopt::socket_linger(&client)?))
    });
    step("type, domain, protocol, listening", || {
        let listener = TcpListener::bind(ANY_PORT)?;
        Ok((
            sockopt::socket_type(&listener)? == SocketType::STREAM,
            sockopt::socket_domain(&listener)? == AddressFamily::INET,
            sockopt::socket_acceptconn(&listener)?,
        ))
    });
    step("buffer sizes can be set", || {
        let (client, _server) = tcp_pair()?;
        sockopt::set_socket_recv_buffer_size(&client, 65_536)?;
        sockopt::set_socket_send_buffer_size(&client, 65_536)?;
        let sizes = (
            sockopt::socket_recv_buffer_size(&client)?,
            sockopt::socket_send_buffer_size(&client)?,
        );
        Ok((sizes.0 >= 65_536, sizes.1 >= 65_536))
    });
    step("reuse of addresses", || {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let before = sockopt::socket_reuseaddr(&socket)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &ANY_PORT)?;
        listen(&socket, 5)?;
        Ok((before, sockopt::socket_reuseaddr(&socket)?))
    });
    step("time to live and type of service", || {
        let (client, _server) = tcp_pair()?;
        let before = sockopt::ip_ttl(&client)?;
        sockopt::set_ip_ttl(&client, 33)?;
        sockopt::set_ip_tos(&client, 0x10)?;
        Ok((before, sockopt::ip_ttl(&client)?, sockopt::ip_tos(&client)?))
    });
    step("a receive with a time limit", || {
        let (client, _server) = tcp_pair()?;
        sockopt::set_socket_timeout(&client, Timeout::Recv, Some(PAUSE))?;
        let mut result = Ok(0);
        let waited = takes_about(PAUSE / 2, || {
            result = (&client).read(&mut [0; 1]);
            Ok(())
        })?;
        Ok((waited, result.map_err(|error| probes::error_name(&error))))
    });
    step("no pending error", || {
        let (client, _server) = tcp_pair()?;
        Ok(sockopt::socket_error(&client)?.is_ok())
    });
}

fn datagrams() {
    step("datagrams keep their bounds and sender", || {
        let (first, second) = (UdpSocket::bind(ANY_PORT)?, UdpSocket::bind(ANY_PORT)?);
        first.send_to(b"one", second.local_addr()?)?;
        first.send_to(b"", second.local_addr()?)?;
        first.send_to(b"three", second.local_addr()?)?;
        let mut bytes = [0; 16];
        let mut lengths = Vec::new();
        for _ in 0..3 {
            let (length, from) = second.recv_from(&mut bytes)?;
            lengths.push((length, from == first.local_addr()?));
        }
        Ok(lengths)
    });
    step("a short buffer cuts a datagram", || {
        let (first, second) = (UdpSocket::bind(ANY_PORT)?, UdpSocket::bind(ANY_PORT)?);
        first.send_to(b"long one", second.local_addr()?)?;
        first.send_to(b"next", second.local_addr()?)?;
        let (kept, length) = recv(&second, &mut [0; 4][..], RecvFlags::TRUNC)?;
        let mut bytes = [0; 16];
        Ok((kept, length, second.recv(&mut bytes)?))
    });
    step("a connected socket hears its peer only", || {
        let (first, second, third) = (
            UdpSocket::bind(ANY_PORT)?,
            UdpSocket::bind(ANY_PORT)?,
            UdpSocket::bind(ANY_PORT)?,
        );
        second.connect(first.local_addr()?)?;
        third.send_to(b"stranger", second.local_addr()?)?;
        first.send_to(b"friend", second.local_addr()?)?;
        let mut bytes = [0; 16];
        let length = second.recv(&mut bytes)?;
        second.send(b"back")?;
        Ok((length, first.recv(&mut bytes)?))
    });
    step("send without an address", || {
        UdpSocket::bind(ANY_PORT)?.send(b"x")
    });
    step("a datagram of 8000 bytes", || {
        let (first, second) = (UdpSocket::bind(ANY_PORT)?, UdpSocket::bind(ANY_PORT)?);
        first.send_to(&[7; 8000], second.local_addr()?)?;
        let mut bytes = [0; 9000];
        let length = second.recv(&mut bytes)?;
        Ok((length, bytes[..length].iter().all(|&byte| byte == 7)))
    });
    step("a datagram that is too long", || {
        let socket = UdpSocket::bind(ANY_PORT)?;
        socket.send_to(&[0; 70_000], socket.local_addr()?)
    });
}

fn unix() {
    step("a pair of streams", || {
        let (mut first, mut second) = UnixStream::pair()?;
        first.write_all(b"there")?;
        let mut bytes = [0; 5];
        second.read_exact(&mut bytes)?;
        second.write_all(b"back")?;
        let count = first.read(&mut bytes)?;
        drop(second);
        Ok((
            count,
            first.read(&mut bytes)?,
            first.write(b"x").map_err(|e| probes::error_name(&e)),
        ))
    });
    step("a pair of datagram sockets", || {
        let (first, second) = UnixDatagram::pair()?;
        first.send(b"one")?;
        first.send(b"three")?;
        let mut bytes = [0; 16];
        Ok((second.recv(&mut bytes)?, second.recv(&mut bytes)?))
    });
    step("no signal with MSG_NOSIGNAL", || {
        let (first, second) = UnixStream::pair()?;
        drop(second);
        Ok(send(&first, b"x", SendFlags::NOSIGNAL)?)
    });
    step("events of a closed pair", || {
        let (first, second) = UnixStream::pair()?;
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let before = ready(&first, PollFlags::IN | PollFlags::OUT, at_once)?;
        drop(second);
        Ok((before, ready(&first, PollFlags::IN, at_once)?))
    });
}

/// Receives one byte and at most one descriptor.
fn receive_fd(from: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    recvmsg(
        from,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut received = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            received = fds.next();
        }
    }
    Ok(received)
}

fn send_fd(to: &UnixStream, fd: impl AsFd) -> io::Result<()> {
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(to, &[IoSlice::new(b"!")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn rights() {
    step("a descriptor travels", || {
        let (first, second) = UnixStream::pair()?;
        let (from, to) = rustix::pipe::pipe()?;
        send_fd(&first, &to)?;
        drop(to);
        let received = receive_fd(&second)?.ok_or(io::ErrorKind::NotFound)?;
        rustix::io::write(&received, b"through")?;
        drop(received);
        let mut bytes = [0; 16];
        Ok((
            rustix::io::read(&from, &mut bytes)?,
            rustix::io::read(&from, &mut bytes)?,
        ))
    });
    step("a descriptor under way keeps its file", || {
        let (first, second) = UnixStream::pair()?;
        let (from, to) = rustix::pipe::pipe()?;
        send_fd(&first, &to)?;
        drop(to);
        rustix::fs::fcntl_setfl(&from, rustix::fs::OFlags::NONBLOCK)?;
        let open = rustix::io::read(&from, &mut [0; 1]) == Err(Errno::AGAIN);
        drop((first, second));
        Ok((open, rustix::io::read(&from, &mut [0; 1])?))
    });
    step("bytes without a descriptor", || {
        let (mut first, second) = UnixStream::pair()?;
        first.write_all(b"x")?;
        Ok(receive_fd(&second)?.is_none())
    });
}
