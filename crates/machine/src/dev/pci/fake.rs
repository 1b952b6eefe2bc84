//! A configuration space for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Address, ConfigSpace};

/// Configuration spaces of some functions.
#[derive(Default)]
pub(crate) struct Fake(RefCell<BTreeMap<(u8, u8, u8), [u32; 64]>>);

impl Fake {
    /// Adds a function whose words at these offsets are not 0.
    pub(crate) fn add(
        &self,
        (bus, device, function): (u8, u8, u8),
        words: &[(u8, u32)],
    ) -> Address {
        let mut space = [0; 64];
        for &(offset, word) in words {
            space[usize::from(offset) / 4] = word;
        }
        self.0.borrow_mut().insert((bus, device, function), space);
        Address {
            bus,
            device,
            function,
        }
    }
}

impl ConfigSpace for Fake {
    fn read(&self, address: Address, offset: u8) -> u32 {
        let key = (address.bus, address.device, address.function);
        assert_eq!(offset % 4, 0);
        self.0
            .borrow()
            .get(&key)
            .map_or(u32::MAX, |space| space[usize::from(offset) / 4])
    }

    fn write(&self, address: Address, offset: u8, value: u32) {
        let key = (address.bus, address.device, address.function);
        self.0.borrow_mut().get_mut(&key).unwrap()[usize::from(offset) / 4] = value;
    }
}
