//! Cache of the last good copies of parts of a page, which replace parts that the store does not return in time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A bounded cache of copies by key. Past the bound, the oldest copy is evicted.
#[derive(Debug)]
pub(super) struct LastGood<K, V> {
    copies: Mutex<HashMap<K, (V, Instant)>>,
    keys_max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> LastGood<K, V> {
    /// Creates a cache of at most `keys_max` copies.
    pub(super) fn new(keys_max: usize) -> Self {
        Self { copies: Mutex::new(HashMap::new()), keys_max }
    }

    /// Stores a copy.
    pub(super) fn store(&self, key: &K, value: V) {
        let mut copies = self.copies.lock();
        if !copies.contains_key(key) && copies.len() >= self.keys_max {
            let oldest = copies.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| copies.remove(&oldest));
        }
        copies.insert(key.clone(), (value, Instant::now()));
    }

    /// Returns a copy and its age.
    pub(super) fn get(&self, key: &K) -> Option<(V, Duration)> {
        let copies = self.copies.lock();
        copies.get(key).map(|(value, at)| (value.clone(), at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_evicts_the_oldest_copy() {
        let cache = LastGood::new(2);
        for (key, value) in [("ann", 1), ("ben", 2), ("ann", 3), ("cy", 4)] {
            cache.store(&key, value);
        }
        let values = ["ann", "ben", "cy"].map(|key| cache.get(&key).map(|(value, _)| value));
        assert_eq!(values, [Some(3), None, Some(4)]);
    }
}
