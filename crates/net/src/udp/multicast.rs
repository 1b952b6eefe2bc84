//! Multicast groups (ip(7), `IP_ADD_MEMBERSHIP`; ipv6(7), `IPV6_ADD_MEMBERSHIP`). smoltcp reports
//! them to the network (IGMP, MLD).

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpAddress;

use super::state::UdpState;
use crate::core::Core;
use crate::link::LinkName;
use crate::options::{SOL_IP, SOL_IPV6};
use crate::slab::Id;

/// A socket is in a group, on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    group: IpAddress,
    link: LinkName,
    socket: Id,
}

impl Core {
    /// setsockopt(2) for the options about groups; `None` if it is another option.
    pub(crate) fn udp_set_group(
        &mut self,
        id: Id,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Option<Result<(), Errno>> {
        match (level, name as u32) {
            (SOL_IP, uapi::IP_ADD_MEMBERSHIP) | (SOL_IPV6, uapi::IPV6_ADD_MEMBERSHIP) => {
                Some(self.membership(id, level, value).and_then(|m| self.join(m)))
            }
            (SOL_IP, uapi::IP_DROP_MEMBERSHIP) | (SOL_IPV6, uapi::IPV6_DROP_MEMBERSHIP) => Some(
                self.membership(id, level, value)
                    .and_then(|m| self.leave(m)),
            ),
            (SOL_IP, uapi::IP_MULTICAST_IF) => Some(self.choose_link(id, value)),
            (SOL_IPV6, uapi::IPV6_MULTICAST_IF) => {
                let index = word(value, 0).unwrap_or(0);
                // The index itself is kept with the other options.
                let exists = index == 0 || self.link_of_index(index).is_some();
                (!exists).then_some(Err(Errno::ENODEV))
            }
            _ => None,
        }
    }

    /// Reads a `struct ip_mreq`, `struct ip_mreqn` or `struct ipv6_mreq`.
    fn membership(&self, socket: Id, level: i32, request: &[u8]) -> Result<Membership, Errno> {
        let (group, link) = match level {
            SOL_IP => {
                let group = address(request, 0)?;
                (
                    IpAddress::Ipv4(group),
                    self.link_in(request.get(4..).unwrap_or(&[]))?,
                )
            }
            _ => {
                let group: [u8; 16] = *request.first_chunk().ok_or(Errno::EINVAL)?;
                let index = word(request, 16).ok_or(Errno::EINVAL)?;
                (
                    IpAddress::Ipv6(Ipv6Addr::from(group)),
                    self.link_of_index(index),
                )
            }
        };
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        Ok(Membership {
            group,
            link: link.ok_or(Errno::ENODEV)?,
            socket,
        })
    }

    /// The interface named by an address and, in the longer form, an index.
    fn link_in(&self, bytes: &[u8]) -> Result<Option<LinkName>, Errno> {
        let own = address(bytes, 0)?;
        Ok(match word(bytes, 4) {
            Some(index @ 1..) => self.link_of_index(index),
            _ if own.is_unspecified() => self.link_of_index(0),
            _ if own.is_loopback() => Some(LinkName::Loopback),
            _ => self
                .is_own_address(LinkName::Ethernet, own.into())
                .then_some(LinkName::Ethernet),
        })
    }

    /// The interface with an index; zero stands for the one that groups are on by default.
    pub(crate) fn link_of_index(&self, index: u32) -> Option<LinkName> {
        let has_ethernet = self.links.ethernet.is_some();
        match LinkName::of_index(index) {
            _ if index == 0 => has_ethernet.then_some(LinkName::Ethernet),
            Some(LinkName::Ethernet) if !has_ethernet => None,
            link => link,
        }
    }

    /// `IP_MULTICAST_IF`: just an address, or one of the structures above.
    fn choose_link(&mut self, id: Id, value: &[u8]) -> Result<(), Errno> {
        let interface = match value.len() {
            8.. => &value[4..],
            _ => value,
        };
        let own = address(interface, 0)?;
        let link = self.link_in(interface)?.ok_or(Errno::EADDRNOTAVAIL)?;
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        socket.group_link = Some(link);
        socket
            .inet
            .options
            .set(SOL_IP, uapi::IP_MULTICAST_IF as i32, &own.octets())
    }

    fn join(&mut self, membership: Membership) -> Result<(), Errno> {
        if self.udp.groups.contains(&membership) {
            return Err(Errno::EADDRINUSE);
        }
        if membership.link == LinkName::Ethernet {
            let link = self.links.ethernet.as_mut().ok_or(Errno::ENODEV)?;
            let joined = link.interface.join_multicast_group(membership.group);
            joined.map_err(|_| Errno::ENOBUFS)?;
        }
        self.udp.groups.push(membership);
        self.report_groups();
        Ok(())
    }

    fn leave(&mut self, membership: Membership) -> Result<(), Errno> {
        let position = self
            .udp
            .groups
            .iter()
            .position(|other| *other == membership);
        let position = position.ok_or(Errno::EADDRNOTAVAIL)?;
        self.udp.groups.remove(position);
        self.leave_unwanted(membership);
        Ok(())
    }

    /// Socket `id` is gone, and with it its memberships.
    pub(crate) fn udp_leave_all(&mut self, id: Id) {
        let is_own = |membership: &Membership| membership.socket == id;
        while let Some(at) = self.udp.groups.iter().position(is_own) {
            let membership = self.udp.groups.remove(at);
            self.leave_unwanted(membership);
        }
    }

    fn leave_unwanted(&mut self, left: Membership) {
        let mut others = self.udp.groups.iter();
        let wanted = others.any(|other| (other.group, other.link) == (left.group, left.link));
        if let Some(link) = &mut self.links.ethernet
            && left.link == LinkName::Ethernet
            && !wanted
        {
            // Fails only for groups that were not joined.
            let _ = link.interface.leave_multicast_group(left.group);
            self.report_groups();
        }
    }

    /// Lets smoltcp send its membership reports.
    fn report_groups(&mut self) {
        self.egress_nobody();
    }

    /// The sockets that joined `group` on `link`.
    pub(crate) fn group_members(&self, link: LinkName, group: IpAddress) -> Vec<Id> {
        let members = self.udp.groups.iter();
        members
            .filter(|member| (member.group, member.link) == (group, link))
            .map(|member| member.socket)
            .collect()
    }

    /// The interface by which `socket` sends to a group: as the address says, or the socket's
    /// option, or the default.
    pub(crate) fn group_link(
        &self,
        socket: &UdpState,
        group: IpAddress,
        scope: u32,
    ) -> Result<LinkName, Errno> {
        let link = match group {
            _ if socket.inet.device.is_some() => socket.inet.device,
            IpAddress::Ipv4(_) => socket.group_link.or(self.link_of_index(0)),
            IpAddress::Ipv6(_) if scope != 0 => self.link_of_index(scope),
            IpAddress::Ipv6(_) => {
                let index = socket.inet.options.value(SOL_IPV6, uapi::IPV6_MULTICAST_IF);
                self.link_of_index(index as u32)
            }
        };
        match (group, link) {
            // As on Linux, no route leads to groups of IPv6 by the loopback interface.
            (_, None) | (IpAddress::Ipv6(_), Some(LinkName::Loopback)) => Err(Errno::ENETUNREACH),
            (_, Some(link)) => Ok(link),
        }
    }
}

fn address(bytes: &[u8], at: usize) -> Result<Ipv4Addr, Errno> {
    let octets: Option<&[u8; 4]> = bytes.get(at..).and_then(<[u8]>::first_chunk);
    octets
        .map(|octets| Ipv4Addr::from(*octets))
        .ok_or(Errno::EINVAL)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
