//! One row a request: times in, counts per bucket out.

use std::time::Duration;

use jiff::Timestamp;

use super::grid::{BUCKETS_PER_READING_MAX, SPARSE_BUCKETS_MAX};
use super::table::{self, Written};
use super::{BUCKETS_MAX, Hygiene, Kind, Point, Raw, TraceError};
use crate::number::{index, millis};

/// Requests are counted per second up to this length, per minute beyond it: what happens
/// within a second of a day decides nothing.
const SECONDS_UP_TO: f64 = 6.0 * 3_600.0;

/// Single requests by time.
pub(super) struct Arrivals {
    /// Seconds since the earliest, ascending.
    pub(super) times: Vec<f64>,
    /// When the earliest came, where that is known.
    pub(super) start: Option<Timestamp>,
}

impl Arrivals {
    /// Sorts and counts from the earliest.
    pub(super) fn new(mut times: Vec<f64>, start: Option<Timestamp>, hygiene: &mut Hygiene) -> Self {
        hygiene.unsorted += times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        times.sort_by(f64::total_cmp);
        let first = times.first().copied().unwrap_or(0.0);
        for time in &mut times {
            *time -= first;
        }
        Self { times, start }
    }
}

/// Reads the one column `time_s`.
pub(super) fn read(text: &str, hygiene: &mut Hygiene) -> Result<Arrivals, TraceError> {
    let (mut times, mut start) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        hygiene.rows += 1;
        match table::time(line.trim()) {
            Some(Written::Seconds(seconds)) if millis(seconds).is_some() => times.push(seconds),
            Some(Written::Moment(moment)) => {
                times.push(moment.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64());
                start = Some(start.map_or(moment, |earliest: Timestamp| earliest.min(moment)));
            }
            _ => hygiene.reject(at + 1, format!("`{}` is no time", line.trim())),
        }
    }
    Ok(Arrivals::new(times, start, hygiene))
}

/// Counts per bucket; the times go along for engines that want single requests.
///
/// # Errors
/// When so many buckets would be empty that one of the times is surely wrong.
pub(super) fn count(
    arrivals: Arrivals,
    stated: Option<Duration>,
) -> Result<(Raw, Option<Vec<f64>>), TraceError> {
    let length = arrivals.times.last().copied().unwrap_or(0.0);
    let automatic = Duration::from_secs(if length <= SECONDS_UP_TO { 1 } else { 60 });
    let bucket_s = stated.unwrap_or(automatic).max(Duration::from_millis(1)).as_secs_f64();
    let bucket_ms = millis(bucket_s).unwrap_or(1);
    let buckets = crate::number::count((length / bucket_s).floor());
    let is_sparse = index(buckets) / BUCKETS_PER_READING_MAX > arrivals.times.len();
    if buckets > BUCKETS_MAX || (is_sparse && buckets > SPARSE_BUCKETS_MAX) {
        return Err(TraceError::Grid(format!(
            "{} requests in {buckets} buckets of {bucket_s} s: nearly all would be empty; state a longer --bucket",
            arrivals.times.len()
        )));
    }
    let mut counts: Vec<f64> = Vec::new();
    for time in &arrivals.times {
        // Which bucket it falls into, computed as the loads of a bucket are: by floor.
        let at = index(crate::number::count((time / bucket_s).floor()));
        if counts.len() <= at {
            counts.resize(at + 1, 0.0);
        }
        counts[at] += 1.0;
    }
    let points = (0_u64..).zip(counts).map(|(at, value)| Point { line: 0, at_ms: at * bucket_ms, value });
    let raw = Raw { points: points.collect(), kind: Some(Kind::RequestsPerBucket), start: arrivals.start };
    Ok((raw, Some(arrivals.times)))
}
