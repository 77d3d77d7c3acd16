use proptest::prelude::*;

use super::*;

fn decode(bytes: &[u8]) -> Vec<(usize, u64)> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0u64, 0);
    for byte in bytes {
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    let mut bucket = 0;
    let pairs = numbers.chunks(2).map(|pair| {
        bucket += usize::try_from(pair[0]).unwrap_or(usize::MAX);
        (bucket, pair[1])
    });
    pairs.collect()
}

#[test]
fn the_layout_is_the_one_that_others_decode() {
    assert_eq!(bucket(0), 0);
    assert_eq!(bucket(127), 127);
    assert_eq!(bucket(128), 128);
    assert_eq!(bucket(255), 255);
    assert_eq!(bucket(256), 256);
    assert_eq!(bucket(257), 256);
    assert_eq!(bucket(258), 257);
    assert_eq!(bucket(1_000_000), (19 - 6) * 128 + (1_000_000 >> 12) - 128);
    assert_eq!(bucket(MAX_VALUE), BUCKETS - 1);
    assert_eq!(bucket(u64::MAX), BUCKETS - 1);
}

#[test]
fn a_recorder_keeps_service_response_and_lateness_apart() {
    let mut recorder = Recorder::default();
    recorder.record(100, 110, 130);
    let taken = recorder.take();
    assert_eq!(decode(&taken.service), [(20, 1)]);
    assert_eq!(decode(&taken.response), [(30, 1)]);
    assert_eq!(decode(&taken.lateness), [(10, 1)]);
}

#[test]
fn what_was_taken_is_not_taken_again() {
    let mut recorder = Recorder::default();
    recorder.record(0, 0, 5);
    recorder.take();
    assert_eq!(recorder.count(), 0);
    assert_eq!(recorder.take().service, Vec::<u8>::new());
}

#[test]
fn a_clock_that_runs_backwards_counts_as_no_time() {
    let mut recorder = Recorder::default();
    recorder.record(i64::MAX, 0, i64::MIN);
    assert_eq!(decode(&recorder.take().response), [(0, 1)]);
}

proptest! {
    #[test]
    fn buckets_rise_with_values_and_are_at_most_a_128th_wide(low in 0..MAX_VALUE, step in 0..1_000_000u64) {
        let high = (low + step).min(MAX_VALUE);
        prop_assert!(bucket(low) <= bucket(high));
        if bucket(low) == bucket(high) {
            prop_assert!(high - low <= low / 128);
        }
    }

    #[test]
    fn every_recorded_value_comes_back_from_the_encoding(values in proptest::collection::vec(any::<u64>(), 0..200)) {
        let mut histogram = Histogram::default();
        let mut counts = std::collections::BTreeMap::new();
        for value in values {
            histogram.record(value);
            *counts.entry(bucket(value)).or_insert(0u64) += 1;
        }
        prop_assert_eq!(decode(&histogram.encode()), counts.into_iter().collect::<Vec<_>>());
    }
}
