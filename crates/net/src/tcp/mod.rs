//! TCP sockets.
//!
//! [`block`] is the state of one socket; [`ingress`] brings segments to it, [`egress`] lets it
//! send, [`lifecycle`] opens and closes, [`transfer`] moves data; [`socket`] is what a descriptor
//! refers to.

pub(crate) mod block;
mod egress;
mod info;
mod ingress;
mod lifecycle;
pub(crate) mod listener;
pub(crate) mod probe;
pub(crate) mod settings;
pub(crate) mod socket;
pub(crate) mod table;
pub(crate) mod time_wait;
mod transfer;
