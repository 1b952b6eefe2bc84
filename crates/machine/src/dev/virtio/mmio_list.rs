//! Devices in memory as hypervisors name them on the command line, in Linux's grammar
//! (`Documentation/admin-guide/kernel-parameters.txt`): `SIZE@BASE:IRQ[:ID]`.

/// Registers of one device, and the interrupt input it is wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// Physical address.
    pub(super) base: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Number among all interrupt inputs.
    pub(super) input: u32,
}

/// Reads the value of one `virtio_mmio.device=`.
pub(super) fn parse_region(text: &str) -> Option<Region> {
    let (size, rest) = text.split_once('@')?;
    let mut parts = rest.split(':');
    let base = number(parts.next()?)?;
    let input = u32::try_from(number(parts.next()?)?).ok()?;
    Some(Region {
        base,
        size: number(size)?,
        input,
    })
}

/// A decimal or `0x` number, perhaps followed by K, M or G.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    value.ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::{Region, parse_region};

    #[test]
    fn reads_what_qemu_and_firecracker_write() {
        let region = |base, size, input| Some(Region { base, size, input });
        assert_eq!(
            parse_region("512@0xfeb00e00:12"),
            region(0xfeb0_0e00, 512, 12)
        );
        assert_eq!(
            parse_region("4K@0xd0000000:5"),
            region(0xd000_0000, 4096, 5)
        );
        assert_eq!(parse_region("0x200@0x1000:7:3"), region(0x1000, 512, 7));
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "512",
            "512@",
            "512@0x10",
            "@1:2",
            "4Q@1:2",
            "1@2:-3",
            "99999999999G@1:2",
        ] {
            assert_eq!(parse_region(text), None, "{text}");
        }
    }
}
