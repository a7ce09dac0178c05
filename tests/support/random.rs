//! Seeded random numbers that are the same on every machine (SplitMix64 by Steele, Lea and Flood, OOPSLA 2014).

use std::fmt::Debug;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of random numbers, determined by its seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates the stream with this seed.
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

    /// Returns a number from 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// Returns a random element.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns true with a probability of `chance` percent.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// Returns the number in an environment variable that controls a run, such as its length, or `default` without it.
pub fn length_of_run<N: FromStr<Err: Debug>>(variable: &str, default: N) -> N {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{variable} is not a number: {error:?}")))
}

/// Returns the seed of this run and prints it, so that a failure can be reproduced: `TEST_SEED`, or else a new one. The
/// name does not begin with `EDUHUB_`, because the hub would read it as a setting.
pub fn seed() -> u64 {
    let seed = std::env::var("TEST_SEED").ok().map_or_else(
        || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
        |text| text.parse().expect("TEST_SEED is a number"),
    );
    println!("TEST_SEED={seed} reproduces this run");
    seed
}
