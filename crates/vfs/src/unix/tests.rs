use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::{UnixDomain, UnixKind, UnixSocket};
use crate::{
    Clock, Errno, Events, File, HeapPages, OpenFile, OpenFlags, Received, RecvFlags, SendMessage,
    Shutdown, SliceSource, Socket, Timespec, Tree, VecSink, pipe,
};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timespec {
        Timespec::default()
    }
}

fn domain() -> Arc<UnixDomain> {
    UnixDomain::new(Tree::new(Arc::new(Noon), Arc::new(HeapPages), 1 << 20))
}

fn send(socket: &UnixSocket, bytes: &[u8]) -> Result<usize, Errno> {
    socket.write(&mut SliceSource(bytes))
}

fn receive(socket: &UnixSocket, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(limit);
    socket.read(&mut sink)?;
    Ok(sink.into_bytes())
}

fn send_files(
    socket: &UnixSocket,
    bytes: &[u8],
    rights: Vec<Arc<OpenFile>>,
) -> Result<usize, Errno> {
    let message = SendMessage {
        rights,
        ..SendMessage::default()
    };
    socket.send(&mut SliceSource(bytes), &message)
}

fn receive_files(socket: &UnixSocket, flags: RecvFlags) -> (Vec<u8>, Received) {
    let mut sink = VecSink::new(100);
    let received = socket.receive(&mut sink, flags).unwrap();
    (sink.into_bytes(), received)
}

fn address(path: &[u8]) -> Vec<u8> {
    [&[1, 0], path].concat()
}

fn open(socket: &Arc<UnixSocket>) -> Arc<OpenFile> {
    OpenFile::new(socket.clone(), OpenFlags::RDWR)
}

#[test]
fn stream_has_no_message_borders() {
    let (one, other) = domain().pair(UnixKind::Stream);
    send(&one, b"abc").unwrap();
    send(&one, b"def").unwrap();
    assert_eq!(receive(&other, 4).unwrap(), b"abcd");
    send(&other, b"back").unwrap();
    assert_eq!(receive(&one, 9).unwrap(), b"back");
    assert_eq!(receive(&other, 9).unwrap(), b"ef");
    assert_eq!(receive(&other, 9), Err(Errno::EAGAIN));
}

#[test]
fn peeking_leaves_the_data() {
    let (one, other) = domain().pair(UnixKind::Stream);
    send(&one, &[1; 4000]).unwrap();
    send(&one, &[1; 4000]).unwrap();
    let mut sink = VecSink::new(10_000);
    let received = other.receive(&mut sink, RecvFlags::PEEK).unwrap();
    assert_eq!(received.length, 8000);
    assert_eq!(receive(&other, 10_000).unwrap(), vec![1; 8000]);
}

#[test]
fn files_come_with_their_byte_and_stop_a_read() {
    let (one, other) = domain().pair(UnixKind::Stream);
    let (reader, writer) = pipe(OpenFlags::empty());
    send(&one, b"before").unwrap();
    send_files(&one, b"with", vec![reader.clone()]).unwrap();
    send(&one, b"after").unwrap();
    let (bytes, received) = receive_files(&other, RecvFlags::empty());
    assert_eq!((bytes, received.rights.len()), (b"before".to_vec(), 0));
    {
        let (bytes, received) = receive_files(&other, RecvFlags::PEEK);
        assert_eq!((bytes, received.rights.len()), (b"with".to_vec(), 1));
    }
    let (bytes, received) = receive_files(&other, RecvFlags::empty());
    assert_eq!(bytes, b"with");
    assert!(Arc::ptr_eq(&received.rights[0], &reader));
    let (bytes, _) = receive_files(&other, RecvFlags::empty());
    assert_eq!(bytes, b"after");
    drop((received, reader));
    assert_eq!(
        writer.write(&mut SliceSource(b"x")),
        Err(Errno::EPIPE),
        "nobody holds the reader any more"
    );
}

#[test]
fn closing_ends_the_stream_both_ways() {
    let (one, other) = domain().pair(UnixKind::Stream);
    send(&one, b"last").unwrap();
    drop(one);
    assert!(other.poll().contains(Events::HUP | Events::RDHUP));
    assert_eq!(receive(&other, 9).unwrap(), b"last");
    assert_eq!(receive(&other, 9).unwrap(), b"");
    assert_eq!(send(&other, b"x"), Err(Errno::EPIPE));
}

#[test]
fn closing_with_unread_data_resets() {
    let (one, other) = domain().pair(UnixKind::Stream);
    send(&one, b"unread").unwrap();
    drop(other);
    assert!(one.poll().contains(Events::ERR));
    assert_eq!(receive(&one, 9), Err(Errno::ECONNRESET));
    assert_eq!(receive(&one, 9).unwrap(), b"");
}

#[test]
fn shutdown_closes_one_direction() {
    let (one, other) = domain().pair(UnixKind::Stream);
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!(send(&one, b"x"), Err(Errno::EPIPE));
    assert_eq!(other.poll(), Events::IN | Events::RDHUP | Events::OUT);
    assert_eq!(receive(&other, 1).unwrap(), b"");
    send(&other, b"y").unwrap();
    assert_eq!(receive(&one, 1).unwrap(), b"y");
}

#[test]
fn full_stream_takes_a_part_and_recovers() {
    let (one, other) = domain().pair(UnixKind::Stream);
    let taken = send(&one, &vec![0; 1 << 20]).unwrap();
    assert!((100_000..1 << 20).contains(&taken));
    assert_eq!(send(&one, b"x"), Err(Errno::EAGAIN));
    assert_eq!(one.poll(), Events::empty());
    assert_eq!(receive(&other, 1 << 20).unwrap().len(), taken);
    assert_eq!(one.poll(), Events::OUT);
}

#[test]
fn sockets_cannot_be_sent_into_themselves() {
    let domain = domain();
    let (one, other) = domain.pair(UnixKind::Stream);
    let (third, fourth) = domain.pair(UnixKind::Stream);
    let refused = send_files(&one, b"x", vec![open(&other)]);
    assert_eq!(refused, Err(Errno::ELOOP));
    // `fourth` goes to `other`; then `other` must not go to `fourth`.
    send_files(&one, b"x", vec![open(&fourth)]).unwrap();
    let refused = send_files(&third, b"x", vec![open(&other)]);
    assert_eq!(refused, Err(Errno::ELOOP));
    let weak = Arc::downgrade(&fourth);
    drop((one, other, fourth));
    assert!(weak.upgrade().is_none(), "a closed queue lets files go");
}

#[test]
fn connections_by_path_and_abstract_name() {
    for name in [&b"run/listener"[..], b"\0hidden"] {
        let domain = domain();
        domain
            .tree
            .mkdir(domain.tree.root(), b"run", 0o755)
            .unwrap();
        let listener = domain.socket(UnixKind::Stream);
        let client = domain.socket(UnixKind::Stream);
        listener.bind(&address(name)).unwrap();
        assert_eq!(client.connect(&address(name)), Err(Errno::ECONNREFUSED));
        listener.listen(5).unwrap();
        assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
        client.connect(&address(name)).unwrap();
        assert_eq!(client.connect(&address(name)), Err(Errno::EISCONN));
        assert_eq!(listener.poll(), Events::IN);
        send(&client, b"early").unwrap();
        let server = listener.accept().unwrap();
        let mut sink = VecSink::new(9);
        server.read(&mut sink).unwrap();
        assert_eq!(sink.into_bytes(), b"early");
        server.write(&mut SliceSource(b"reply")).unwrap();
        assert_eq!(receive(&client, 9).unwrap(), b"reply");
        assert!(client.peer_address().unwrap().starts_with(&address(name)));
        let second = domain.socket(UnixKind::Stream);
        assert_eq!(second.bind(&address(name)), Err(Errno::EADDRINUSE));
    }
}

#[test]
fn backlog_is_limited_and_ends_with_the_listener() {
    let domain = domain();
    let listener = domain.socket(UnixKind::SeqPacket);
    listener.bind(&address(b"\0l")).unwrap();
    listener.listen(0).unwrap();
    let clients = [(); 2].map(|()| domain.socket(UnixKind::SeqPacket));
    clients[0].connect(&address(b"\0l")).unwrap();
    assert_eq!(clients[1].connect(&address(b"\0l")), Err(Errno::EAGAIN));
    drop(listener);
    assert!(clients[0].poll().contains(Events::HUP));
    let refused = clients[1].connect(&address(b"\0l"));
    assert_eq!(refused, Err(Errno::ECONNREFUSED));
}

#[test]
fn datagrams_keep_borders_and_senders() {
    let domain = domain();
    let server = domain.socket(UnixKind::Datagram);
    server.bind(&address(b"\0server")).unwrap();
    let client = domain.socket(UnixKind::Datagram);
    client.bind(&address(b"\0client")).unwrap();
    assert_eq!(send(&client, b"x"), Err(Errno::ENOTCONN));
    client.connect(&address(b"\0server")).unwrap();
    send(&client, b"first").unwrap();
    send(&client, b"").unwrap();
    let mut sink = VecSink::new(3);
    let received = server.receive(&mut sink, RecvFlags::TRUNC).unwrap();
    assert_eq!(sink.into_bytes(), b"fir");
    assert_eq!((received.length, received.flags), (5, RecvFlags::TRUNC));
    assert_eq!(received.address, Some(address(b"\0client")));
    let reply = SendMessage {
        address: received.address.as_deref(),
        ..SendMessage::default()
    };
    server.send(&mut SliceSource(b"reply"), &reply).unwrap();
    assert_eq!(receive(&client, 9).unwrap(), b"reply");
    assert_eq!(receive(&server, 9).unwrap(), b"");
    assert_eq!(receive(&server, 9), Err(Errno::EAGAIN));
    drop(server);
    assert_eq!(send(&client, b"x"), Err(Errno::ECONNREFUSED));
}

#[test]
fn packets_keep_borders_over_a_connection() {
    let (one, other) = domain().pair(UnixKind::SeqPacket);
    send(&one, b"ab").unwrap();
    send(&one, b"cd").unwrap();
    assert_eq!(receive(&other, 9).unwrap(), b"ab");
    drop(one);
    assert_eq!(receive(&other, 9).unwrap(), b"cd");
    assert_eq!(receive(&other, 9).unwrap(), b"");
}

#[test]
fn options_tell_type_and_error() {
    let (one, other) = domain().pair(UnixKind::Stream);
    assert_eq!(one.option(1, 3, 4).unwrap(), 1_i32.to_le_bytes());
    assert_eq!(one.option(1, 999, 4), Err(Errno::ENOPROTOOPT));
    send(&one, b"unread").unwrap();
    drop(other);
    let reset = i32::from(Errno::ECONNRESET.number());
    assert_eq!(one.option(1, 4, 4).unwrap(), reset.to_le_bytes());
    assert_eq!(one.option(1, 4, 4).unwrap(), 0_i32.to_le_bytes());
}

#[test]
fn sockets_inside_sockets_close_without_a_stack_for_each() {
    let domain = domain();
    // From the outside in, so that none that is sent holds another yet.
    let (outermost, mut far) = domain.pair(UnixKind::Stream);
    for _ in 0..20_000 {
        let (near, next) = domain.pair(UnixKind::Stream);
        send_files(&far, b"x", vec![open(&near)]).unwrap();
        far = next;
    }
    drop(outermost);
    assert_eq!(send(&far, b"x"), Err(Errno::EPIPE));
}

#[test]
fn too_many_sockets_inside_each_other_are_refused() {
    let domain = domain();
    let mut file: Option<Arc<OpenFile>> = None;
    let refused = (0..2000).find_map(|_| {
        let (near, far) = domain.pair(UnixKind::Stream);
        let sent = send_files(&near, b"x", file.take().into_iter().collect());
        file = Some(open(&far));
        sent.err()
    });
    assert_eq!(refused, Some(Errno::EMLINK));
}
