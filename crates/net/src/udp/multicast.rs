//! Multicast groups (ip(7), `IP_ADD_MEMBERSHIP`). smoltcp reports them to the network (IGMP).

use core::net::Ipv4Addr;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpAddress;

use crate::core::Core;
use crate::options::SOL_IP;
use crate::slab::Id;

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
            (SOL_IP, uapi::IP_ADD_MEMBERSHIP) => Some(self.join(id, value)),
            (SOL_IP, uapi::IP_DROP_MEMBERSHIP) => Some(self.leave(id, value)),
            _ => None,
        }
    }

    fn join(&mut self, id: Id, request: &[u8]) -> Result<(), Errno> {
        let group = parse_group(request)?;
        if self.udp.groups.contains(&(group, id)) {
            return Err(Errno::EADDRINUSE);
        }
        let link = self.links.ethernet.as_mut().ok_or(Errno::ENODEV)?;
        let joined = link.interface.join_multicast_group(group);
        joined.map_err(|_| Errno::ENOBUFS)?;
        self.udp.groups.push((group, id));
        self.report_groups();
        Ok(())
    }

    fn leave(&mut self, id: Id, request: &[u8]) -> Result<(), Errno> {
        let group = parse_group(request)?;
        let entries = self.udp.groups.iter();
        let position = entries.clone().position(|entry| *entry == (group, id));
        self.udp
            .groups
            .remove(position.ok_or(Errno::EADDRNOTAVAIL)?);
        self.leave_unwanted(group);
        Ok(())
    }

    /// Socket `id` is gone, and with it its memberships.
    pub(crate) fn udp_leave_all(&mut self, id: Id) {
        while let Some(at) = self.udp.groups.iter().position(|(_, member)| *member == id) {
            let (group, _) = self.udp.groups.remove(at);
            self.leave_unwanted(group);
        }
    }

    fn leave_unwanted(&mut self, group: Ipv4Addr) {
        let wanted = self.udp.groups.iter().any(|(other, _)| *other == group);
        if let Some(link) = &mut self.links.ethernet
            && !wanted
        {
            // Fails only for groups that were not joined.
            let _ = link.interface.leave_multicast_group(group);
            self.report_groups();
        }
    }

    /// Lets smoltcp send its membership reports.
    fn report_groups(&mut self) {
        self.egress_nobody();
    }

    /// Whether a socket of this machine wants packets to `address`.
    pub(crate) fn is_joined(&self, address: IpAddress) -> bool {
        let mut groups = self.udp.groups.iter();
        groups.any(|(group, _)| IpAddress::Ipv4(*group) == address)
    }
}

/// The group in a `struct ip_mreq` or `struct ip_mreqn`; there is only one interface to choose.
fn parse_group(request: &[u8]) -> Result<Ipv4Addr, Errno> {
    let request = request.get(..8).ok_or(Errno::EINVAL)?;
    let group = Ipv4Addr::new(request[0], request[1], request[2], request[3]);
    group.is_multicast().then_some(group).ok_or(Errno::EINVAL)
}
