//! Durations counted in log-linear buckets: at most 1.6 % off, from 1 µs to over an hour.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::reading::Distribution;
use crate::sync::AtomicU64;
use crate::writers::Writers;

/// Each power of two is cut into this many equal buckets, so a bucket's middle is at most half of
/// 1/32 off the values in it.
const SUB_BUCKETS_LOG2: u32 = 5;
/// Below 2⁹ ns (half a microsecond) all durations share the first bucket.
const EXPONENT_MIN: u32 = 9;
/// From 2⁴² ns (73 minutes) on, all share the last. Few will do where loom tries every order of all
/// their loads.
const EXPONENT_MAX: u32 = if cfg!(loom) { EXPONENT_MIN } else { 41 };
/// Number of buckets: 33 powers of two.
pub(super) const BUCKETS: usize = ((EXPONENT_MAX - EXPONENT_MIN + 1) << SUB_BUCKETS_LOG2) as usize;

/// Which bucket counts a duration in nanoseconds.
#[inline]
pub(super) fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.clamp(1 << EXPONENT_MIN, (1 << (EXPONENT_MAX + 1)) - 1);
    let exponent = nanos.ilog2();
    let sub_bucket = (nanos >> (exponent - SUB_BUCKETS_LOG2)) - (1 << SUB_BUCKETS_LOG2);
    let index = (u64::from(exponent - EXPONENT_MIN) << SUB_BUCKETS_LOG2) + sub_bucket;
    usize::try_from(index).expect("an index of at most 1055")
}

/// The least duration that `bucket` counts, in nanoseconds, and how many nanoseconds it spans.
fn span_of(bucket: usize) -> (u64, u64) {
    let bucket = u64::try_from(bucket).expect("a usize of at most 64 bits");
    let exponent = (bucket >> SUB_BUCKETS_LOG2) + u64::from(EXPONENT_MIN - SUB_BUCKETS_LOG2);
    let sub_bucket = bucket % (1 << SUB_BUCKETS_LOG2);
    (((1 << SUB_BUCKETS_LOG2) + sub_bucket) << exponent, 1 << exponent)
}

/// The middle of a bucket.
pub(super) fn middle_of(bucket: usize) -> Duration {
    let (least, width) = span_of(bucket);
    Duration::from_nanos(least + width / 2)
}

#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64; BUCKETS]>,
    sum_nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Box::new(std::array::from_fn(|_| AtomicU64::new(0))), sum_nanos: AtomicU64::new(0) }
    }
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&self, writers: Writers, nanos: u64) {
        writers.add(&self.buckets[bucket_of(nanos)], 1);
        writers.add(&self.sum_nanos, nanos);
    }

    pub(crate) fn add_to(&self, distribution: &mut Distribution) {
        let counts = self.buckets.iter().map(|count| count.load(Relaxed));
        distribution.add(counts, Duration::from_nanos(self.sum_nanos.load(Relaxed)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for bucket in 1..BUCKETS {
            let (before, width) = span_of(bucket - 1);
            let (least, _) = span_of(bucket);
            assert_eq!(before + width, least, "between {} and {bucket}", bucket - 1);
            assert_eq!(bucket_of(least), bucket);
            assert_eq!(bucket_of(least - 1), bucket - 1);
        }
    }

    #[test]
    fn extremes_are_counted_at_the_ends() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_bucket_stands_for_its_values_within_three_percent(nanos in 1_000_u64..=3_600_000_000_000) {
            let seconds = Duration::from_nanos(nanos).as_secs_f64();
            let shown = middle_of(bucket_of(nanos)).as_secs_f64();
            prop_assert!((shown / seconds - 1.0).abs() <= 0.03, "{nanos} ns shown as {shown} s");
        }
    }
}
