//! An exact least-recently-used cache with a time to live per entry.
//!
//! Every operation is O(1). Two arrays hold everything: a table of (tag, index) probed linearly, deletions shifting
//! back what follows, so that there are no tombstones; and a slab of entries, threaded by an intrusive list in order
//! of use.
//!
//! The cache has no clock, no hash function and no notion of equality: callers pass them in, because a caller such
//! as an interpreter already has them (a cached hash, identity before equality). Nothing is dropped inside the cache
//! either: whatever leaves it is handed back, so that a destructor can never run while the cache is borrowed.
//!
//! ```
//! use soakd_cache::{Cache, NEVER};
//!
//! let mut cache: Cache<u64, &str> = Cache::new(2)?;
//! cache.insert(7, || 7, "seven", NEVER, |key| *key == 7, |key| *key)?;
//! assert_eq!(cache.get(7, || 0, |key| *key == 7).value(), Some(&"seven"));
//! # Ok::<(), soakd_cache::Error>(())
//! ```
#![forbid(unsafe_code)]

mod advice;
mod slab;
mod table;

pub use advice::Advise;
use advice::no_advice;
use slab::Slab;
use table::{Probed, Table};

/// The time of expiry, in nanoseconds, of an entry that never expires.
pub const NEVER: u64 = u64::MAX;

/// The largest capacity, in entries: an index has 32 bits, and the table needs room to spare.
pub const MAX_CAPACITY: usize = 1 << 31;

/// Up to this many entries are allocated at once, when the cache is made.
///
/// A cache that grows stops the world while it copies (measured at a million entries: 241 ms once, against 9 ms for
/// making it at full size), and a cache that is filling looks like a leak. Larger ones start at this size and double.
pub const PREALLOCATED: usize = 1 << 20;

/// Why a cache cannot be made or cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The capacity is 0 or above [`MAX_CAPACITY`].
    Capacity(usize),
    /// The allocator refused.
    Memory,
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Capacity(capacity) => {
                write!(out, "capacity: must be between 1 and {MAX_CAPACITY} entries, got {capacity}")
            }
            Self::Memory => write!(out, "the cache cannot allocate its table"),
        }
    }
}

impl std::error::Error for Error {}

/// What happened so far, in events. `inserts == len + evictions + expirations + deletes` at all times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found a live entry.
    pub hits: u64,
    /// Lookups that found none, or an expired one.
    pub misses: u64,
    /// Keys that were new.
    pub inserts: u64,
    /// Keys that were there already, expired or not.
    pub updates: u64,
    /// Entries that made room for another.
    pub evictions: u64,
    /// Entries removed because their time had passed.
    pub expirations: u64,
    /// Entries removed by `remove` or `clear`.
    pub deletes: u64,
}

/// What a lookup found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, K, V> {
    /// A live entry, now the most recently used.
    Hit(&'a V),
    /// An entry whose time had passed; it has left the cache.
    Expired(K, V),
    /// Nothing.
    Miss,
}

impl<'a, K, V> Lookup<'a, K, V> {
    /// The live value, if there is one.
    pub fn value(self) -> Option<&'a V> {
        match self {
            Self::Hit(value) => Some(value),
            Self::Expired(..) | Self::Miss => None,
        }
    }
}

/// What an insertion pushed out.
#[derive(Debug, PartialEq, Eq)]
pub enum Displaced<K, V> {
    /// Nothing: the key is new and there was room.
    Nothing,
    /// The value that the key had.
    Updated(V),
    /// The least recently used entry.
    Evicted(K, V),
}

/// A bounded cache in exact order of use. See the [crate] documentation.
#[derive(Debug)]
pub struct Cache<K, V> {
    table: Table,
    slab: Slab<K, V>,
    capacity: usize,
    cursor: usize,
    advise: Advise,
    stats: Stats,
}

impl<K, V> Cache<K, V> {
    /// A cache of at most `capacity` entries.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`] when `capacity` is 0 or above [`MAX_CAPACITY`], [`Error::Memory`] when the allocator refuses.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Self::with_advice(capacity, no_advice)
    }

    /// As [`Cache::new`], where the caller has something to tell the operating system about the memory: to back it by
    /// huge pages, say, which a large cache that is read at random gains much from.
    ///
    /// # Errors
    ///
    /// Those of [`Cache::new`].
    pub fn with_advice(capacity: usize, advise: Advise) -> Result<Self, Error> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err(Error::Capacity(capacity));
        }
        let at_once = capacity.min(PREALLOCATED);
        Ok(Self {
            table: Table::new(at_once, advise)?,
            slab: Slab::new(at_once, advise)?,
            capacity,
            cursor: 0,
            advise,
            stats: Stats::default(),
        })
    }

    /// The largest number of entries.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of entries, expired ones that nobody has met yet included.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes that the cache itself has allocated, without what keys and values own.
    pub fn structure_bytes(&self) -> usize {
        size_of::<Self>() + self.table.bytes() + self.slab.bytes()
    }

    /// Look up a key and make it the most recently used.
    ///
    /// `now` (nanoseconds) is asked only when the entry can expire. `hash` must be what `hash_of` gives for the key
    /// wherever else the cache asks for it.
    #[inline]
    pub fn get(&mut self, hash: u64, now: impl FnOnce() -> u64, is_key: impl FnMut(&K) -> bool) -> Lookup<'_, K, V> {
        let Probed::Entry { place, index } = self.probe(hash, is_key) else {
            self.stats.misses += 1;
            return Lookup::Miss;
        };
        let expires_at = self.slab.expires_at(index);
        if expires_at != NEVER && expires_at <= now() {
            self.stats.misses += 1;
            self.stats.expirations += 1;
            self.table.remove_at(place);
            return self.slab.remove(index).map_or(Lookup::Miss, |(key, value)| Lookup::Expired(key, value));
        }
        self.stats.hits += 1;
        self.slab.touch(index);
        self.slab.value(index).map_or(Lookup::Miss, Lookup::Hit)
    }

    /// Whether a live entry has this key. Changes neither the order of use nor the statistics.
    pub fn contains(&self, hash: u64, now: impl FnOnce() -> u64, is_key: impl FnMut(&K) -> bool) -> bool {
        let Probed::Entry { index, .. } = self.probe(hash, is_key) else { return false };
        let expires_at = self.slab.expires_at(index);
        expires_at == NEVER || expires_at > now()
    }

    /// Insert or replace, as the most recently used; a full cache evicts its least recently used entry. `key` is asked for
    /// a key only where there is none yet.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when a cache above [`PREALLOCATED`] entries cannot grow; the cache is then unchanged.
    #[inline]
    pub fn insert(
        &mut self,
        hash: u64,
        key: impl FnOnce() -> K,
        value: V,
        expires_at: u64,
        is_key: impl FnMut(&K) -> bool,
        hash_of: impl Fn(&K) -> u64,
    ) -> Result<Displaced<K, V>, Error> {
        let gap = match self.probe(hash, is_key) {
            Probed::Entry { index, .. } => {
                self.slab.touch(index);
                self.stats.updates += 1;
                let old = self.slab.replace(index, value, expires_at);
                return Ok(match old {
                    Some(old) => Displaced::Updated(old),
                    None => Displaced::Nothing,
                });
            }
            Probed::Gap(gap) => gap,
        };
        if self.len() == self.capacity {
            let evicted = self.supersede(gap, hash, (key(), value), expires_at, hash_of);
            return Ok(evicted.map_or(Displaced::Nothing, |(key, value)| Displaced::Evicted(key, value)));
        }
        let grown = self.make_room()?;
        let index = self.slab.push(key(), value, expires_at);
        if grown {
            self.table.insert(hash, index);
        } else {
            self.table.fill(gap, hash, index);
        }
        self.stats.inserts += 1;
        Ok(Displaced::Nothing)
    }

    /// Remove a key, expired or not.
    pub fn remove(&mut self, hash: u64, is_key: impl FnMut(&K) -> bool) -> Option<(K, V)> {
        let Probed::Entry { place, index } = self.probe(hash, is_key) else { return None };
        self.table.remove_at(place);
        self.stats.deletes += 1;
        self.slab.remove(index)
    }

    /// Remove expired entries among the next `max_entries` places of the slab, going round; those removed are pushed to
    /// `removed`. As many places as there are entries, asked for at once, find every expired one.
    pub fn sweep(&mut self, now: u64, max_entries: usize, hash_of: impl Fn(&K) -> u64, removed: &mut Vec<(K, V)>) {
        for _ in 0..max_entries.min(self.slab.places()) {
            self.cursor = if self.cursor >= self.slab.places() { 1 } else { self.cursor + 1 };
            let Ok(index) = u32::try_from(self.cursor) else { return };
            if self.slab.key(index).is_some() && self.slab.expires_at(index) <= now {
                self.stats.expirations += 1;
                removed.extend(self.take(index, &hash_of));
            }
        }
    }

    /// Remove everything; what the cache held is in the returned value, to be dropped when it suits the caller.
    pub fn clear(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        self.stats.deletes += self.len() as u64;
        self.table.clear();
        self.cursor = 0;
        self.slab.clear(self.advise)
    }

    /// The least recently used entry: the one that the next new key evicts from a full cache.
    #[inline]
    pub fn oldest(&self) -> Option<(&K, &V)> {
        self.slab.payload(self.slab.oldest())
    }

    /// Every value in the order of memory, which is many times faster than the order of use on a large cache.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.slab.values()
    }

    /// Every key, the most recently used first, expired entries included.
    pub fn keys_by_use(&self) -> impl Iterator<Item = &K> {
        self.slab.keys_by_use()
    }

    #[inline]
    fn probe(&self, hash: u64, mut is_key: impl FnMut(&K) -> bool) -> Probed {
        self.table.probe(hash, |index| self.slab.key(index).is_some_and(&mut is_key))
    }

    /// Whether it had to grow: then what was known of the table is no longer true.
    fn make_room(&mut self) -> Result<bool, Error> {
        if !self.slab.is_full() {
            return Ok(false);
        }
        let entries = self.slab.len().saturating_mul(2).clamp(1, self.capacity);
        self.table.grow(entries, self.advise)?;
        self.slab.grow(entries, self.advise)?;
        Ok(true)
    }

    /// Put an entry in the place of the least recently used one: nothing is searched for twice.
    #[inline]
    fn supersede(
        &mut self,
        gap: usize,
        hash: u64,
        (key, value): (K, V),
        expires_at: u64,
        hash_of: impl Fn(&K) -> u64,
    ) -> Option<(K, V)> {
        let index = self.slab.oldest();
        let old_hash = hash_of(self.slab.key(index)?);
        self.table.fill(gap, hash, index);
        self.table.remove(old_hash, index);
        self.stats.inserts += 1;
        self.stats.evictions += 1;
        self.slab.reuse(index, key, value, expires_at)
    }

    #[inline]
    fn take(&mut self, index: u32, hash_of: impl Fn(&K) -> u64) -> Option<(K, V)> {
        let hash = hash_of(self.slab.key(index)?);
        self.table.remove(hash, index);
        self.slab.remove(index)
    }
}

#[cfg(test)]
mod tests;
