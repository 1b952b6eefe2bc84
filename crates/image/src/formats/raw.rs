//! A raw disk, and where something was written on it.

use std::io::{self, Read, Seek, SeekFrom};

/// A disk to be carried over into another format.
#[derive(Debug)]
pub(crate) struct Raw<R> {
    input: R,
    size: u64,
    written: Runs,
}

/// Runs of bytes that were written, in order and apart; everything else is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<(u64, u64)>);

impl Runs {
    /// Adds the bytes from `start` to before `end`.
    pub(crate) fn add(&mut self, start: u64, end: u64) {
        if let Some(last) = self.0.last_mut().filter(|last| last.1 == start) {
            last.1 = end;
            return;
        }
        let from = self.0.partition_point(|run| run.1 < start);
        let to = self.0.partition_point(|run| run.0 <= end);
        let touched = &self.0[from..to];
        let start = touched.first().map_or(start, |run| run.0.min(start));
        let end = touched.last().map_or(end, |run| run.1.max(end));
        self.0.splice(from..to, [(start, end)]);
    }

    fn touch(&self, start: u64, end: u64) -> bool {
        let next = self.0.partition_point(|run| run.1 <= start);
        self.0.get(next).is_some_and(|run| run.0 < end)
    }
}

impl<R: Read + Seek> Raw<R> {
    /// A disk of `size` bytes, of which these were written.
    pub(crate) fn new(input: R, size: u64, written: Runs) -> Self {
        Self {
            input,
            size,
            written,
        }
    }

    /// Bytes on the disk.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Number of blocks of this size; the last may be shorter.
    pub(crate) fn blocks(&self, block_size: u64) -> u64 {
        self.size.div_ceil(block_size)
    }

    /// Reads a block, filled up with zeros, into a buffer of a block's size; `false` if all of it
    /// is 0.
    pub(crate) fn read(&mut self, block: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let block_size = buffer.len() as u64;
        let start = block * block_size;
        let end = (start + block_size).min(self.size);
        if start >= end || !self.written.touch(start, end) {
            return Ok(false);
        }
        let (bytes, rest) = buffer.split_at_mut((end - start) as usize);
        self.input.seek(SeekFrom::Start(start))?;
        self.input.read_exact(bytes)?;
        rest.fill(0);
        Ok(!is_zero(bytes))
    }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::{Raw, Runs};
    use proptest::{collection::vec, proptest};
    use std::io::Cursor;

    proptest! {
        #[test]
        fn runs_know_what_was_written(writes in vec((0u64..100, 1u64..20), 0..20)) {
            let mut runs = Runs::default();
            let mut written = [false; 120];
            for (start, length) in writes {
                runs.add(start, start + length);
                written[start as usize..(start + length) as usize].fill(true);
            }
            for (at, &written) in (0..).zip(&written) {
                assert_eq!(runs.touch(at, at + 1), written);
            }
            assert!(runs.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }

    #[test]
    fn the_last_block_is_filled_up() {
        let mut runs = Runs::default();
        runs.add(0, 10);
        let mut raw = Raw::new(Cursor::new([1; 10]), 10, runs);
        let mut buffer = [9; 8];
        assert!(raw.read(1, &mut buffer).unwrap());
        assert_eq!(buffer, [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(raw.blocks(8), 2);
        assert!(!raw.read(2, &mut buffer).unwrap());
    }
}
