//! Local datagram sockets: associations, who hears whom, errors, limits, time limits.

use probes::{Scratch, step, takes_about};
use rustix::io::Errno;
use rustix::net::{connect_unspec, listen, shutdown};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);

fn main() {
    let scratch = Scratch::new("local");
    step("a directory of its own", || {
        scratch
            .as_ref()
            .map(|_| ())
            .map_err(|_| io::Error::other("none"))
    });
    associations();
    ends();
    limits();
    time_limits();
}

/// A socket with a name in the working directory; an old one of that name goes.
fn named(name: &str) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixDatagram::bind(name)
}

fn associations() {
    step("sending without a destination", || {
        UnixDatagram::unbound()?.send(b"x")
    });
    step("to a relative path, with the sender's name", || {
        let (a, b) = (named("a")?, named("b")?);
        a.send_to(b"hello", "b")?;
        let (count, from) = b.recv_from(&mut [0; 16])?;
        Ok((count, from.as_pathname().map(|path| path.to_path_buf())))
    });
    step("to a name that does not exist", || {
        UnixDatagram::unbound()?.send_to(b"x", "missing")
    });
    step("to a name whose socket is gone", || {
        drop(named("gone")?);
        UnixDatagram::unbound()?.send_to(b"x", "gone")
    });
    step("to a file that is no socket", || {
        std::fs::write("file", b"")?;
        UnixDatagram::unbound()?.send_to(b"x", "file")
    });
    step("a socket with a peer hears nobody else", || {
        let (a, b, c) = (named("a")?, named("b")?, named("c")?);
        b.connect("a")?;
        a.send_to(b"friend", "b")?;
        let stranger = c.send_to(b"stranger", "b").map_err(|e| e.raw_os_error());
        let association = c.connect("b").map_err(|e| e.raw_os_error());
        Ok((b.recv(&mut [0; 16])?, stranger, association))
    });
    step("an association is dissolved", || {
        let (a, _b) = (named("a")?, named("b")?);
        a.connect("b")?;
        a.send(b"x")?;
        connect_unspec(&a)?;
        a.send(b"x")
    });
    step("another destination than the peer", || {
        let (a, b, c) = (named("a")?, named("b")?, named("c")?);
        a.connect("b")?;
        a.send_to(b"xyz", "c")?;
        let count = c.recv(&mut [0; 16])?;
        b.set_nonblocking(true)?;
        let other = b.recv(&mut [0; 16]).map_err(|error| error.kind());
        Ok((count, other))
    });
    step("a datagram socket does not listen", || {
        Ok(listen(named("a")?, 1)?)
    });
    step("a stream socket's name", || {
        let _listener = {
            let _ = std::fs::remove_file("stream");
            std::os::unix::net::UnixListener::bind("stream")?
        };
        UnixDatagram::unbound()?.send_to(b"x", "stream")
    });
}

fn ends() {
    step("a peer that is gone is told once", || {
        let a = named("a")?;
        let b = named("b")?;
        a.connect("b")?;
        drop(b);
        let sends = [(); 2].map(|()| a.send(b"x").map_err(|error| error.raw_os_error()));
        Ok(sends)
    });
    step("one of a pair is gone", || {
        let (a, b) = UnixDatagram::pair()?;
        drop(b);
        a.send(b"x")
    });
    step("what a peer sent before it went", || {
        let (a, b) = UnixDatagram::pair()?;
        b.send(b"last words")?;
        drop(b);
        a.recv(&mut [0; 16])
    });
    step("shutting down what has no peer", || {
        let socket = UnixDatagram::unbound()?;
        socket.shutdown(Shutdown::Both)?;
        Ok(shutdown(
            rustix::net::socket(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::STREAM,
                None,
            )?,
            rustix::net::Shutdown::Both,
        )?)
    });
    step("sending after shutting down", || {
        let (a, _b) = UnixDatagram::pair()?;
        a.shutdown(Shutdown::Write)?;
        a.send(b"x")
    });
    step("sending to who shut down receiving", || {
        let (a, b) = UnixDatagram::pair()?;
        b.shutdown(Shutdown::Read)?;
        a.send(b"x")
    });
}

fn limits() {
    step("a message has a largest size", || {
        let (a, b) = UnixDatagram::pair()?;
        let send = |size: usize| a.send(&vec![1; size]).map_err(|e| e.raw_os_error());
        let outcomes = [send(100_000), send(212_960), send(212_961)];
        let received = b.recv(&mut vec![0; 300_000])?;
        Ok((outcomes, received))
    });
    step("what does not fit is lost", || {
        let (a, b) = UnixDatagram::pair()?;
        a.send(b"longer than that")?;
        a.send(b"next")?;
        Ok((b.recv(&mut [0; 4])?, b.recv(&mut [0; 16])?))
    });
    step("an empty message", || {
        let (a, b) = UnixDatagram::pair()?;
        a.send(b"")?;
        b.recv(&mut [0; 4])
    });
    step("a full queue", || {
        let (a, _b) = UnixDatagram::pair()?;
        a.set_nonblocking(true)?;
        let mut count = 0;
        let error = loop {
            match a.send(&[0; 64]) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        Ok((
            count > 5,
            error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()),
        ))
    });
}

fn time_limits() {
    step("receiving gives up", || {
        let (a, _b) = UnixDatagram::pair()?;
        a.set_read_timeout(Some(SHORT))?;
        let took = takes_about(SHORT, || match a.recv(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })?;
        Ok((took, a.read_timeout()?.is_some(), a.write_timeout()?))
    });
    step("sending gives up", || {
        let (a, _b) = UnixStream::pair()?;
        a.set_write_timeout(Some(SHORT))?;
        takes_about(SHORT, || {
            while io::Write::write(&mut &a, &[0; 65_536]).is_ok() {}
            Ok(())
        })
    });
    step("reading a stream gives up", || {
        let (a, _b) = UnixStream::pair()?;
        a.set_read_timeout(Some(SHORT))?;
        takes_about(SHORT, || match io::Read::read(&mut &a, &mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })
    });
}
