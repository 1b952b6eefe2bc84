//! Internet sockets in detail: IPv6 over loopback, both families on one port, options, time
//! limits, lingering, errors, large datagrams and groups.

use probes::{step, takes_about};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use std::io::{self, Read as _, Write as _};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpListener, TcpStream,
    UdpSocket,
};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const SELF4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SELF6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn main() {
    connections();
    both_families();
    scopes();
    options();
    time_limits();
    lingering();
    errors();
    datagrams();
    groups();
}

fn stream(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket(family, SocketType::STREAM, None)?)
}

fn pair(address: IpAddr) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((address, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

fn connections() {
    step("an IPv6 connection has matching addresses", || {
        let (client, server) = pair(SELF6)?;
        let there = client.local_addr()? == server.peer_addr()?;
        Ok((there, server.local_addr()?.ip(), client.peer_addr()?.ip()))
    });
    step("two MiB and a half-close over IPv6", || {
        let (mut client, mut server) = pair(SELF6)?;
        let writer = thread::spawn(move || {
            client.write_all(&vec![7; 2 << 20])?;
            client.shutdown(Shutdown::Write)?;
            let mut answer = String::new();
            client.read_to_string(&mut answer)?;
            Ok::<_, io::Error>(answer)
        });
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes)?;
        server.write_all(b"thanks")?;
        drop(server);
        let answer = writer
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))??;
        Ok((bytes.len(), answer))
    });
}

fn both_families() {
    step("IPv4 comes mapped to a socket for both", || {
        let listener = TcpListener::bind((ANY, 0))?;
        let port = listener.local_addr()?.port();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let (server, peer) = listener.accept()?;
        Ok((server.local_addr()?.ip(), peer.ip()))
    });
    step("a mapped address is connected to by IPv4", || {
        let listener = TcpListener::bind((SELF4, 0))?;
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let client = TcpStream::connect((mapped, listener.local_addr()?.port()))?;
        let (server, _) = listener.accept()?;
        Ok((client.peer_addr()?.ip(), server.peer_addr()?.ip()))
    });
    step("only IPv6", || {
        let fd = stream(AddressFamily::INET6)?;
        sockopt::set_ipv6_v6only(&fd, true)?;
        bind(&fd, &SocketAddr::new(ANY, 0))?;
        listen(&fd, 1)?;
        let listener = TcpListener::from(fd);
        let port = listener.local_addr()?.port();
        let four = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(|_| ());
        let shared = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        let six = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok();
        Ok((four.map_err(|error| error.kind()), shared, six))
    });
    step("both and one of them do not share a port", || {
        let both = TcpListener::bind((ANY, 0))?;
        let port = both.local_addr()?.port();
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map(|_| ())
    });
    step("only IPv6 cannot be asked for after bind", || {
        let fd = stream(AddressFamily::INET6)?;
        bind(&fd, &SocketAddr::new(ANY, 0))?;
        Ok(sockopt::set_ipv6_v6only(&fd, true)?)
    });
    step("datagrams of both families to one socket", || {
        let receiver = UdpSocket::bind((ANY, 0))?;
        let port = receiver.local_addr()?.port();
        let mut senders = Vec::new();
        for own in [SELF4, SELF6] {
            let sender = UdpSocket::bind((own, 0))?;
            sender.send_to(b"x", (own, port))?;
            let (_, from) = receiver.recv_from(&mut [0; 4])?;
            senders.push(from.ip());
        }
        Ok(senders)
    });
    step("an IPv4 socket knows no IPv6 address", || {
        let fd = stream(AddressFamily::INET)?;
        Ok(connect(&fd, &SocketAddr::new(SELF6, 9))?)
    });
    step("an only-IPv6 socket and a mapped address", || {
        let fd = stream(AddressFamily::INET6)?;
        sockopt::set_ipv6_v6only(&fd, true)?;
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        Ok(connect(&fd, &SocketAddr::new(mapped.into(), 9))?)
    });
}

fn scopes() {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x1234);
    step("a link-local address needs an interface to connect", || {
        let fd = stream(AddressFamily::INET6)?;
        Ok(connect(&fd, &SocketAddr::new(link_local.into(), 9))?)
    });
    step("a link-local address needs an interface to bind", || {
        let fd = stream(AddressFamily::INET6)?;
        Ok(bind(&fd, &SocketAddr::new(link_local.into(), 0))?)
    });
    step("an interface that does not exist", || {
        let fd = stream(AddressFamily::INET6)?;
        Ok(bind(&fd, &SocketAddrV6::new(link_local, 0, 0, 99))?)
    });
    step("somebody else's address", || {
        let fd = stream(AddressFamily::INET6)?;
        let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        Ok(bind(&fd, &SocketAddr::new(documentation.into(), 0))?)
    });
}

fn options() {
    step("defaults of IPv6 options", || {
        let fd = stream(AddressFamily::INET6)?;
        Ok((
            sockopt::ipv6_v6only(&fd)?,
            sockopt::ipv6_unicast_hops(&fd)?,
            sockopt::ipv6_tclass(&fd)?,
        ))
    });
    step("IPv6 options read back", || {
        let fd = stream(AddressFamily::INET6)?;
        sockopt::set_ipv6_unicast_hops(&fd, Some(7))?;
        sockopt::set_ipv6_tclass(&fd, 0x20)?;
        sockopt::set_ipv6_recvtclass(&fd, true)?;
        Ok((
            sockopt::ipv6_unicast_hops(&fd)?,
            sockopt::ipv6_tclass(&fd)?,
            sockopt::ipv6_recvtclass(&fd)?,
        ))
    });
    step("IPv6 options of an IPv4 socket", || {
        let fd = stream(AddressFamily::INET)?;
        Ok(sockopt::ipv6_unicast_hops(&fd)?)
    });
    step("times of TCP", || {
        let fd = stream(AddressFamily::INET)?;
        sockopt::set_tcp_keepidle(&fd, Duration::from_secs(11))?;
        sockopt::set_tcp_keepintvl(&fd, Duration::from_secs(12))?;
        sockopt::set_tcp_keepcnt(&fd, 3)?;
        sockopt::set_tcp_user_timeout(&fd, 5000)?;
        Ok((
            sockopt::tcp_keepidle(&fd)?,
            sockopt::tcp_keepintvl(&fd)?,
            sockopt::tcp_keepcnt(&fd)?,
            sockopt::tcp_user_timeout(&fd)?,
        ))
    });
    step("times of TCP out of range", || {
        let fd = stream(AddressFamily::INET)?;
        let idle = sockopt::set_tcp_keepidle(&fd, Duration::from_secs(40_000));
        let count = sockopt::set_tcp_keepcnt(&fd, 128);
        Ok((
            idle.map_err(Errno::raw_os_error),
            count.map_err(Errno::raw_os_error),
        ))
    });
    step("an accepted socket inherits options", || {
        let listener = TcpListener::bind((SELF6, 0))?;
        sockopt::set_tcp_nodelay(&listener, true)?;
        sockopt::set_socket_keepalive(&listener, true)?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        Ok((server.nodelay()?, sockopt::socket_keepalive(&server)?))
    });
}

fn time_limits() {
    step("time limits read back", || {
        let fd = stream(AddressFamily::INET)?;
        let before = sockopt::socket_timeout(&fd, Timeout::Recv)?;
        sockopt::set_socket_timeout(&fd, Timeout::Recv, Some(Duration::from_secs(3)))?;
        sockopt::set_socket_timeout(&fd, Timeout::Send, Some(Duration::from_millis(2500)))?;
        Ok((
            before,
            sockopt::socket_timeout(&fd, Timeout::Recv)?,
            sockopt::socket_timeout(&fd, Timeout::Send)?,
        ))
    });
    step("reading gives up", || {
        let (mut client, _server) = pair(SELF6)?;
        client.set_read_timeout(Some(SHORT))?;
        takes_about(SHORT, || match client.read(&mut [0]) {
            Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })
    });
    step("writing gives up", || {
        let (mut client, _server) = pair(SELF4)?;
        client.set_write_timeout(Some(SHORT))?;
        takes_about(SHORT, || {
            while client.write(&[0; 65_536]).is_ok() {}
            Ok(())
        })
    });
    step("accepting gives up", || {
        let listener = TcpListener::bind((SELF4, 0))?;
        sockopt::set_socket_timeout(&listener, Timeout::Recv, Some(SHORT))?;
        let taken = takes_about(SHORT, || match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })?;
        Ok(taken)
    });
    step("receiving a datagram gives up", || {
        let socket = UdpSocket::bind((SELF6, 0))?;
        socket.set_read_timeout(Some(SHORT))?;
        takes_about(SHORT, || match socket.recv(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })
    });
}

fn lingering() {
    step("closing waits until everything has arrived", || {
        let (mut client, mut server) = pair(SELF4)?;
        sockopt::set_socket_linger(&client, Some(Duration::from_secs(5)))?;
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            server.read_to_end(&mut bytes).map(|_| bytes.len())
        });
        client.write_all(&vec![1; 1 << 20])?;
        drop(client);
        reader
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))?
    });
    step("closing waits no longer than it should", || {
        let (client, _server) = pair(SELF4)?;
        sockopt::set_socket_linger(&client, Some(Duration::from_secs(1)))?;
        client.set_nonblocking(true)?;
        // Nobody reads: the buffers of both sides fill.
        while (&client).write(&[0; 65_536]).is_ok() {}
        takes_about(Duration::from_secs(1), || {
            drop(client);
            Ok(())
        })
    });
    step("lingering for no time resets", || {
        let (client, mut server) = pair(SELF6)?;
        sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
        drop(client);
        server.read(&mut [0]).map(|_| ())
    });
}

fn errors() {
    step("a closed TCP port of IPv6", || {
        let port = TcpListener::bind((SELF6, 0))?.local_addr()?.port();
        TcpStream::connect((SELF6, port)).map(|_| ())
    });
    step("a closed UDP port of IPv6", || {
        let port = UdpSocket::bind((SELF6, 0))?.local_addr()?.port();
        let socket = UdpSocket::bind((SELF6, 0))?;
        socket.connect((SELF6, port))?;
        socket.send(b"x")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.recv(&mut [0]).map(|_| ())
    });
    step("writing after the other side is gone", || {
        let (mut client, server) = pair(SELF6)?;
        drop(server);
        let mut last = Ok(0);
        for _ in 0..10 {
            last = client.write(b"x");
            if last.is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        last
    });
    step("writing after shutting down", || {
        let (mut client, _server) = pair(SELF6)?;
        client.shutdown(Shutdown::Write)?;
        client.write(b"x")
    });
    step("a datagram without a destination", || {
        let socket = UdpSocket::bind((SELF6, 0))?;
        socket.send(b"x")
    });
    step("a broadcast without permission", || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let refused = socket.send_to(b"x", (Ipv4Addr::new(127, 255, 255, 255), 9));
        Ok(refused.map_err(|error| error.kind()))
    });
}

fn datagrams() {
    let lengths = |own: IpAddr, lengths: &[usize]| -> io::Result<Vec<Result<bool, i32>>> {
        let receiver = UdpSocket::bind((own, 0))?;
        let sender = UdpSocket::bind((own, 0))?;
        let mut buffer = vec![0; 70_000];
        let mut answers = Vec::new();
        for &length in lengths {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            answers.push(match sender.send_to(&bytes, receiver.local_addr()?) {
                Ok(_) => {
                    let (count, _) = receiver.recv_from(&mut buffer)?;
                    Ok(buffer[..count] == bytes)
                }
                Err(error) => Err(error.raw_os_error().unwrap_or(0)),
            });
        }
        Ok(answers)
    };
    step("datagrams of IPv4 by length", || {
        lengths(SELF4, &[0, 1, 1472, 1473, 9000, 65_507, 65_508])
    });
    step("datagrams of IPv6 by length", || {
        lengths(SELF6, &[0, 1, 1452, 1453, 9000, 65_527, 65_528])
    });
}

fn groups() {
    step("a group of IPv4 on the loopback interface", || {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        receiver.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
        let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        sockopt::set_ip_multicast_if(&sender, &Ipv4Addr::LOCALHOST)?;
        sender.send_to(b"hello", (group, receiver.local_addr()?.port()))?;
        let mut bytes = [0; 8];
        let (count, from) = receiver.recv_from(&mut bytes)?;
        receiver.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
        Ok((count, from.ip(), sockopt::ip_multicast_if(&sender)?))
    });
    step("the loopback interface carries no groups of IPv6", || {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x12, 0x34);
        let receiver = UdpSocket::bind((ANY, 0))?;
        receiver.join_multicast_v6(&group, 1)?;
        let sender = UdpSocket::bind((ANY, 0))?;
        sockopt::set_ipv6_multicast_if(&sender, 1)?;
        let to = SocketAddrV6::new(group, receiver.local_addr()?.port(), 0, 1);
        sender.send_to(b"hello", to)?;
        let mut bytes = [0; 8];
        let (count, from) = receiver.recv_from(&mut bytes)?;
        receiver.leave_multicast_v6(&group, 1)?;
        Ok((count, from.ip()))
    });
    step("joining twice, and leaving what was not joined", || {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let outcome = |result: io::Result<()>| result.map_err(|error| error.raw_os_error());
        Ok([
            outcome(socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)),
            outcome(socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)),
            outcome(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)),
            outcome(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)),
            outcome(socket.join_multicast_v4(&Ipv4Addr::LOCALHOST, &Ipv4Addr::LOCALHOST)),
            outcome(socket.join_multicast_v4(&group, &Ipv4Addr::new(192, 0, 2, 1))),
        ])
    });
    step("groups do not loop back if told so", || {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(9)?;
        Ok((
            socket.multicast_loop_v4()?,
            socket.multicast_ttl_v4()?,
            group,
        ))
    });
}
