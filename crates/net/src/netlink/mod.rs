//! Routing netlink sockets (netlink(7), rtnetlink(7)): interfaces, addresses and routes as
//! getifaddrs(3) and if_nameindex(3) ask for them. Nothing can be changed this way.

mod answer;
mod message;
pub(crate) mod socket;
