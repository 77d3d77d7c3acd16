//! Linear probing over (tag, index), with backward shift on removal.

use crate::Error;

/// One place of the table. Index 0 is the slab's sentinel, so a zeroed slot is an empty one.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    tag: u32,
    index: u32,
}

/// Where each key is in the slab. At most 0.55 of the slots are in use.
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
    pub(crate) fn new(entries: usize) -> Result<Self, Error> {
        Ok(Self { slots: empty_slots(entries)? })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// The index whose slot bears the tag of `hash` and which `is_entry` confirms.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_entry: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let mut place = self.home(tag);
        loop {
            let slot = self.slots.get(place)?;
            if slot.index == 0 {
                return None;
            }
            if slot.tag == tag && is_entry(slot.index) {
                return Some(slot.index);
            }
            place = self.after(place);
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, index: u32) {
        let tag = tag_of(hash);
        place_in(&mut self.slots, Slot { tag, index });
    }

    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, index: u32) {
        let mut gap = self.home(tag_of(hash));
        while self.slots[gap].index != index {
            if self.slots[gap].index == 0 {
                return;
            }
            gap = self.after(gap);
        }
        let mut place = self.after(gap);
        while self.slots[place].index != 0 {
            let home = self.home(self.slots[place].tag);
            if self.distance(home, place) >= self.distance(gap, place) {
                self.slots[gap] = self.slots[place];
                gap = place;
            }
            place = self.after(place);
        }
        self.slots[gap] = Slot::default();
    }

    pub(crate) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }

    pub(crate) fn grow(&mut self, entries: usize) -> Result<(), Error> {
        let mut slots = empty_slots(entries)?;
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

fn empty_slots(entries: usize) -> Result<Vec<Slot>, Error> {
    let places = entries + entries.div_ceil(11) * 9 + 2;
    let mut slots = Vec::new();
    slots.try_reserve_exact(places).map_err(|_| Error::Memory)?;
    slots.resize(places, Slot::default());
    Ok(slots)
}
