//! The list of capabilities in a function's configuration space (PCI 3.0 §6.7).

use super::{Address, COMMAND, ConfigSpace};

const STATUS_HAS_LIST: u32 = 1 << 20;
const POINTER: u8 = 0x34;
/// First offset at which a capability can be.
const FIRST: u8 = 0x40;
/// Most capabilities that fit, so that a list in a circle ends.
const MOST: usize = 48;

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    /// What it is.
    pub(crate) id: u8,
    /// Where it is in the configuration space.
    pub(crate) offset: u8,
    /// The 16 bits after identifier and link.
    pub(crate) header: u16,
}

/// The capabilities of the function at `address`, in their order.
pub(crate) fn capabilities(
    space: &impl ConfigSpace,
    address: Address,
) -> impl Iterator<Item = Capability> {
    let has_list = space.read(address, COMMAND) & STATUS_HAS_LIST != 0;
    let mut next = if has_list {
        space.read(address, POINTER) as u8 & !3
    } else {
        0
    };
    let mut left = MOST;
    core::iter::from_fn(move || {
        if next < FIRST || left == 0 {
            return None;
        }
        let word = space.read(address, next);
        let [id, link, ..] = word.to_le_bytes();
        let capability = Capability {
            id,
            offset: next,
            header: (word >> 16) as u16,
        };
        next = link & !3;
        left -= 1;
        Some(capability)
    })
}
