//! Two machines on a simulated wire with virtual time and a fixed random seed.
#![allow(dead_code, reason = "each test file uses its own part")]

mod offload;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use net::{
    Abilities, Addressing, Config, NetDevice, NetStack, Offload, Platform, emit_address,
    parse_address,
};
use vfs::{Errno, Events, File, RecvFlags, SendMessage, SliceSource, Socket, VecSink, Waiter};

pub(crate) const AF_INET: i32 = 2;
pub(crate) const AF_INET6: i32 = 10;
pub(crate) const STREAM: i32 = 1;
pub(crate) const DGRAM: i32 = 2;

pub(crate) const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Wall time at the beginning of virtual time, in microseconds.
pub(crate) const EPOCH: u64 = 1_700_000_000_000_000;

/// Virtual time, shared by all machines.
#[derive(Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance_to(&self, micros: u64) {
        self.0.fetch_max(micros, Ordering::Relaxed);
    }
}

/// xorshift32: the same numbers in every run.
pub(crate) struct Random(AtomicU32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(AtomicU32::new(seed))
    }

    pub(crate) fn next(&self) -> u32 {
        let mut x = self.0.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.0.store(x, Ordering::Relaxed);
        x
    }

    pub(crate) fn percent(&self, chance: u32) -> bool {
        self.next() % 100 < chance
    }
}

pub(crate) struct TestPlatform {
    clock: Arc<Clock>,
    random: Random,
    deadline: Mutex<Option<u64>>,
}

impl TestPlatform {
    pub(crate) fn new(clock: &Arc<Clock>, seed: u32) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            random: Random::new(seed),
            deadline: Mutex::new(None),
        })
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        *self.deadline.lock().unwrap()
    }
}

impl Platform for TestPlatform {
    fn now_micros(&self) -> u64 {
        self.clock.now()
    }

    fn wall_micros(&self) -> u64 {
        EPOCH + self.clock.now()
    }

    fn random_u32(&self) -> u32 {
        self.random.next()
    }

    fn set_deadline(&self, at_micros: Option<u64>) {
        *self.deadline.lock().unwrap() = at_micros;
    }
}

type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// One end of a wire: frames go into plain queues that the test moves along.
pub(crate) struct Port {
    pub(crate) received: Queue,
    pub(crate) sent: Queue,
    pub(crate) room: Arc<AtomicU32>,
    taken: Arc<AtomicU32>,
}

impl Port {
    /// How many frames the stack handed over, before they were cut.
    pub(crate) fn handed_over(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

struct TestDevice {
    mac: [u8; 6],
    abilities: Abilities,
    taken: Arc<AtomicU32>,
    received: Queue,
    sent: Queue,
    room: Arc<AtomicU32>,
}

impl NetDevice for TestDevice {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn receive(&mut self, part: &mut dyn FnMut(&[u8])) -> Option<bool> {
        let frame = self.received.lock().unwrap().pop_front()?;
        let (first, second) = frame.split_at(frame.len() / 2);
        part(first);
        part(second);
        Some(false)
    }

    fn transmit(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> bool {
        if self.room.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.room.fetch_sub(1, Ordering::Relaxed);
        let mut frame = vec![0; len];
        let offload = fill(&mut frame);
        self.taken.fetch_add(1, Ordering::Relaxed);
        let frames = offload::finish(&frame, offload);
        self.sent.lock().unwrap().extend(frames);
        true
    }
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) stack: Arc<NetStack>,
    pub(crate) platform: Arc<TestPlatform>,
    pub(crate) port: Port,
}

impl Machine {
    pub(crate) fn new(clock: &Arc<Clock>, number: u8, config: Config) -> Self {
        Self::with(clock, number, config, Abilities::default())
    }

    fn with(clock: &Arc<Clock>, number: u8, config: Config, abilities: Abilities) -> Self {
        let platform = TestPlatform::new(clock, 1000 + u32::from(number));
        let port = Port {
            received: Queue::default(),
            sent: Queue::default(),
            room: Arc::new(AtomicU32::new(u32::MAX)),
            taken: Arc::default(),
        };
        let device = TestDevice {
            mac: [2, 0, 0, 0, 0, number],
            abilities,
            taken: port.taken.clone(),
            received: port.received.clone(),
            sent: port.sent.clone(),
            room: port.room.clone(),
        };
        let stack = NetStack::new(Some(Box::new(device)), platform.clone(), config);
        Self {
            stack,
            platform,
            port,
        }
    }

    pub(crate) fn socket(&self, kind: i32) -> Handle {
        Handle(self.stack.socket(AF_INET, kind, 0).unwrap())
    }

    pub(crate) fn socket6(&self, kind: i32) -> Handle {
        Handle(self.stack.socket(AF_INET6, kind, 0).unwrap())
    }

    /// A TCP socket that listens on all addresses.
    pub(crate) fn listen(&self, port: u16, backlog: i32) -> Handle {
        let socket = self.socket(STREAM);
        socket.bind(Ipv4Addr::UNSPECIFIED, port).unwrap();
        socket.socket().listen(backlog).unwrap();
        socket
    }
}

pub(crate) fn static_config(address: Ipv4Addr) -> Config {
    Config {
        addressing: Addressing::Static {
            address,
            prefix: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 0, 254)),
        },
        ..Config::default()
    }
}

/// Two machines and the wire between them.
pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) a: Machine,
    pub(crate) b: Machine,
    pub(crate) loss_percent: u32,
    pub(crate) reorder_percent: u32,
    pub(crate) latency: u64,
    random: Random,
    /// Frames under way: arrival time, to A or to B, bytes.
    wire: Vec<(u64, bool, Vec<u8>)>,
    pub(crate) delivered: usize,
    /// Loses everything but ARP.
    pub(crate) only_arp: bool,
    /// Every frame sent, if wanted.
    pub(crate) log: Option<Vec<Vec<u8>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(static_config(A), static_config(B))
    }

    pub(crate) fn with(a: Config, b: Config) -> Self {
        Self::between(a, b, Abilities::default())
    }

    /// Two machines whose cards can do something.
    pub(crate) fn of(abilities: Abilities) -> Self {
        Self::between(static_config(A), static_config(B), abilities)
    }

    fn between(a: Config, b: Config, abilities: Abilities) -> Self {
        let clock = Arc::new(Clock::default());
        clock.advance_to(1_000_000);
        Self {
            a: Machine::with(&clock, 1, a, abilities),
            b: Machine::with(&clock, 2, b, abilities),
            clock,
            loss_percent: 0,
            reorder_percent: 0,
            latency: 100,
            random: Random::new(42),
            wire: Vec::new(),
            delivered: 0,
            only_arp: false,
            log: None,
        }
    }

    /// Chooses another course of loss and reordering.
    pub(crate) fn seed(&mut self, seed: u32) {
        self.random = Random::new(seed);
    }

    /// Takes what the machines sent onto the wire.
    pub(crate) fn collect(&mut self) {
        for to_a in [false, true] {
            let sent = if to_a {
                &self.b.port.sent
            } else {
                &self.a.port.sent
            };
            let frames: Vec<_> = sent.lock().unwrap().drain(..).collect();
            for frame in frames {
                if let Some(log) = &mut self.log {
                    log.push(frame.clone());
                }
                if self.only_arp && frame[12..14] != [8, 6] {
                    continue;
                }
                if self.random.percent(self.loss_percent) {
                    continue;
                }
                let late = u64::from(self.random.percent(self.reorder_percent)) * 3;
                let at = self.clock.now() + self.latency * (1 + late);
                self.wire.push((at, to_a, frame));
            }
        }
    }

    /// Delivers what has arrived by now, in order of arrival.
    fn deliver(&mut self) {
        let now = self.clock.now();
        self.wire.sort_by_key(|(at, ..)| *at);
        while self.wire.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, to_a, frame) = self.wire.remove(0);
            let machine = if to_a { &self.a } else { &self.b };
            machine.port.received.lock().unwrap().push_back(frame);
            machine.stack.poll();
            self.delivered += 1;
        }
    }

    /// Moves to the next thing that happens; `false` if nothing will before `limit`.
    pub(crate) fn step(&mut self, limit: u64) -> bool {
        self.collect();
        let arrival = self.wire.iter().map(|(at, ..)| *at).min();
        let deadlines = [&self.a, &self.b].map(|machine| machine.platform.deadline());
        let next = arrival
            .into_iter()
            .chain(deadlines.into_iter().flatten())
            .min();
        let Some(next) = next.filter(|next| *next <= limit) else {
            self.clock.advance_to(limit);
            return false;
        };
        self.clock.advance_to(next);
        self.deliver();
        let now = self.clock.now();
        for machine in [&self.a, &self.b] {
            if machine.platform.deadline().is_some_and(|at| at <= now) {
                machine.stack.poll();
            }
        }
        true
    }

    /// Lets `millis` of virtual time pass.
    pub(crate) fn run(&mut self, millis: u64) {
        let limit = self.clock.now() + millis * 1000;
        while self.step(limit) {}
    }

    /// Runs until `done`, at most `millis`.
    pub(crate) fn run_until(&mut self, millis: u64, mut done: impl FnMut(&Self) -> bool) {
        let limit = self.clock.now() + millis * 1000;
        while !done(self) {
            assert!(self.step(limit), "nothing happened within {millis} ms");
        }
    }

    /// A connection from A to a listener at B.
    pub(crate) fn connect(&mut self, listener: &Handle, port: u16) -> (Handle, Handle) {
        let client = self.a.socket(STREAM);
        assert_eq!(client.connect(B, port), Err(Errno::EINPROGRESS));
        self.run_until(60_000, |_| {
            client.events().contains(Events::OUT) && listener.events().contains(Events::IN)
        });
        assert_eq!(client.error(), 0);
        let server = listener.accept().unwrap();
        (client, server)
    }
}

/// Pushes `data` from one end to the other and checks what arrives.
pub(crate) fn transfer(world: &mut World, from: &Handle, to: &Handle, data: &[u8]) {
    let (mut sent, mut received) = (0, Vec::new());
    let limit = world.clock.now() + 600_000_000;
    while received.len() < data.len() {
        if sent < data.len() {
            match from.write(&data[sent..]) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error, Errno::EAGAIN),
            }
        }
        match to.read(4000) {
            Ok(bytes) => received.extend(bytes),
            Err(error) => {
                assert_eq!(error, Errno::EAGAIN);
                assert!(world.step(limit), "stalled after {} bytes", received.len());
            }
        }
    }
    assert!(received == data, "the content differs");
}

/// An open socket, with shorthands.
pub(crate) struct Handle(pub Arc<dyn File>);

impl Handle {
    pub(crate) fn socket(&self) -> &dyn Socket {
        self.0.as_socket().unwrap()
    }

    pub(crate) fn events(&self) -> Events {
        self.0.poll()
    }

    pub(crate) fn bind(&self, ip: impl Into<IpAddr>, port: u16) -> Result<(), Errno> {
        self.socket().bind(&raw(ip, port))
    }

    pub(crate) fn connect(&self, ip: impl Into<IpAddr>, port: u16) -> Result<(), Errno> {
        self.socket().connect(&raw(ip, port))
    }

    pub(crate) fn accept(&self) -> Result<Self, Errno> {
        self.socket().accept().map(Self)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.0.write(&mut SliceSource(bytes))
    }

    pub(crate) fn read(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut sink = VecSink::new(limit);
        self.0.read(&mut sink)?;
        Ok(sink.into_bytes())
    }

    pub(crate) fn peek(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut sink = VecSink::new(limit);
        self.socket().receive(&mut sink, RecvFlags::PEEK)?;
        Ok(sink.into_bytes())
    }

    pub(crate) fn send_to(
        &self,
        bytes: &[u8],
        ip: impl Into<IpAddr>,
        port: u16,
    ) -> Result<usize, Errno> {
        let address = raw(ip, port);
        let message = SendMessage {
            address: Some(&address),
            ..SendMessage::default()
        };
        self.socket().send(&mut SliceSource(bytes), &message)
    }

    pub(crate) fn receive_from(&self, limit: usize) -> Result<(Vec<u8>, SocketAddr), Errno> {
        let mut sink = VecSink::new(limit);
        let received = self.socket().receive(&mut sink, RecvFlags::empty())?;
        let from = parse_address(&received.address.unwrap()).unwrap();
        Ok((sink.into_bytes(), from))
    }

    pub(crate) fn local(&self) -> SocketAddr {
        parse_address(&self.socket().local_address().unwrap()).unwrap()
    }

    pub(crate) fn error(&self) -> i32 {
        self.option(1, 4)
    }

    pub(crate) fn option(&self, level: i32, name: i32) -> i32 {
        let bytes = self.socket().option(level, name, 4).unwrap();
        i32::from_le_bytes(bytes.try_into().unwrap())
    }

    pub(crate) fn set_option(&self, level: i32, name: i32, value: i32) -> Result<(), Errno> {
        self.socket().set_option(level, name, &value.to_le_bytes())
    }
}

/// A raw socket address; those that are local to the link are about the Ethernet interface.
pub(crate) fn raw(ip: impl Into<IpAddr>, port: u16) -> Vec<u8> {
    match ip.into() {
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.is_multicast() => {
            emit_address(&SocketAddrV6::new(ip, port, 0, 2).into())
        }
        ip => emit_address(&SocketAddr::new(ip, port)),
    }
}

/// The internet checksum (RFC 1071) of `bytes`, on top of the sum `start`.
pub(crate) fn checksum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        rest => u32::from(rest[0]) << 8,
    });
    let mut total = start + words.sum::<u32>();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

/// Counts wake-ups and keeps the last events.
#[derive(Default)]
pub(crate) struct Bell {
    pub(crate) rings: AtomicU32,
    pub(crate) events: AtomicU32,
}

impl Bell {
    pub(crate) fn on(handle: &Handle) -> Arc<Self> {
        let bell = Arc::new(Self::default());
        let waiter: Arc<dyn Waiter> = bell.clone();
        handle.0.wait_queue().unwrap().add(Arc::downgrade(&waiter));
        bell
    }

    pub(crate) fn rings(&self) -> u32 {
        self.rings.load(Ordering::Relaxed)
    }
}

impl Waiter for Bell {
    fn wake(&self, events: Events) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_or(events.bits(), Ordering::Relaxed);
    }
}

/// Bytes that differ everywhere.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}
