//! A guest on a wire whose other end is this test: a server of short DHCP leases, a router that
//! advertises, and a client that connects to the guest.

use crate::network::NET_CHECK;
use net::{Addressing, Addressing6, Config, NetDevice, NetStack, Offload, Platform, emit_address};
use qemu::{Guest, Machine, Profile};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tests::{boot, image, scratch};
use vfs::{Errno, Events, File, RecvFlags, SendMessage, SliceSource, VecSink};

const LONG: Duration = Duration::from_secs(120);
const MAC: [u8; 6] = [0x52, 0x54, 0, 9, 0, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe09, 1);
const PEER6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);
/// The guest's, from the advertised network and its hardware address.
const GUEST6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0x5054, 0xff, 0xfe09, 2);
/// Seconds.
const LEASE: u32 = 4;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const STREAM: i32 = 1;
const DATAGRAM: i32 = 2;

/// What the serving thread waits for.
enum Event {
    Frame(Vec<u8>),
    /// The stack wants to be polled at another time than before.
    Deadline,
    /// QEMU has ended.
    End,
}

/// Real time, and numbers that need not surprise anybody.
struct Host {
    start: Instant,
    random: AtomicU32,
    deadline: Mutex<Option<u64>>,
    events: Sender<Event>,
}

impl Platform for Host {
    fn now_micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn wall_micros(&self) -> u64 {
        self.now_micros()
    }

    fn random_u32(&self) -> u32 {
        // Knuth's multiplicative hash of a counter.
        let count = self.random.fetch_add(1, Ordering::Relaxed);
        count.wrapping_mul(2_654_435_761)
    }

    fn set_deadline(&self, at_micros: Option<u64>) {
        *self.deadline.lock().unwrap() = at_micros;
        // Nobody listens once QEMU has ended.
        let _ = self.events.send(Event::Deadline);
    }
}

/// QEMU's `stream` network: each frame after its length in four bytes.
struct Wire {
    stream: UnixStream,
    arrived: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

impl NetDevice for Wire {
    fn mac(&self) -> [u8; 6] {
        MAC
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn receive(&mut self, part: &mut dyn FnMut(&[u8])) -> Option<bool> {
        part(&self.arrived.lock().unwrap().pop_front()?);
        // Nobody has verified its checksum.
        Some(false)
    }

    fn transmit(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> bool {
        let mut frame = vec![0; len];
        assert_eq!(
            fill(&mut frame),
            Offload::default(),
            "the wire completes nothing"
        );
        send_frame(&mut self.stream, &frame);
        true
    }
}

/// The guest may have ended.
fn send_frame(stream: &mut UnixStream, frame: &[u8]) {
    let length = (frame.len() as u32).to_be_bytes();
    let _ = stream.write_all(&[&length[..], frame].concat());
}

/// Passes the frames from QEMU on until it ends.
fn read_frames(mut stream: UnixStream, events: &Sender<Event>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut frame).is_err() || events.send(Event::Frame(frame)).is_err() {
            break;
        }
    }
    let _ = events.send(Event::End);
}

/// The DHCP server.
#[derive(Default)]
struct Dhcp {
    /// What it leases; nothing if it is silent.
    leased: Option<Ipv4Addr>,
    /// Messages from the client, by kind (RFC 2132 §9.6).
    messages: Vec<u8>,
}

impl Dhcp {
    fn serve(&mut self, file: &dyn File) {
        let socket = file.as_socket().unwrap();
        let mut sink = VecSink::new(1500);
        while socket.receive(&mut sink, RecvFlags::empty()).is_ok() {
            let request = std::mem::replace(&mut sink, VecSink::new(1500)).into_bytes();
            let kind = message_kind(&request);
            self.messages.push(kind);
            if let Some(leased) = self.leased {
                let address = raw(Ipv4Addr::BROADCAST.into(), 68);
                let message = SendMessage {
                    address: Some(&address),
                    ..SendMessage::default()
                };
                let reply = reply(&request, kind, leased);
                socket.send(&mut SliceSource(&reply), &message).unwrap();
            }
        }
    }
}

/// This end of the wire: our own network stack with a DHCP server, served by a thread.
struct Peer {
    stack: Arc<NetStack>,
    wire: UnixStream,
    dhcp: Arc<Mutex<Dhcp>>,
    /// Rings whenever something may have happened.
    served: Arc<Condvar>,
}

impl Peer {
    fn new(wire: UnixStream) -> Self {
        let (sender, events) = channel();
        let host = Arc::new(Host {
            start: Instant::now(),
            random: AtomicU32::new(1),
            deadline: Mutex::new(None),
            events: sender.clone(),
        });
        let arrived: Arc<Mutex<VecDeque<Vec<u8>>>> = Arc::default();
        let device = Wire {
            stream: wire.try_clone().unwrap(),
            arrived: arrived.clone(),
        };
        let stack = NetStack::new(Some(Box::new(device)), host.clone(), config());
        let reading = wire.try_clone().unwrap();
        thread::spawn(move || read_frames(reading, &sender));
        let peer = Self {
            stack,
            wire,
            dhcp: Arc::default(),
            served: Arc::default(),
        };
        peer.start(host, events, arrived);
        peer
    }

    /// Starts to serve the wire, until QEMU ends.
    fn start(
        &self,
        host: Arc<Host>,
        events: Receiver<Event>,
        arrived: Arc<Mutex<VecDeque<Vec<u8>>>>,
    ) {
        let socket = dhcp_socket(&self.stack);
        let (stack, dhcp, served) = (self.stack.clone(), self.dhcp.clone(), self.served.clone());
        thread::spawn(move || {
            loop {
                let deadline = *host.deadline.lock().unwrap();
                let deadline = deadline.map_or(LONG, Duration::from_micros);
                match events.recv_timeout(deadline.saturating_sub(host.start.elapsed())) {
                    Ok(Event::Frame(frame)) => arrived.lock().unwrap().push_back(frame),
                    Ok(Event::Deadline) | Err(RecvTimeoutError::Timeout) => {}
                    Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return,
                }
                stack.poll();
                dhcp.lock().unwrap().serve(&*socket);
                served.notify_all();
            }
        });
    }

    /// Waits until `done` gives something.
    fn wait<T>(&self, what: &str, mut done: impl FnMut(&Dhcp) -> Option<T>) -> T {
        let limit = Instant::now() + LONG;
        let mut dhcp = self.dhcp.lock().unwrap();
        loop {
            if let Some(result) = done(&dhcp) {
                return result;
            }
            let left = limit.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no {what} in time; DHCP: {:?}",
                dhcp.messages
            );
            dhcp = self.served.wait_timeout(dhcp, left).unwrap().0;
        }
    }

    fn lease(&self, address: Option<Ipv4Addr>) {
        self.dhcp.lock().unwrap().leased = address;
    }

    /// Has the router present itself.
    fn advertise(&mut self) {
        send_frame(&mut self.wire, &advertisement());
    }

    /// Connects to the guest's echo service and sends a line.
    fn say(&self, address: IpAddr, line: &str) -> Arc<dyn File> {
        let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
        let client = self.stack.socket(family, STREAM, 0).unwrap();
        let started = client.as_socket().unwrap().connect(&raw(address, 7));
        assert_eq!(started, Err(Errno::EINPROGRESS), "{address}");
        let connected = |_: &Dhcp| client.poll().contains(Events::OUT).then_some(());
        self.wait("connection", connected);
        client.write(&mut SliceSource(line.as_bytes())).unwrap();
        client
    }

    /// Has a line sent back.
    fn echo(&self, address: IpAddr) {
        let client = self.say(address, "hello\n");
        let line = self.wait("echo", |_| {
            let mut sink = VecSink::new(100);
            client.read(&mut sink).is_ok().then(|| sink.into_bytes())
        });
        assert_eq!(line, b"hello\n", "{address}");
    }
}

fn config() -> Config {
    Config {
        addressing: Addressing::Static {
            address: SERVER,
            prefix: 24,
            gateway: None,
        },
        addressing6: Addressing6::Static {
            address: PEER6,
            prefix: 64,
            gateway: None,
        },
        ..Config::default()
    }
}

fn dhcp_socket(stack: &Arc<NetStack>) -> Arc<dyn File> {
    let file = stack.socket(AF_INET, DATAGRAM, 0).unwrap();
    let socket = file.as_socket().unwrap();
    let (sol_socket, broadcast) = (1, 6);
    let on = 1_u32.to_le_bytes();
    socket.set_option(sol_socket, broadcast, &on).unwrap();
    let server_port = raw(Ipv4Addr::UNSPECIFIED.into(), 67);
    socket.bind(&server_port).unwrap();
    file
}

fn raw(ip: IpAddr, port: u16) -> Vec<u8> {
    emit_address(&SocketAddr::new(ip, port))
}

/// DHCP option 53 of a message (RFC 2131 §2: options start at 240).
fn message_kind(message: &[u8]) -> u8 {
    let mut options = &message[240..];
    while let [code, length, rest @ ..] = options {
        if *code == 53 {
            return rest[0];
        }
        options = &rest[usize::from(*length)..];
    }
    0
}

/// OFFER to a DISCOVER, ACK to a REQUEST.
fn reply(request: &[u8], kind: u8, leased: Ipv4Addr) -> Vec<u8> {
    let mut bootp = request[..240].to_vec();
    bootp[0] = 2;
    bootp[12..16].fill(0);
    bootp[16..20].copy_from_slice(&leased.octets());
    let answer = if kind == 1 { 2 } else { 5 };
    for (code, value) in [
        (53, &[answer][..]),
        (54, &SERVER.octets()),
        (51, &LEASE.to_be_bytes()),
        (1, &[255, 255, 255, 0]),
    ] {
        bootp.extend([code, value.len() as u8]);
        bootp.extend(value);
    }
    bootp.push(255);
    bootp
}

/// A router advertisement of the network of [`GUEST6`] to all nodes (RFC 4861 §4.2).
fn advertisement() -> Vec<u8> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(1800_u16.to_be_bytes());
    message.extend([0; 8]);
    message.extend([3, 4, 64, 0xc0]);
    message.extend([3600_u32.to_be_bytes(), 3600_u32.to_be_bytes(), [0; 4]].concat());
    message.extend(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0).octets());
    let pseudo = [
        &ROUTER.octets()[..],
        &group.octets(),
        &(message.len() as u32).to_be_bytes(),
        &[0, 0, 0, 58],
    ];
    let sum = checksum(&[&pseudo.concat()[..], &message].concat());
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = (message.len() as u16).to_be_bytes();
    [
        &[0x33, 0x33, 0, 0, 0, 1][..],
        &MAC,
        &[0x86, 0xdd, 0x60, 0, 0, 0],
        &length,
        &[58, 255],
        &ROUTER.octets(),
        &group.octets(),
        &message,
    ]
    .concat()
}

/// The internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

/// A guest that serves, and this end of its wire.
fn wired() -> (Guest, Peer) {
    let folder = scratch();
    let path = folder.path().join("wire");
    let listener = UnixListener::bind(&path).unwrap();
    let accepting = thread::spawn(move || listener.accept().unwrap().0);
    let profile = Profile::named("microvm").unwrap();
    let card = profile.network.clone();
    let (parts, held) = boot(&profile, &image(NET_CHECK));
    let guest = Machine::new(profile, parts)
        .hold(held)
        .network(false)
        .kernel_word("env.NET_CHECK=serve")
        .argument("-netdev")
        .argument(&format!(
            "stream,id=wire,server=off,addr.type=unix,addr.path={}",
            path.display()
        ))
        .argument("-device")
        .argument(&format!("{card},netdev=wire,mac=52:54:00:09:00:02"))
        .start()
        .unwrap();
    (guest, Peer::new(accepting.join().unwrap()))
}

#[test]
fn leases_are_renewed_lost_and_replaced_while_clients_come_by_both_families() {
    let (mut guest, mut peer) = wired();
    let (first, second) = (Ipv4Addr::new(10, 9, 0, 50), Ipv4Addr::new(10, 9, 0, 77));
    peer.lease(Some(first));
    guest
        .wait_console("network address 10.9.0.50/24", LONG)
        .unwrap();
    guest.wait_console("net: serving", LONG).unwrap();
    peer.echo(first.into());
    // DISCOVER and REQUEST, then a REQUEST at each half of the lease.
    let heard = |dhcp: &Dhcp| (dhcp.messages.len() >= 5).then(|| dhcp.messages[..5].to_vec());
    assert_eq!(peer.wait("renewals", heard), [1, 3, 3, 3, 3]);
    peer.echo(first.into());

    peer.lease(None);
    let asks_again = |dhcp: &Dhcp| dhcp.messages.ends_with(&[1]).then_some(());
    peer.wait("new search after the lease ended", asks_again);
    peer.lease(Some(second));
    guest
        .wait_console("network address 10.9.0.77/24", LONG)
        .unwrap();
    peer.echo(second.into());

    peer.advertise();
    let configured = format!("network address {GUEST6}/64");
    guest.wait_console(&configured, LONG).unwrap();
    peer.echo(GUEST6.into());
    let _client = peer.say(GUEST6.into(), "over\n");
    guest.wait_console("net: served over", LONG).unwrap();
    let end = guest.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}\n{}", guest.console());
}
