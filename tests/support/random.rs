//! Seeded random numbers (SplitMix64, Steele, Lea and Flood, OOPSLA 2014): the same on every machine.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of random numbers that depends on its seed only.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates the stream of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// Returns one of `of`.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns true with a probability of `chance` percent.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// Returns the seed of this run, which is `EDUHUB_SEED` or a new one, and prints it, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("EDUHUB_SEED").ok().map_or_else(
        || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
        |text| text.parse().expect("EDUHUB_SEED is a number"),
    );
    println!("EDUHUB_SEED={seed} repeats this run");
    seed
}
