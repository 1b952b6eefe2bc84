//! UDP sockets.
//!
//! [`state`] is one socket and the table of all; [`delivery`] brings datagrams to sockets,
//! [`sending`] takes them from there and [`packet`] writes them into frames; [`multicast`] keeps
//! the groups, [`ancillary`] is what comes with datagrams; [`socket`] is what a descriptor refers to. Datagrams to ourselves go straight from
//! one to the other.

mod ancillary;
mod delivery;
mod multicast;
mod packet;
mod sending;
pub(crate) mod socket;
pub(crate) mod state;
