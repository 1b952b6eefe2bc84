//! Interfaces as programs see them: the list, the `SIOCGIF*` ioctls (netdevice(7)) and `FIONREAD`.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use linux_abi::raw::ioctl as uapi;
use vfs::File;

use crate::address::emit_address;
use crate::link::LinkName;
use crate::netlink::socket::NetlinkSocket;
use crate::stack::NetStack;
use crate::tcp::socket::TcpSocket;
use crate::udp::socket::UdpSocket;

/// What Linux reports as MTU of `lo`.
const LOOPBACK_MTU: u32 = 65_536;
/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` (linux/if_arp.h).
const TYPE_ETHERNET: u16 = 1;
const TYPE_LOOPBACK: u16 = 772;
/// `IFF_*` (linux/if.h): up, running, and the carrier is there.
const FLAGS_UP: u32 = 0x1 | 0x40 | 0x1_0000;
const FLAG_BROADCAST: u32 = 0x2;
const FLAG_LOOPBACK: u32 = 0x8;
const FLAG_MULTICAST: u32 = 0x1000;

/// `struct ifreq`: the name, then a union.
const NAME_SIZE: usize = 16;
const REQUEST_SIZE: usize = 40;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `lo` or `eth0`.
    pub name: &'static str,
    /// Index, from 1.
    pub index: u32,
    /// `IFF_*` flags.
    pub flags: u32,
    /// The largest IP packet in bytes.
    pub mtu: u32,
    /// `ARPHRD_*` type.
    pub kind: u16,
    /// Hardware address.
    pub mac: [u8; 6],
    /// IPv4 address and number of network bits.
    pub inet: Option<(Ipv4Addr, u8)>,
    /// IPv6 addresses and their numbers of network bits.
    pub inet6: Vec<(Ipv6Addr, u8)>,
}

impl Interface {
    fn loopback() -> Self {
        Self {
            name: LinkName::Loopback.name(),
            index: LinkName::Loopback.index(),
            flags: FLAGS_UP | FLAG_LOOPBACK,
            mtu: LOOPBACK_MTU,
            kind: TYPE_LOOPBACK,
            mac: [0; 6],
            inet: Some((Ipv4Addr::LOCALHOST, 8)),
            inet6: Vec::from([(Ipv6Addr::LOCALHOST, 128)]),
        }
    }

    pub(crate) fn is_ethernet(&self) -> bool {
        self.kind == TYPE_ETHERNET
    }

    /// The broadcast address of an Ethernet interface.
    pub(crate) fn broadcast(&self) -> Option<Ipv4Addr> {
        let (address, prefix) = self.inet.filter(|_| self.is_ethernet())?;
        Some(Ipv4Addr::from(u32::from(address) | !mask(prefix)))
    }

    /// The hardware address that reaches everyone.
    pub(crate) fn broadcast_mac(&self) -> [u8; 6] {
        match self.is_ethernet() {
            true => [0xff; 6],
            false => [0; 6],
        }
    }
}

/// The network mask of `prefix` bits.
pub(crate) fn mask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0)
}

/// How many bytes a socket of this crate holds for reading (`FIONREAD`); `None` for other files.
pub fn readable_bytes(file: &dyn File) -> Option<usize> {
    let file = file.as_any();
    if let Some(socket) = file.downcast_ref::<TcpSocket>() {
        return Some(socket.readable());
    }
    if let Some(socket) = file.downcast_ref::<UdpSocket>() {
        return Some(socket.readable());
    }
    let socket = file.downcast_ref::<NetlinkSocket>()?;
    Some(socket.readable())
}

impl NetStack {
    /// The interfaces in order of their index.
    pub fn interfaces(&self) -> Vec<Interface> {
        let mut interfaces = Vec::from([Interface::loopback()]);
        self.look(|core| {
            if let Some(link) = &core.links.ethernet {
                interfaces.push(Interface {
                    name: LinkName::Ethernet.name(),
                    index: LinkName::Ethernet.index(),
                    flags: FLAGS_UP | FLAG_BROADCAST | FLAG_MULTICAST,
                    mtu: link.ip_mtu() as u32,
                    kind: TYPE_ETHERNET,
                    mac: link.mac(),
                    inet: core.status.address,
                    inet6: core.status.addresses6.clone(),
                });
            }
        });
        interfaces
    }

    /// The `struct ifreq` array that `SIOCGIFCONF` returns: name and IPv4 address of each interface
    /// that has one, 40 bytes each. The caller copies it to where its `struct ifconf` points.
    pub fn interface_config(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for interface in self.interfaces() {
            if let Some((address, _)) = interface.inet {
                let mut entry = [0; REQUEST_SIZE];
                put_name(&mut entry, interface.name);
                put(&mut entry, &socket_address(address));
                entries.extend_from_slice(&entry);
            }
        }
        entries
    }

    /// A `SIOCGIF*` request other than `SIOCGIFCONF`, on a `struct ifreq` (40 bytes).
    ///
    /// # Errors
    /// `EFAULT` for a shorter structure, `ENODEV` for an unknown interface, `EADDRNOTAVAIL` if it
    /// has no address, `ENOTTY` for any other request.
    pub fn ioctl(&self, request: u32, structure: &mut [u8]) -> Result<(), Errno> {
        let structure = structure.get_mut(..REQUEST_SIZE).ok_or(Errno::EFAULT)?;
        let interfaces = self.interfaces();
        if request == uapi::SIOCGIFNAME {
            let index =
                u32::from_le_bytes([structure[16], structure[17], structure[18], structure[19]]);
            let mut found = interfaces.iter();
            let found = found.find(|interface| interface.index == index);
            put_name(structure, found.ok_or(Errno::ENODEV)?.name);
            return Ok(());
        }
        let wanted = name(structure);
        let mut found = interfaces.iter();
        let found = found.find(|interface| interface.name.as_bytes() == wanted);
        let value = answer(request, found)?;
        put(structure, &value);
        Ok(())
    }
}

/// The union part of the `struct ifreq` that answers `request`.
fn answer(request: u32, interface: Option<&Interface>) -> Result<Vec<u8>, Errno> {
    let is_known = matches!(
        request,
        uapi::SIOCGIFFLAGS
            | uapi::SIOCGIFINDEX
            | uapi::SIOCGIFMTU
            | uapi::SIOCGIFHWADDR
            | uapi::SIOCGIFMETRIC
            | uapi::SIOCGIFTXQLEN
            | uapi::SIOCGIFADDR
            | uapi::SIOCGIFDSTADDR
            | uapi::SIOCGIFBRDADDR
            | uapi::SIOCGIFNETMASK
    );
    if !is_known {
        return Err(Errno::ENOTTY);
    }
    let interface = interface.ok_or(Errno::ENODEV)?;
    let address = || interface.inet.ok_or(Errno::EADDRNOTAVAIL);
    Ok(match request {
        // The field is a short.
        uapi::SIOCGIFFLAGS => (interface.flags as u16).to_le_bytes().to_vec(),
        uapi::SIOCGIFINDEX => interface.index.to_le_bytes().to_vec(),
        uapi::SIOCGIFMTU => interface.mtu.to_le_bytes().to_vec(),
        uapi::SIOCGIFHWADDR => hardware_address(interface),
        uapi::SIOCGIFMETRIC => 0_u32.to_le_bytes().to_vec(),
        uapi::SIOCGIFTXQLEN => 1000_u32.to_le_bytes().to_vec(),
        uapi::SIOCGIFNETMASK => socket_address(mask(address()?.1).into()),
        uapi::SIOCGIFBRDADDR => {
            address()?;
            socket_address(interface.broadcast().unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        _ => socket_address(address()?.0),
    })
}

fn hardware_address(interface: &Interface) -> Vec<u8> {
    let mut bytes = interface.kind.to_le_bytes().to_vec();
    bytes.extend_from_slice(&interface.mac);
    bytes
}

fn socket_address(address: Ipv4Addr) -> Vec<u8> {
    emit_address(&(address, 0).into())
}

/// The name in a `struct ifreq`.
fn name(structure: &[u8]) -> &[u8] {
    let field = &structure[..NAME_SIZE];
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(NAME_SIZE)]
}

fn put_name(structure: &mut [u8], name: &str) {
    structure[..NAME_SIZE].fill(0);
    structure[..name.len()].copy_from_slice(name.as_bytes());
}

/// Fills the union of a `struct ifreq`.
fn put(structure: &mut [u8], value: &[u8]) {
    structure[NAME_SIZE..].fill(0);
    structure[NAME_SIZE..NAME_SIZE + value.len()].copy_from_slice(value);
}
