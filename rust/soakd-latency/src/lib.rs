//! Log-linear histograms of fixed size for durations in nanoseconds, and their sparse encoding.
//!
//! A value below 128 has a bucket of its own; above, each power of two is cut into 128 buckets, so that a bucket is at
//! most 0.8 % wide. The layout is a contract: others decode what [`Histogram::encode`] writes.
#![forbid(unsafe_code)]

/// Buckets of a histogram.
pub const BUCKETS: usize = 4352;

/// The largest value told apart from larger ones, in nanoseconds: about 18 minutes.
pub const MAX_VALUE: u64 = (1 << 40) - 1;

/// Buckets for one power of two, and the values that have a bucket of their own.
const PER_OCTAVE: u64 = 128;

/// The bucket of a duration in nanoseconds.
#[inline]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "below BUCKETS")]
pub fn bucket(value: u64) -> usize {
    let value = value.min(MAX_VALUE);
    if value < PER_OCTAVE {
        return value as usize;
    }
    let exponent = u64::from(value.ilog2());
    ((exponent - 6) * PER_OCTAVE + (value >> (exponent - 7)) - PER_OCTAVE) as usize
}

/// Counts of durations. 34 KiB, allocated once.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice() }
    }
}

impl Histogram {
    /// Count one duration, in nanoseconds.
    #[inline]
    pub fn record(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
        }
    }

    /// The non-empty buckets in ascending order, each as two unsigned LEB128 numbers: the distance from the bucket
    /// before it (the first from 0) and the count.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for (index, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            push_number(&mut bytes, (index - last) as u64);
            push_number(&mut bytes, count);
            last = index;
        }
        bytes
    }

    /// Forget everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// What one operation took, from three points of view. See [`Recorder::record`].
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    service: Histogram,
    response: Histogram,
    lateness: Histogram,
    count: u64,
}

/// The three histograms of a recorder, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// End minus start.
    pub service: Vec<u8>,
    /// End minus intended start: free of coordinated omission.
    pub response: Vec<u8>,
    /// Start minus intended start: the driver's own health.
    pub lateness: Vec<u8>,
}

impl Recorder {
    /// Count one operation; the times are nanoseconds of any one clock. A negative difference counts as 0.
    #[inline]
    pub fn record(&mut self, intended: i64, start: i64, end: i64) {
        self.service.record(elapsed(start, end));
        self.response.record(elapsed(intended, end));
        self.lateness.record(elapsed(intended, start));
        self.count += 1;
    }

    /// Operations since the last [`Recorder::take`].
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Encode what was recorded since the last time, and start again from nothing.
    pub fn take(&mut self) -> Taken {
        let taken = Taken {
            service: self.service.encode(),
            response: self.response.encode(),
            lateness: self.lateness.encode(),
        };
        self.service.clear();
        self.response.clear();
        self.lateness.clear();
        self.count = 0;
        taken
    }
}

#[inline]
fn elapsed(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests;
