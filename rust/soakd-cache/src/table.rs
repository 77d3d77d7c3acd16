//! Linear probing over (tag, index), with backward shift on removal.

use crate::Error;
use crate::advice::{Advise, advise_spare};

/// Tables of up to so many entries (128 KiB) are sparse.
const SPARSE: usize = 1 << 12;

/// One place of the table. Index 0 is the slab's sentinel, so a zeroed slot is an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    tag: u32,
    index: u32,
}

/// What a probe met first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probed {
    /// The entry that was looked for.
    Entry { place: usize, index: u32 },
    /// The empty place that ends the search for it.
    Gap(usize),
}

/// Where each key is in the slab. There is an empty place always, so that every probe ends.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Slot>,
}

/// The hash spread over 32 bits, so that a weak hash (a counter, say) still probes well.
#[inline]
fn tag_of(hash: u64) -> u32 {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

impl Table {
    pub(crate) fn new(entries: usize, advise: Advise) -> Result<Self, Error> {
        Ok(Self { slots: empty_slots(entries, advise)? })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// Where the slot is that bears the tag of `hash` and whose index `is_entry` confirms; or where it would go.
    #[inline]
    pub(crate) fn probe(&self, hash: u64, mut is_entry: impl FnMut(u32) -> bool) -> Probed {
        let tag = tag_of(hash);
        let mut place = self.home(tag);
        loop {
            let slot = self.slots[place];
            if slot.index == 0 {
                return Probed::Gap(place);
            }
            if slot.tag == tag && is_entry(slot.index) {
                return Probed::Entry { place, index: slot.index };
            }
            place = self.after(place);
        }
    }

    /// Fill the gap that `probe` found for this hash.
    #[inline]
    pub(crate) fn fill(&mut self, gap: usize, hash: u64, index: u32) {
        self.slots[gap] = Slot { tag: tag_of(hash), index };
    }

    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, index: u32) {
        place_in(&mut self.slots, Slot { tag: tag_of(hash), index });
    }

    /// Take out a slot of this hash and index. While an entry makes room for another in its own place of the slab, two
    /// slots have its index; where their tags are equal too, either will do.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, index: u32) {
        let slot = Slot { tag: tag_of(hash), index };
        let mut place = self.home(slot.tag);
        while self.slots[place] != slot {
            if self.slots[place].index == 0 {
                return;
            }
            place = self.after(place);
        }
        self.remove_at(place);
    }

    /// Empty a place, and move back into it what had to give way to it.
    #[inline]
    pub(crate) fn remove_at(&mut self, mut gap: usize) {
        let mut place = self.after(gap);
        loop {
            let slot = self.slots[place];
            if slot.index == 0 {
                break;
            }
            if self.distance(self.home(slot.tag), place) >= self.distance(gap, place) {
                self.slots[gap] = slot;
                gap = place;
            }
            place = self.after(place);
        }
        self.slots[gap] = Slot::default();
    }

    pub(crate) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }

    pub(crate) fn grow(&mut self, entries: usize, advise: Advise) -> Result<(), Error> {
        let mut slots = empty_slots(entries, advise)?;
        for slot in self.slots.iter().filter(|slot| slot.index != 0) {
            place_in(&mut slots, *slot);
        }
        self.slots = slots;
        Ok(())
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        home_in(self.slots.len(), tag)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 == self.slots.len() { 0 } else { place + 1 }
    }

    /// Steps from one place to another, going round.
    #[inline]
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

/// Tags map onto places in order, so any size will do, not only powers of two.
#[inline]
fn home_in(places: usize, tag: u32) -> usize {
    ((u64::from(tag) * places as u64) >> 32) as usize
}

#[inline]
fn place_in(slots: &mut [Slot], slot: Slot) {
    let mut place = home_in(slots.len(), slot.tag);
    while slots[place].index != 0 {
        place = if place + 1 == slots.len() { 0 } else { place + 1 };
    }
    slots[place] = slot;
}

/// Four places an entry where the processor's nearest caches hold them all anyway, and a probe costs what its branches
/// cost (measured at a thousand entries: an eviction takes a sixth longer with two); beyond, where memory counts, two.
fn empty_slots(entries: usize, advise: Advise) -> Result<Vec<Slot>, Error> {
    let places = if entries <= SPARSE { 4 * entries } else { 2 * entries } + 2;
    let mut slots = Vec::new();
    slots.try_reserve_exact(places).map_err(|_| Error::Memory)?;
    advise_spare(&mut slots, advise);
    slots.resize(places, Slot::default());
    Ok(slots)
}
