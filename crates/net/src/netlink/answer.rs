//! The answers to requests.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_UNSPEC};
use linux_abi::raw::netlink as uapi;

use super::message::{Header, Writer, split};
use crate::control::Interface;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

const NLMSG_ERROR: u16 = uapi::NLMSG_ERROR as u16;
const NLMSG_DONE: u16 = uapi::NLMSG_DONE as u16;
/// Messages below carry no request (linux/netlink.h, `NLMSG_MIN_TYPE`).
const FIRST_REQUEST: u16 = 16;
const NLM_F_MULTI: u16 = uapi::NLM_F_MULTI as u16;
const NLM_F_ACK: u16 = uapi::NLM_F_ACK as u16;
const NLM_F_REQUEST: u16 = uapi::NLM_F_REQUEST as u16;
const NLM_F_DUMP: u16 = uapi::NLM_F_DUMP as u16;

/// Attributes (linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h).
const IFLA_ADDRESS: u16 = 1;
const IFLA_BROADCAST: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;

/// `IF_OPER_UNKNOWN` (loopback) and `IF_OPER_UP`.
const STATE_UNKNOWN: u8 = 0;
const STATE_UP: u8 = 6;
/// `IFA_F_PERMANENT`.
const PERMANENT: u8 = 0x80;
/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_LINK`, `RT_SCOPE_HOST`.
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
/// `RT_TABLE_MAIN`, `RTN_UNICAST`.
const TABLE_MAIN: u8 = 254;
const UNICAST: u8 = 1;

/// What there is to tell.
pub(crate) struct Facts {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) gateway6: Option<Ipv6Addr>,
}

/// Answers all requests in a datagram from the socket with netlink address `port`: one datagram
/// for each.
pub(crate) fn answer(mut requests: &[u8], port: u32, facts: &Facts) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    while let Some((header, body, rest)) = split(requests) {
        requests = rest;
        if header.flags & NLM_F_REQUEST != 0 && header.kind >= FIRST_REQUEST {
            answers.push(answer_one(&header, body, port, facts));
        }
    }
    answers
}

fn answer_one(header: &Header, body: &[u8], port: u32, facts: &Facts) -> Vec<u8> {
    let mut writer = Writer::new(header.sequence, port);
    let family = u32::from(body.first().copied().unwrap_or(0));
    let dump = header.flags & NLM_F_DUMP != 0;
    match header.kind {
        RTM_GETLINK if dump => write_links(&mut writer, &facts.interfaces),
        RTM_GETLINK => return one_link(writer, header, body, facts),
        RTM_GETADDR if dump => write_addresses(&mut writer, &facts.interfaces, family),
        RTM_GETROUTE if dump => write_routes(&mut writer, facts, family),
        _ => return failure(writer, header, Some(Errno::EOPNOTSUPP)),
    }
    writer.begin(NLMSG_DONE, NLM_F_MULTI, &0_u32.to_le_bytes());
    writer.finish()
}

/// The link with the index of the request's `struct ifinfomsg`.
fn one_link(mut writer: Writer, header: &Header, body: &[u8], facts: &Facts) -> Vec<u8> {
    let field = body.get(4..8).unwrap_or(&[0; 4]);
    let mut interfaces = facts.interfaces.iter();
    let found = interfaces.find(|interface| interface.index.to_le_bytes() == field);
    let Some(interface) = found else {
        return failure(writer, header, Some(Errno::ENODEV));
    };
    write_link(&mut writer, interface, 0);
    if header.flags & NLM_F_ACK != 0 {
        return failure(writer, header, None);
    }
    writer.finish()
}

/// Appends an error message, or with `None` a confirmation: the negative number, then the header
/// of the request.
fn failure(mut writer: Writer, header: &Header, error: Option<Errno>) -> Vec<u8> {
    let number = error.map_or(0, |error| -i32::from(error.number()));
    let mut body = number.to_le_bytes().to_vec();
    body.extend_from_slice(&header.emit());
    writer.begin(NLMSG_ERROR, 0, &body);
    writer.finish()
}

fn write_links(writer: &mut Writer, interfaces: &[Interface]) {
    for interface in interfaces {
        write_link(writer, interface, NLM_F_MULTI);
    }
}

/// `struct ifinfomsg`: family u8 | pad u8 | type u16 | index i32 | flags u32 | change u32.
fn write_link(writer: &mut Writer, interface: &Interface, flags: u16) {
    let mut body = Vec::with_capacity(16);
    body.extend_from_slice(&[AF_UNSPEC as u8, 0]);
    body.extend_from_slice(&interface.kind.to_le_bytes());
    body.extend_from_slice(&interface.index.to_le_bytes());
    body.extend_from_slice(&interface.flags.to_le_bytes());
    body.extend_from_slice(&u32::MAX.to_le_bytes());
    writer.begin(RTM_NEWLINK, flags, &body);
    writer.attribute(IFLA_IFNAME, &text(interface.name));
    writer.attribute(IFLA_TXQLEN, &1000_u32.to_le_bytes());
    let state = match interface.is_ethernet() {
        true => STATE_UP,
        false => STATE_UNKNOWN,
    };
    writer.attribute(IFLA_OPERSTATE, &[state]);
    writer.attribute(IFLA_MTU, &interface.mtu.to_le_bytes());
    writer.attribute(IFLA_ADDRESS, &interface.mac);
    writer.attribute(IFLA_BROADCAST, &interface.broadcast_mac());
}

fn write_addresses(writer: &mut Writer, interfaces: &[Interface], family: u32) {
    for interface in interfaces {
        if let Some((address, prefix)) = interface.inet
            && matches!(family, AF_UNSPEC | AF_INET)
        {
            let scope = match address.is_loopback() {
                true => SCOPE_HOST,
                false => SCOPE_UNIVERSE,
            };
            begin_address(writer, AF_INET, prefix, scope, interface.index);
            writer.attribute(IFA_ADDRESS, &address.octets());
            writer.attribute(IFA_LOCAL, &address.octets());
            if let Some(broadcast) = interface.broadcast() {
                writer.attribute(IFA_BROADCAST, &broadcast.octets());
            }
            writer.attribute(IFA_LABEL, &text(interface.name));
        }
        let wants6 = matches!(family, AF_UNSPEC | AF_INET6);
        for (address, prefix) in interface.inet6.iter().filter(|_| wants6) {
            let scope = match address {
                address if address.is_loopback() => SCOPE_HOST,
                address if address.is_unicast_link_local() => SCOPE_LINK,
                _ => SCOPE_UNIVERSE,
            };
            begin_address(writer, AF_INET6, *prefix, scope, interface.index);
            writer.attribute(IFA_ADDRESS, &address.octets());
        }
    }
}

/// `struct ifaddrmsg`: family u8 | prefix u8 | flags u8 | scope u8 | index u32.
fn begin_address(writer: &mut Writer, family: u32, prefix: u8, scope: u8, index: u32) {
    let mut body = Vec::from([family as u8, prefix, PERMANENT, scope]);
    body.extend_from_slice(&index.to_le_bytes());
    writer.begin(RTM_NEWADDR, NLM_F_MULTI, &body);
}

/// The routes to the Ethernet interface's networks, and the default routes.
fn write_routes(writer: &mut Writer, facts: &Facts, family: u32) {
    let ethernet = facts.interfaces.iter();
    for interface in ethernet.filter(|interface| interface.is_ethernet()) {
        if matches!(family, AF_UNSPEC | AF_INET) {
            write_routes_v4(writer, facts, interface);
        }
        if matches!(family, AF_UNSPEC | AF_INET6) {
            write_routes_v6(writer, facts, interface);
        }
    }
}

fn write_routes_v4(writer: &mut Writer, facts: &Facts, interface: &Interface) {
    let Some((address, prefix)) = interface.inet else {
        return;
    };
    if let Some(gateway) = facts.gateway {
        begin_route(writer, AF_INET, 0, SCOPE_UNIVERSE, interface.index);
        writer.attribute(RTA_GATEWAY, &gateway.octets());
    }
    let network = u32::from(address) & crate::control::mask(prefix);
    begin_route(writer, AF_INET, prefix, SCOPE_LINK, interface.index);
    writer.attribute(RTA_DST, &network.to_be_bytes());
    writer.attribute(RTA_PREFSRC, &address.octets());
}

/// The scope of IPv6 routes is always the universe.
fn write_routes_v6(writer: &mut Writer, facts: &Facts, interface: &Interface) {
    for (address, prefix) in &interface.inet6 {
        let mask = u128::MAX.checked_shl(128 - u32::from(*prefix)).unwrap_or(0);
        begin_route(writer, AF_INET6, *prefix, SCOPE_UNIVERSE, interface.index);
        writer.attribute(RTA_DST, &(address.to_bits() & mask).to_be_bytes());
    }
    if let Some(gateway) = facts.gateway6 {
        begin_route(writer, AF_INET6, 0, SCOPE_UNIVERSE, interface.index);
        writer.attribute(RTA_GATEWAY, &gateway.octets());
    }
}

/// `struct rtmsg`: family u8 | destination bits u8 | source bits u8 | tos u8 | table u8 |
/// protocol u8 | scope u8 | type u8 | flags u32; then the interface.
fn begin_route(writer: &mut Writer, family: u32, bits: u8, scope: u8, index: u32) {
    let protocol = uapi::RTPROT_KERNEL as u8;
    let fields = [
        family as u8,
        bits,
        0,
        0,
        TABLE_MAIN,
        protocol,
        scope,
        UNICAST,
    ];
    let mut body = Vec::from(fields);
    body.extend_from_slice(&0_u32.to_le_bytes());
    writer.begin(RTM_NEWROUTE, NLM_F_MULTI, &body);
    writer.attribute(RTA_OIF, &index.to_le_bytes());
}

/// A name with its final zero.
fn text(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
