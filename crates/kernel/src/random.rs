//! Random numbers: ChaCha20, seeded from the machine's sources and reseeded from them.

use machine::cpu::timestamp;
use machine::dev::EntropySources;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use spin::Mutex;

use crate::clock;

/// Time between fresh seeds, in nanoseconds (Linux: CRNG_RESEED_INTERVAL, 60 s).
const RESEED: u64 = 60 * clock::SECOND;
const SEED_SIZE: usize = 32;

struct Generator {
    rng: Option<ChaCha20Rng>,
    sources: Option<EntropySources>,
    reseed_at: u64,
}

static GENERATOR: Mutex<Generator> = Mutex::new(Generator {
    rng: None,
    sources: None,
    reseed_at: 0,
});

/// Seeds the generator; returns whether a source of true randomness was there.
pub(crate) fn init(sources: EntropySources) -> bool {
    let mut generator = GENERATOR.lock();
    generator.sources = Some(sources);
    generator.reseed()
}

impl Generator {
    /// Mixes fresh randomness with the old state, so that a weak source cannot make it worse.
    fn reseed(&mut self) -> bool {
        let mut seed = [0; SEED_SIZE];
        let got = self
            .sources
            .as_mut()
            .is_some_and(|sources| sources.mix_into(&mut seed));
        let mut old = [0; SEED_SIZE];
        if let Some(rng) = &mut self.rng {
            rng.fill_bytes(&mut old);
        }
        let time = timestamp().to_le_bytes();
        for (index, byte) in seed.iter_mut().enumerate() {
            *byte ^= old[index] ^ time[index % time.len()];
        }
        self.rng = Some(ChaCha20Rng::from_seed(seed));
        self.reseed_at = clock::now() + RESEED;
        got
    }
}

/// Fills `buffer` with random bytes.
pub(crate) fn fill(buffer: &mut [u8]) {
    let mut generator = GENERATOR.lock();
    if generator.rng.is_none() || clock::now() >= generator.reseed_at {
        generator.reseed();
    }
    if let Some(rng) = &mut generator.rng {
        rng.fill_bytes(buffer);
    }
}

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A random number.
pub(crate) fn next_u32() -> u32 {
    u32::from_le_bytes(bytes())
}
