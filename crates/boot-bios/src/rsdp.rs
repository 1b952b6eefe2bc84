//! Finding the ACPI root pointer in firmware memory (ACPI 6.5 §5.2.5.1).

/// First bytes of the root pointer.
const SIGNATURE: &[u8] = b"RSD PTR ";
/// It starts at a multiple of this.
const ALIGNMENT: usize = 16;
/// Bytes of its first version, which sum up to 0.
const SIZE: usize = 20;

/// Where in `memory`, which starts at a multiple of 16, the root pointer is.
pub fn find(memory: &[u8]) -> Option<usize> {
    let starts = (0..memory.len()).step_by(ALIGNMENT);
    starts.into_iter().find(|&at| {
        let candidate = memory.get(at..at + SIZE);
        candidate.is_some_and(|bytes| bytes.starts_with(SIGNATURE) && sum(bytes) == 0)
    })
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::{SIGNATURE, SIZE, find, sum};

    fn pointer() -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[16..].copy_from_slice(&[1, 2, 3, 4]);
        bytes[8] = 0u8.wrapping_sub(sum(&bytes));
        bytes
    }

    #[test]
    fn the_first_good_one_counts() {
        let mut memory = [0; 200];
        memory[16..16 + SIZE].copy_from_slice(&pointer());
        memory[24] ^= 1;
        assert_eq!(find(&memory), None);
        memory[56..56 + SIZE].copy_from_slice(&pointer());
        assert_eq!(find(&memory), None, "not aligned");
        memory[96..96 + SIZE].copy_from_slice(&pointer());
        assert_eq!(find(&memory), Some(96));
    }

    #[test]
    fn one_at_the_end_is_found_and_a_cut_one_is_not() {
        let mut memory = [0; 16 + SIZE];
        memory[16..].copy_from_slice(&pointer());
        assert_eq!(find(&memory), Some(16));
        assert_eq!(find(&memory[..16 + SIZE - 1]), None);
    }
}
