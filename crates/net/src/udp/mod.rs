//! UDP sockets.
//!
//! [`state`] is one socket and the table of all; [`delivery`] brings datagrams to sockets,
//! [`sending`] takes them from there;
//! [`multicast`] keeps the groups; [`socket`] is what a descriptor refers to. Datagrams to
//! ourselves go straight from one to the other. smoltcp sends the rest, because it knows the
//! neighbours' hardware addresses.

mod carrier;
mod delivery;
mod multicast;
mod sending;
pub(crate) mod socket;
pub(crate) mod state;
