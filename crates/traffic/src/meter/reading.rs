//! What a meter had counted at one moment, and the window between two such moments.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::histogram::{BUCKETS, bucket_of, middle_of};
use crate::{Latency, Window};

/// Totals since the meter was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it was taken.
    pub at: Timestamp,
    /// Requests that came in.
    pub arrivals: u64,
    /// Requests answered by a worker with a status below 500.
    pub completions: u64,
    /// Requests answered by a worker with a status of 500 or more.
    pub errors: u64,
    /// Requests whose answer broke off after its head.
    pub broken: u64,
    /// Requests that we answered in a worker's stead, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Requests whose client went away before they ended.
    pub cancelled: u64,
    /// Times that a request was sent to a worker once more.
    pub retries: u64,
    /// Requests waiting for a worker at that moment: a gauge, not a total.
    pub queued: u64,
    /// Answers by class of status: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub statuses: [u64; 5],
    /// Of requests that ended, from arrival to the last of the answer.
    pub latency: Distribution,
    /// Of requests that left the waiting queue.
    pub queue_wait: Distribution,
}

impl Reading {
    /// Nothing counted yet, at `at`: where a reader of windows starts.
    pub fn empty(at: Timestamp) -> Self {
        Self {
            at,
            arrivals: 0,
            completions: 0,
            errors: 0,
            broken: 0,
            refused: BTreeMap::new(),
            cancelled: 0,
            retries: 0,
            queued: 0,
            statuses: [0; 5],
            latency: Distribution::default(),
            queue_wait: Distribution::default(),
        }
    }

    /// Requests that a worker answered whole, whatever the status.
    pub fn answered(&self) -> u64 {
        self.completions + self.errors
    }

    /// Requests that ended otherwise than completed or cancelled: 5xx, broken off, refused.
    pub fn failures(&self) -> u64 {
        self.errors + self.broken + self.refused.values().sum::<u64>()
    }

    /// Requests that have come in and not ended, those waiting included.
    pub fn open(&self) -> u64 {
        self.arrivals.saturating_sub(self.completions + self.failures() + self.cancelled)
    }

    /// What happened since `earlier`, an earlier reading of the same meter.
    pub fn since(&self, earlier: &Self) -> Window {
        let latency = self.latency.since(&earlier.latency);
        let percentile = |share| latency.quantile(share);
        let at_workers = self.open().saturating_sub(self.queued);
        Window {
            length: Duration::try_from(self.at.duration_since(earlier.at)).unwrap_or_default(),
            arrivals: self.arrivals.saturating_sub(earlier.arrivals),
            completions: self.completions.saturating_sub(earlier.completions),
            failures: self.failures().saturating_sub(earlier.failures()),
            in_flight: u32::try_from(at_workers).unwrap_or(u32::MAX),
            queued: u32::try_from(self.queued).unwrap_or(u32::MAX),
            latency: percentile(0.50)
                .zip(percentile(0.95))
                .zip(percentile(0.99))
                .map(|((p50, p95), p99)| Latency { p50, p95, p99 }),
            queue_wait_max: self.queue_wait.since(&earlier.queue_wait).max().unwrap_or_default(),
        }
    }
}

/// How often which duration was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    buckets: Vec<u64>,
    sum: Duration,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], sum: Duration::ZERO }
    }
}

impl Distribution {
    pub(super) fn add(&mut self, counts: impl Iterator<Item = u64>, sum: Duration) {
        for (bucket, count) in self.buckets.iter_mut().zip(counts) {
            *bucket += count;
        }
        self.sum += sum;
    }

    /// Takes those of another in.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.buckets.iter().copied(), other.sum);
    }

    /// How many durations were seen.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many were at most `bound`; exact to the bucket that `bound` is in, 3 % wide.
    pub fn at_most(&self, bound: Duration) -> u64 {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[..=bucket_of(nanos)].iter().sum()
    }

    /// The duration that `share` (0–1) of them did not exceed, within 3 %; `None` for none seen.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = (count as f64 * share).ceil().max(1.0);
        let mut seen = 0;
        let reached = |in_bucket: &u64| {
            seen += in_bucket;
            seen as f64 >= wanted
        };
        self.buckets.iter().position(reached).map(middle_of)
    }

    /// The longest, within 3 %.
    pub fn max(&self) -> Option<Duration> {
        self.buckets.iter().rposition(|&count| count > 0).map(middle_of)
    }

    /// Those seen since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |(now, before): (&u64, &u64)| now.saturating_sub(*before);
        Self {
            buckets: self.buckets.iter().zip(&earlier.buckets).map(difference).collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }
}
