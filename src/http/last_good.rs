//! Cache of the last good copies of parts of a page, which replace parts that the store does not return in time.

use std::hash::Hash;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// A value whose memory is known.
pub(super) trait ByteSize {
    /// Returns the memory of the value, in bytes, with its part of the memory that it shares with other values.
    fn byte_size(&self) -> usize;
}

/// The weight of a copy: its bytes and those of its entry in the cache.
#[derive(Debug, Clone)]
struct ByBytes;

impl<K, V: ByteSize> Weighter<K, (V, Instant)> for ByBytes {
    fn weight(&self, _: &K, (value, _): &(V, Instant)) -> u64 {
        (value.byte_size() + size_of::<(K, V, Instant)>()) as u64
    }
}

/// A cache of copies by key, bounded in bytes. Past the bound, copies that were not used recently are evicted.
pub(super) struct LastGood<K, V> {
    copies: Cache<K, (V, Instant), ByBytes>,
}

impl<K: Eq + Hash + Clone, V: Clone + ByteSize> LastGood<K, V> {
    /// Creates a cache of at most `bytes_max` bytes, sized for about `keys` copies.
    pub(super) fn new(keys: usize, bytes_max: u64) -> Self {
        Self { copies: Cache::with_weighter(keys, bytes_max, ByBytes) }
    }

    /// Stores a copy. A copy that is larger than the cache is not stored.
    pub(super) fn store(&self, key: &K, value: V) {
        self.copies.insert(key.clone(), (value, Instant::now()));
    }

    /// Returns a copy and its age.
    pub(super) fn get(&self, key: &K) -> Option<(V, Duration)> {
        self.copies.get(key).map(|(value, at)| (value, at.elapsed()))
    }

    /// Returns the bytes of all copies.
    pub(super) fn bytes(&self) -> u64 {
        self.copies.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ByteSize for Vec<u8> {
        fn byte_size(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn a_cache_never_exceeds_its_bytes() {
        let (kib, bytes_max) = (1024, 1024 * 1024);
        let cache = LastGood::new(100, bytes_max);
        for key in 0..10_000_u32 {
            cache.store(&key, vec![0_u8; 10 * kib]);
            assert!(cache.bytes() <= bytes_max, "{} bytes after {key}", cache.bytes());
        }
        assert!(cache.bytes() > bytes_max / 4, "{} bytes are used", cache.bytes());
        assert!(cache.get(&9_999).is_some(), "the newest copy is there");
    }

    #[test]
    fn a_newer_copy_replaces_the_older_one() {
        let cache = LastGood::new(100, 1024 * 1024);
        cache.store(&"ann", vec![1]);
        cache.store(&"ann", vec![2, 3]);
        assert_eq!(cache.get(&"ann").unwrap().0, [2, 3]);
        assert!(cache.get(&"ben").is_none());
    }
}
