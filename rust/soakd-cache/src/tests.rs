use proptest::prelude::*;

use super::*;

type Checked = Result<(), Error>;

/// Few different hashes, so that keys collide in tag and place all the time.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "a cache hashes keys of any size")]
fn hash_of(key: &u32) -> u64 {
    u64::from(key % 7)
}

/// A cache of numbers, driven as a binding would.
struct Driver(Cache<u32, u32>);

impl Driver {
    fn new(capacity: usize) -> Result<Self, Error> {
        Ok(Self(Cache::new(capacity)?))
    }

    fn get(&mut self, key: u32, now: u64) -> Option<u32> {
        self.0.get(hash_of(&key), || now, |other| *other == key).value().copied()
    }

    fn insert(&mut self, key: u32, value: u32, expires_at: u64) -> Result<Displaced<u32, u32>, Error> {
        self.0.insert(hash_of(&key), || key, value, expires_at, |other| *other == key, hash_of)
    }

    fn remove(&mut self, key: u32) -> Option<(u32, u32)> {
        self.0.remove(hash_of(&key), |other| *other == key)
    }

    fn contains(&self, key: u32, now: u64) -> bool {
        self.0.contains(hash_of(&key), || now, |other| *other == key)
    }

    fn sweep(&mut self, now: u64, max_entries: usize) -> Vec<(u32, u32)> {
        let mut removed = Vec::new();
        self.0.sweep(now, max_entries, hash_of, &mut removed);
        removed
    }

    fn keys(&self) -> Vec<u32> {
        self.0.keys_by_use().copied().collect()
    }
}

#[test]
fn the_least_recently_used_entry_makes_room() -> Checked {
    let mut cache = Driver::new(2)?;
    cache.insert(1, 10, NEVER)?;
    cache.insert(2, 20, NEVER)?;
    assert_eq!(cache.get(1, 0), Some(10));
    assert_eq!(cache.insert(3, 30, NEVER)?, Displaced::Evicted(2, 20));
    assert_eq!(cache.keys(), [3, 1]);
    Ok(())
}

#[test]
fn an_update_hands_back_the_old_value_and_evicts_nothing() -> Checked {
    let mut cache = Driver::new(2)?;
    cache.insert(1, 10, NEVER)?;
    cache.insert(2, 20, NEVER)?;
    assert_eq!(cache.insert(1, 11, NEVER)?, Displaced::Updated(10));
    assert_eq!((cache.keys(), cache.get(1, 0)), (vec![1, 2], Some(11)));
    Ok(())
}

#[test]
fn an_entry_is_gone_from_the_nanosecond_of_its_expiry() -> Checked {
    let mut cache = Driver::new(2)?;
    cache.insert(1, 10, 100)?;
    assert!(cache.contains(1, 99) && !cache.contains(1, 100));
    assert_eq!((cache.get(1, 99), cache.get(1, 100), cache.0.len()), (Some(10), None, 0));
    assert_eq!(cache.0.stats(), Stats { hits: 1, misses: 1, inserts: 1, expirations: 1, ..Stats::default() });
    Ok(())
}

#[test]
fn an_entry_that_never_expires_asks_for_no_time() -> Checked {
    let mut cache = Driver::new(1)?;
    cache.insert(1, 10, NEVER)?;
    let mut asked = false;
    let now = || {
        asked = true;
        NEVER
    };
    assert_eq!(cache.0.get(hash_of(&1), now, |key| *key == 1).value(), Some(&10));
    assert!(!asked);
    Ok(())
}

#[test]
fn a_sweep_looks_at_no_more_than_it_was_told_and_goes_round() -> Checked {
    let mut cache = Driver::new(10)?;
    for key in 0..10 {
        cache.insert(key, key, if key % 2 == 0 { 5 } else { NEVER })?;
    }
    assert_eq!(cache.sweep(5, 4), [(0, 0), (2, 2)]);
    assert_eq!(cache.sweep(5, 100), [(4, 4), (6, 6), (8, 8)]);
    assert_eq!(cache.sweep(5, 100), []);
    assert_eq!(cache.0.len(), 5);
    Ok(())
}

#[test]
fn a_capacity_of_nothing_or_beyond_reason_is_an_error() {
    for capacity in [0, MAX_CAPACITY + 1, 1_000_000_000_000, usize::MAX] {
        assert_eq!(Cache::<u32, u32>::new(capacity).map(drop), Err(Error::Capacity(capacity)));
    }
}

#[test]
fn the_structure_takes_less_than_fifty_bytes_an_entry_and_never_grows() -> Checked {
    let mut cache: Cache<Box<u32>, Box<u32>> = Cache::new(PREALLOCATED)?;
    let bytes = cache.structure_bytes();
    assert!(bytes < 50 * PREALLOCATED, "{bytes}");
    for key in 0..1000 {
        cache.insert(
            hash_of(&key),
            || Box::new(key),
            Box::new(key),
            NEVER,
            |other| **other == key,
            |key| hash_of(key),
        )?;
    }
    drop(cache.clear());
    assert_eq!(cache.structure_bytes(), bytes);
    Ok(())
}

#[test]
fn a_cache_above_the_preallocated_size_grows_to_its_capacity() -> Checked {
    let capacity = PREALLOCATED + PREALLOCATED / 2;
    let mut cache: Cache<u64, ()> = Cache::new(capacity)?;
    for key in 0..2 * capacity as u64 {
        cache.insert(key, || key, (), NEVER, |other| *other == key, |key| *key)?;
    }
    assert_eq!((cache.len(), cache.stats().evictions), (capacity, capacity as u64));
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Get(u32),
    Insert(u32, u32, Option<u64>),
    Remove(u32),
    Sweep(usize),
    Clear,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24_u32;
    prop_oneof![
        8 => key.clone().prop_map(Step::Get),
        8 => (key.clone(), any::<u32>(), prop::option::of(0..20_u64)).prop_map(|(key, value, ttl)| Step::Insert(key, value, ttl)),
        3 => key.prop_map(Step::Remove),
        1 => (0..40_usize).prop_map(Step::Sweep),
        1 => Just(Step::Clear),
        2 => (0..10_u64).prop_map(Step::Wait),
    ]
}

/// Key, value and time of expiry, the least recently used first.
type Model = Vec<(u32, u32, u64)>;

fn taken(model: &mut Model, key: u32) -> Option<(u32, u32, u64)> {
    let place = model.iter().position(|entry| entry.0 == key)?;
    Some(model.remove(place))
}

proptest! {
    #[test]
    fn the_cache_does_what_an_ordered_list_does(capacity in 1..20_usize, steps in prop::collection::vec(step(), 0..300)) {
        let mut cache = Driver::new(capacity)?;
        let mut model = Model::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Get(key) => {
                    let entry = taken(&mut model, key).filter(|entry| entry.2 > now);
                    model.extend(entry);
                    prop_assert_eq!(cache.get(key, now), entry.map(|entry| entry.1));
                }
                Step::Insert(key, value, ttl) => {
                    let expected = match taken(&mut model, key) {
                        Some(old) => Displaced::Updated(old.1),
                        None if model.len() == capacity => {
                            let (key, value, _) = model.remove(0);
                            Displaced::Evicted(key, value)
                        }
                        None => Displaced::Nothing,
                    };
                    let expires_at = ttl.map_or(NEVER, |ttl| now + ttl);
                    model.push((key, value, expires_at));
                    prop_assert_eq!(cache.insert(key, value, expires_at)?, expected);
                }
                Step::Remove(key) => {
                    let expected = taken(&mut model, key).map(|entry| (entry.0, entry.1));
                    prop_assert_eq!(cache.remove(key), expected);
                }
                Step::Sweep(max_entries) => {
                    for (key, value) in cache.sweep(now, max_entries) {
                        let entry = taken(&mut model, key);
                        prop_assert!(entry.is_some_and(|entry| entry.1 == value && entry.2 <= now));
                    }
                    if max_entries >= capacity {
                        prop_assert!(model.iter().all(|entry| entry.2 > now));
                    }
                }
                Step::Clear => {
                    let mut cleared: Vec<_> = cache.0.clear().collect();
                    let mut expected: Vec<_> = model.drain(..).map(|entry| (entry.0, entry.1)).collect();
                    cleared.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(cleared, expected);
                }
                Step::Wait(time) => now += time,
            }
            let keys: Vec<u32> = model.iter().rev().map(|entry| entry.0).collect();
            prop_assert_eq!(cache.keys(), keys);
            let stats = cache.0.stats();
            let gone = stats.evictions + stats.expirations + stats.deletes;
            prop_assert_eq!(stats.inserts, cache.0.len() as u64 + gone);
        }
    }
}
