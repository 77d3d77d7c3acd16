//! Entries in one array, threaded by a circular list in order of use.

use crate::Error;
use crate::advice::{Advise, advise_spare};

/// The place that holds no entry and closes the list: its `next` is the newest entry, its `prev` the oldest.
pub(crate) const SENTINEL: u32 = 0;

/// Aligned, so that an entry of two pointers is in one line of the processor's cache, not across two.
#[derive(Debug)]
#[repr(align(32))]
struct Entry<K, V> {
    payload: Option<(K, V)>,
    expires_at: u64,
    prev: u32,
    next: u32,
}

#[derive(Debug)]
pub(crate) struct Slab<K, V> {
    entries: Vec<Entry<K, V>>,
    /// The first vacant place, or the sentinel; vacant places are chained by `next`.
    vacant: u32,
    len: usize,
}

impl<K, V> Slab<K, V> {
    pub(crate) fn new(entries: usize, advise: Advise) -> Result<Self, Error> {
        let mut slab = Self { entries: Vec::new(), vacant: SENTINEL, len: 0 };
        slab.grow(entries, advise)?;
        slab.entries.push(sentinel());
        Ok(slab)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Places in use or vacant, the sentinel apart: valid indices are 1 to this.
    pub(crate) fn places(&self) -> usize {
        self.entries.len() - 1
    }

    pub(crate) fn is_full(&self) -> bool {
        self.vacant == SENTINEL && self.entries.len() == self.entries.capacity()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<K, V>>()
    }

    /// Room for `entries` in all, and the sentinel.
    pub(crate) fn grow(&mut self, entries: usize, advise: Advise) -> Result<(), Error> {
        let more = (entries + 1).saturating_sub(self.entries.len());
        self.entries.try_reserve_exact(more).map_err(|_| Error::Memory)?;
        advise_spare(&mut self.entries, advise);
        Ok(())
    }

    #[inline]
    pub(crate) fn key(&self, index: u32) -> Option<&K> {
        self.entries[index as usize].payload.as_ref().map(|(key, _)| key)
    }

    #[inline]
    pub(crate) fn value(&self, index: u32) -> Option<&V> {
        self.entries[index as usize].payload.as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub(crate) fn expires_at(&self, index: u32) -> u64 {
        self.entries[index as usize].expires_at
    }

    #[inline]
    pub(crate) fn payload(&self, index: u32) -> Option<(&K, &V)> {
        self.entries[index as usize].payload.as_ref().map(|(key, value)| (key, value))
    }

    /// The least recently used entry, or the sentinel.
    #[inline]
    pub(crate) fn oldest(&self) -> u32 {
        self.entries[SENTINEL as usize].prev
    }

    /// Make an entry the most recently used.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        if self.entries[SENTINEL as usize].next != index {
            self.unlink(index);
            self.link_first(index);
        }
    }

    #[inline]
    pub(crate) fn replace(&mut self, index: u32, value: V, expires_at: u64) -> Option<V> {
        let entry = &mut self.entries[index as usize];
        entry.expires_at = expires_at;
        entry.payload.as_mut().map(|(_, old)| std::mem::replace(old, value))
    }

    /// Add an entry as the most recently used. There must be room.
    #[inline]
    pub(crate) fn push(&mut self, key: K, value: V, expires_at: u64) -> u32 {
        let entry = Entry { payload: Some((key, value)), expires_at, prev: SENTINEL, next: SENTINEL };
        let index = self.vacant;
        let index = if index == SENTINEL {
            #[expect(clippy::cast_possible_truncation, reason = "MAX_CAPACITY is below 2**32")]
            let index = self.entries.len() as u32;
            self.entries.push(entry);
            index
        } else {
            self.vacant = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.len += 1;
        self.link_first(index);
        index
    }

    /// Put another entry in the place of one, as the most recently used; hand back what was there.
    #[inline]
    pub(crate) fn reuse(&mut self, index: u32, key: K, value: V, expires_at: u64) -> Option<(K, V)> {
        self.touch(index);
        let entry = &mut self.entries[index as usize];
        entry.expires_at = expires_at;
        entry.payload.replace((key, value))
    }

    #[inline]
    pub(crate) fn remove(&mut self, index: u32) -> Option<(K, V)> {
        let payload = self.entries[index as usize].payload.take()?;
        self.unlink(index);
        self.entries[index as usize].next = self.vacant;
        self.vacant = index;
        self.len -= 1;
        Some(payload)
    }

    /// Hand out everything. The emptied slab keeps its size where the allocator allows it, and grows again otherwise.
    pub(crate) fn clear(&mut self, advise: Advise) -> impl Iterator<Item = (K, V)> + use<K, V> {
        let size = self.entries.capacity();
        let full = std::mem::take(&mut self.entries);
        self.vacant = SENTINEL;
        self.len = 0;
        let _ = self.grow(size - 1, advise);
        self.entries.push(sentinel());
        full.into_iter().filter_map(|entry| entry.payload)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().filter_map(|entry| entry.payload.as_ref().map(|(_, value)| value))
    }

    pub(crate) fn keys_by_use(&self) -> impl Iterator<Item = &K> {
        let first = self.entries[SENTINEL as usize].next;
        std::iter::successors(Some(first), |index| Some(self.entries[*index as usize].next))
            .take_while(|index| *index != SENTINEL)
            .filter_map(|index| self.key(index))
    }

    #[inline]
    fn unlink(&mut self, index: u32) {
        let Entry { prev, next, .. } = self.entries[index as usize];
        self.entries[prev as usize].next = next;
        self.entries[next as usize].prev = prev;
    }

    #[inline]
    fn link_first(&mut self, index: u32) {
        let first = self.entries[SENTINEL as usize].next;
        self.entries[first as usize].prev = index;
        self.entries[SENTINEL as usize].next = index;
        let entry = &mut self.entries[index as usize];
        entry.prev = SENTINEL;
        entry.next = first;
    }
}

fn sentinel<K, V>() -> Entry<K, V> {
    Entry { payload: None, expires_at: crate::NEVER, prev: SENTINEL, next: SENTINEL }
}
