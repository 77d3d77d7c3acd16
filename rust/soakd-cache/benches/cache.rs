//! Hits, misses, updates, evictions and deletes at three sizes. The clock is a constant: reading one costs more.
#![allow(missing_docs, reason = "what criterion_group! makes")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use soakd_cache::{Cache, Error, NEVER};

/// A multiplicative hash: what CPython's strings bring along is as well mixed and costs a load.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "a cache hashes keys of any size")]
fn hash_of(key: &u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn insert(cache: &mut Cache<u64, u64>, key: u64) {
    let displaced = cache.insert(hash_of(&key), || key, key, NEVER, |other| *other == key, hash_of);
    let _ = black_box(displaced);
}

fn get(cache: &mut Cache<u64, u64>, key: u64) {
    black_box(cache.get(hash_of(&key), || 0, |other| *other == key));
}

fn full(capacity: usize) -> Result<Cache<u64, u64>, Error> {
    let mut cache = Cache::new(capacity)?;
    for key in 0..capacity as u64 {
        insert(&mut cache, key);
    }
    Ok(cache)
}

/// Keys in an order that no prefetcher guesses.
fn shuffled(capacity: usize) -> impl Iterator<Item = u64> {
    let capacity = capacity as u64;
    (0_u64..).map(move |number| number.wrapping_mul(0x5851_F42D_4C95_7F2D) % capacity)
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache");
    for capacity in [1_000, 100_000, 1_000_000] {
        let Ok(mut cache) = full(capacity) else { return };
        let beyond = capacity as u64;
        group.bench_function(BenchmarkId::new("hit", capacity), |bencher| {
            let mut keys = shuffled(capacity);
            bencher.iter(|| keys.next().map(|key| get(&mut cache, key)));
        });
        group.bench_function(BenchmarkId::new("miss", capacity), |bencher| {
            let mut keys = shuffled(capacity);
            bencher.iter(|| keys.next().map(|key| get(&mut cache, key + beyond)));
        });
        group.bench_function(BenchmarkId::new("update", capacity), |bencher| {
            let mut keys = shuffled(capacity);
            bencher.iter(|| keys.next().map(|key| insert(&mut cache, key)));
        });
        group.bench_function(BenchmarkId::new("evict", capacity), |bencher| {
            let mut keys = beyond..;
            bencher.iter(|| keys.next().map(|key| insert(&mut cache, key)));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
