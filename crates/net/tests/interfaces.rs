//! Interfaces as programs ask for them: netlink dumps and ioctls.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use net::emit_address;
use vfs::{Errno, Events};
use world::{A, Bell, Handle, World};

const NETLINK: i32 = 16;
const RAW: i32 = 3;

/// A netlink message as rtnetlink(7) describes it, read without the crate's own code.
#[derive(Debug)]
struct Message {
    kind: u16,
    sequence: u32,
    port: u32,
    body: Vec<u8>,
}

fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let length = word(0) as usize;
        found.push(Message {
            kind: u16::from_le_bytes([bytes[4], bytes[5]]),
            sequence: word(8),
            port: word(12),
            body: bytes[16..length].to_vec(),
        });
        bytes = &bytes[length.next_multiple_of(4)..];
    }
    found
}

impl Message {
    fn attribute(&self, header: usize, kind: u16) -> Option<Vec<u8>> {
        let mut rest = &self.body[header..];
        while rest.len() >= 4 {
            let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
            if u16::from_le_bytes([rest[2], rest[3]]) == kind {
                return Some(rest[4..length].to_vec());
            }
            rest = &rest[length.next_multiple_of(4)..];
        }
        None
    }
}

/// What glibc's getifaddrs(3) sends.
fn dump(kind: u16, sequence: u32) -> Vec<u8> {
    let mut request = 20_u32.to_le_bytes().to_vec();
    request.extend(kind.to_le_bytes());
    request.extend(0x301_u16.to_le_bytes());
    request.extend(sequence.to_le_bytes());
    request.extend([0; 8]);
    request
}

fn netlink(world: &World) -> (Handle, u32) {
    let socket = Handle(world.a.stack.socket(NETLINK, RAW | 0o2_000_000, 0).unwrap());
    let mut address = vec![0; 12];
    address[0] = NETLINK as u8;
    socket.socket().bind(&address).unwrap();
    let local = socket.socket().local_address().unwrap();
    let port = u32::from_le_bytes(local[4..8].try_into().unwrap());
    assert_ne!(port, 0);
    (socket, port)
}

fn ask(socket: &Handle, request: &[u8]) -> Vec<Message> {
    socket.write(request).unwrap();
    messages(&socket.read(8192).unwrap())
}

#[test]
fn links_are_dumped() {
    let world = World::new();
    let (socket, port) = netlink(&world);
    let bell = Bell::on(&socket);
    assert_eq!(socket.events(), Events::OUT);
    socket.write(&dump(18, 5)).unwrap();
    assert_eq!(bell.rings(), 1);
    assert_eq!(socket.events(), Events::OUT | Events::IN);
    let links = messages(&socket.read(8192).unwrap());
    let kinds: Vec<_> = links.iter().map(|link| link.kind).collect();
    assert_eq!(kinds, [16, 16, 3]);
    assert!(
        links
            .iter()
            .all(|link| (link.sequence, link.port) == (5, port))
    );
    assert_eq!(links[0].attribute(16, 3).unwrap(), b"lo\0");
    assert_eq!(links[1].attribute(16, 3).unwrap(), b"eth0\0");
    assert_eq!(links[1].attribute(16, 1).unwrap(), [2, 0, 0, 0, 0, 1]);
    assert_eq!(links[1].attribute(16, 4).unwrap(), 1500_u32.to_le_bytes());
    assert_eq!(links[1].body[4..8], 2_u32.to_le_bytes());
    assert_eq!(links[0].body[8] & 0x49, 0x49, "up, loopback, running");
    assert_eq!(socket.read(100), Err(Errno::EAGAIN));
}

#[test]
fn addresses_are_dumped() {
    let world = World::new();
    let (socket, _) = netlink(&world);
    let all = ask(&socket, &dump(22, 1));
    let families: Vec<_> = all.iter().map(|message| message.body[0]).collect();
    assert_eq!(families, [2, 10, 2, 0]);
    assert_eq!(all[2].body[1], 24);
    assert_eq!(all[2].attribute(8, 2).unwrap(), A.octets());
    assert_eq!(all[2].attribute(8, 4).unwrap(), [10, 0, 0, 255]);
    assert_eq!(all[2].attribute(8, 3).unwrap(), b"eth0\0");
    let mut only_four = dump(22, 2);
    only_four[16] = 2;
    assert_eq!(ask(&socket, &only_four).len(), 3);
}

#[test]
fn routes_are_dumped_and_changes_refused() {
    let world = World::new();
    let (socket, _) = netlink(&world);
    let routes = ask(&socket, &dump(26, 1));
    assert_eq!(routes.len(), 3);
    assert_eq!(routes[0].attribute(12, 5).unwrap(), [10, 0, 0, 254]);
    assert_eq!(routes[1].attribute(12, 1).unwrap(), [10, 0, 0, 0]);
    let refused = ask(&socket, &dump(16, 3));
    let error = i32::from_le_bytes(refused[0].body[..4].try_into().unwrap());
    assert_eq!((refused[0].kind, error), (2, -95));
}

#[test]
fn ioctls_tell_about_interfaces() {
    let world = World::new();
    let ask = |request: u32, name: &str| {
        let mut structure = [0xff; 40];
        structure[..16].fill(0);
        structure[..name.len()].copy_from_slice(name.as_bytes());
        world
            .a
            .stack
            .ioctl(request, &mut structure)
            .map(|()| structure)
    };
    assert_eq!(
        ask(0x8915, "eth0").unwrap()[16..32],
        emit_address(&(A, 0).into())
    );
    assert_eq!(ask(0x891b, "eth0").unwrap()[20..24], [255, 255, 255, 0]);
    assert_eq!(ask(0x8919, "eth0").unwrap()[20..24], [10, 0, 0, 255]);
    assert_eq!(
        ask(0x8927, "eth0").unwrap()[16..24],
        [1, 0, 2, 0, 0, 0, 0, 1]
    );
    assert_eq!(ask(0x8933, "eth0").unwrap()[16..20], [2, 0, 0, 0]);
    assert_eq!(ask(0x8921, "lo").unwrap()[16..20], 65_536_u32.to_le_bytes());
    assert_eq!(ask(0x8913, "lo").unwrap()[16..18], [0x49, 0]);
    assert_eq!(ask(0x8915, "eth9"), Err(Errno::ENODEV));
    assert_eq!(ask(0x5401, "eth0"), Err(Errno::ENOTTY));
    let mut by_index = [0; 40];
    by_index[16] = 1;
    world.a.stack.ioctl(0x8910, &mut by_index).unwrap();
    assert_eq!(by_index[..3], *b"lo\0");
    let list = world.a.stack.interface_config();
    assert_eq!(list.len(), 80);
    assert_eq!(list[60..64], A.octets());
}
