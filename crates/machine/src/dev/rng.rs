//! Random numbers from the CPU and from a virtio device, for seeding the kernel's generator.

use alloc::boxed::Box;

use super::instructions::{cpuid, rdrand, rdseed};
use super::virtio::Entropy;

/// Attempts for each word; Intel says that ten are enough for RDRAND ("Digital Random Number
/// Generator software implementation guide", §5.2.1); RDSEED may need more.
const ATTEMPTS: u32 = 100;

/// What this machine offers.
pub struct EntropySources {
    has_rdseed: bool,
    has_rdrand: bool,
    device: Option<Box<dyn Entropy>>,
}

impl EntropySources {
    pub(super) fn new(device: Option<Box<dyn Entropy>>) -> Self {
        Self {
            has_rdseed: cpuid(7).is_some_and(|leaf| leaf.ebx & 1 << 18 != 0),
            has_rdrand: cpuid(1).is_some_and(|leaf| leaf.ecx & 1 << 30 != 0),
            device,
        }
    }

    /// Mixes random bytes from every source into `out`. False when not even one source could give
    /// all the bytes: the machine has none, and `out` must not be trusted.
    pub fn mix_into(&mut self, out: &mut [u8]) -> bool {
        let by_cpu = self.mix_cpu(out);
        let by_device = self.mix_device(out);
        by_cpu || by_device
    }

    /// Names of the sources, for the log.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let known = [
            ("rdseed", self.has_rdseed),
            ("rdrand", self.has_rdrand),
            ("virtio-rng", self.device.is_some()),
        ];
        known
            .into_iter()
            .filter(|(_, present)| *present)
            .map(|(name, _)| name)
    }

    fn mix_cpu(&self, out: &mut [u8]) -> bool {
        out.chunks_mut(8).all(|chunk| {
            self.word().is_some_and(|word| {
                mix(chunk, &word.to_le_bytes());
                true
            })
        })
    }

    fn word(&self) -> Option<u64> {
        // SAFETY: called only where CPUID says that the instruction exists.
        let seed = || self.has_rdseed.then(|| unsafe { rdseed() }).flatten();
        // SAFETY: called only where CPUID says that the instruction exists.
        let random = || self.has_rdrand.then(|| unsafe { rdrand() }).flatten();
        (0..ATTEMPTS).find_map(|_| seed().or_else(random))
    }

    fn mix_device(&mut self, out: &mut [u8]) -> bool {
        let Some(device) = &mut self.device else {
            return false;
        };
        let mut rest = out;
        while !rest.is_empty() {
            let mut bytes = [0; 64];
            let wanted = rest.len().min(bytes.len());
            let count = device.read(&mut bytes[..wanted]);
            if count == 0 {
                self.device = None;
                return false;
            }
            let (now, later) = rest.split_at_mut(count);
            mix(now, &bytes);
            rest = later;
        }
        true
    }
}

fn mix(out: &mut [u8], bytes: &[u8]) {
    for (byte, random) in out.iter_mut().zip(bytes) {
        *byte ^= random;
    }
}

#[cfg(test)]
mod tests {
    use super::super::virtio::Entropy;
    use super::EntropySources;

    /// Gives 1, 2, 3, … in small portions, then nothing.
    struct Counter {
        next: u8,
        left: usize,
    }

    impl Entropy for Counter {
        fn read(&mut self, out: &mut [u8]) -> usize {
            let count = out.len().min(3).min(self.left);
            for byte in &mut out[..count] {
                self.next += 1;
                *byte = self.next;
            }
            self.left -= count;
            count
        }
    }

    fn device_only(left: usize) -> EntropySources {
        let device: Box<dyn Entropy> = Box::new(Counter { next: 0, left });
        EntropySources {
            has_rdseed: false,
            has_rdrand: false,
            device: Some(device),
        }
    }

    #[test]
    fn asks_until_the_bytes_are_full_and_mixes() {
        let mut out = [0x80; 5];
        assert!(device_only(5).mix_into(&mut out));
        assert_eq!(out, [0x81, 0x82, 0x83, 0x84, 0x85]);
    }

    #[test]
    fn a_source_that_runs_dry_does_not_count() {
        let mut sources = device_only(4);
        assert!(!sources.mix_into(&mut [0; 5]));
        assert_eq!(sources.names().count(), 0);
    }
}
