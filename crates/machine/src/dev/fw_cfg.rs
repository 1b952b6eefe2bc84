//! Files that the machine's operator passes to the guest (QEMU: `docs/specs/fw_cfg.rst`; OpenBSD
//! vmd has the same device).

use alloc::vec::Vec;

use super::io::Ports;
use super::registers::Registers;

/// Name of the file with more words for the kernel's command line.
pub const COMMAND_LINE: &str = "opt/unibeam/cmdline";

// SAFETY: 0x510..0x512 are the device's selector and data ports; its DMA interface, the only way
// to memory, is at 0x514.
const PORTS: Ports = unsafe { Ports::new(0x510, 2) };

const SELECTOR: usize = 0;
const DATA: usize = 1;
const KEY_SIGNATURE: u16 = 0x00;
const KEY_DIRECTORY: u16 = 0x19;
const SIGNATURE: [u8; 4] = *b"QEMU";
/// Bytes of a directory entry: size (u32), key (u16), reserved (u16), name (56), big-endian.
const ENTRY: usize = 64;
/// Most entries looked at; QEMU itself has some thirty.
const MAX_ENTRIES: u32 = 512;

/// Reads the file `name`; `None` when there is no such device or file, or it is larger than
/// `limit` bytes.
pub fn read(name: &str, limit: usize) -> Option<Vec<u8>> {
    read_from(&PORTS, name, limit)
}

fn read_from(device: &impl Registers, name: &str, limit: usize) -> Option<Vec<u8>> {
    device.write16(SELECTOR, KEY_SIGNATURE);
    if take(device) != SIGNATURE {
        return None;
    }
    let (key, size) = find(device, name)?;
    let size = usize::try_from(size).ok().filter(|&size| size <= limit)?;
    device.write16(SELECTOR, key);
    Some((0..size).map(|_| device.read8(DATA)).collect())
}

/// Key and size of a file.
fn find(device: &impl Registers, name: &str) -> Option<(u16, u32)> {
    device.write16(SELECTOR, KEY_DIRECTORY);
    let count = u32::from_be_bytes(take(device));
    for _ in 0..count.min(MAX_ENTRIES) {
        let entry: [u8; ENTRY] = take(device);
        let size = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let key = u16::from_be_bytes([entry[4], entry[5]]);
        let text = entry[8..].split(|&byte| byte == 0).next();
        if text == Some(name.as_bytes()) {
            return Some((key, size));
        }
    }
    None
}

/// The next bytes of the selected item.
fn take<const N: usize>(device: &impl Registers) -> [u8; N] {
    core::array::from_fn(|_| device.read8(DATA))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::registers::Registers;
    use super::{ENTRY, read_from};

    /// The device: items by key, a cursor.
    struct Fake {
        items: Vec<(u16, Vec<u8>)>,
        selected: RefCell<(u16, usize)>,
    }

    impl Fake {
        fn with(files: &[(&str, &[u8])]) -> Self {
            let mut directory = (files.len() as u32).to_be_bytes().to_vec();
            let mut items = vec![(0, b"QEMU".to_vec())];
            for (index, (name, content)) in files.iter().enumerate() {
                let key = 0x20 + index as u16;
                let mut entry = [0; ENTRY];
                entry[..4].copy_from_slice(&(content.len() as u32).to_be_bytes());
                entry[4..6].copy_from_slice(&key.to_be_bytes());
                entry[8..8 + name.len()].copy_from_slice(name.as_bytes());
                directory.extend(entry);
                items.push((key, content.to_vec()));
            }
            items.push((0x19, directory));
            Self {
                items,
                selected: RefCell::default(),
            }
        }
    }

    impl Registers for Fake {
        fn read8(&self, offset: usize) -> u8 {
            assert_eq!(offset, 1);
            let mut selected = self.selected.borrow_mut();
            let item = self.items.iter().find(|item| item.0 == selected.0);
            let byte = item.and_then(|item| item.1.get(selected.1)).copied();
            selected.1 += 1;
            byte.unwrap_or(0)
        }

        fn write16(&self, offset: usize, value: u16) {
            assert_eq!(offset, 0);
            *self.selected.borrow_mut() = (value, 0);
        }

        fn read16(&self, _: usize) -> u16 {
            panic!("the data port is one byte wide")
        }

        fn read32(&self, _: usize) -> u32 {
            panic!("the data port is one byte wide")
        }

        fn write8(&self, _: usize, _: u8) {
            panic!("the selector is two bytes wide")
        }

        fn write32(&self, _: usize, _: u32) {
            panic!("the selector is two bytes wide")
        }
    }

    #[test]
    fn finds_a_file_by_its_whole_name() {
        let fake = Fake::with(&[("opt/a", b"x"), ("opt/ab", b"two"), ("opt/abc", b"y")]);
        assert_eq!(read_from(&fake, "opt/ab", 16).unwrap(), b"two");
        assert_eq!(read_from(&fake, "opt", 16), None);
    }

    #[test]
    fn refuses_a_file_over_the_limit() {
        let fake = Fake::with(&[("big", &[7; 17])]);
        assert_eq!(read_from(&fake, "big", 16), None);
        assert_eq!(read_from(&fake, "big", 17).unwrap(), [7; 17]);
    }

    #[test]
    fn no_device_no_file() {
        let mut fake = Fake::with(&[("a", b"b")]);
        fake.items[0].1 = vec![0xff; 4];
        assert_eq!(read_from(&fake, "a", 16), None);
    }
}
