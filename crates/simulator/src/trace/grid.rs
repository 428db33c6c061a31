//! Puts readings on an even grid: gaps stay gaps, and nothing is filled in.

use std::time::Duration;

use super::{BUCKETS_MAX, Hygiene, Point, TraceError};
use crate::number::index;

/// Where so many buckets stand for one reading, the bucket is not what was recorded but the length
/// of a typing error,
pub(super) const BUCKETS_PER_READING_MAX: usize = 1_000;
/// unless the trace is short anyway.
pub(super) const SPARSE_BUCKETS_MAX: u64 = 1_000_000;

/// Values on their grid.
pub(super) struct Placed {
    pub(super) bucket: Duration,
    /// Time of the first bucket, counted as the points were.
    pub(super) first_ms: u64,
    pub(super) values: Vec<Option<f64>>,
}

/// Sorts and places points. Without a stated bucket it is the largest that fits all time
/// stamps. `counted` points already are buckets: where none is, nothing came in.
pub(super) fn place(
    mut points: Vec<Point>,
    stated: Option<Duration>,
    counted: bool,
    hygiene: &mut Hygiene,
) -> Result<Placed, TraceError> {
    hygiene.unsorted += points.windows(2).filter(|pair| pair[1].at_ms < pair[0].at_ms).count();
    points.sort_by_key(|point| point.at_ms);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(TraceError::Empty(hygiene.broken.first().cloned()));
    };
    let (first_ms, last_ms) = (first.at_ms, last.at_ms);
    let bucket_ms = match stated {
        Some(length) => u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        None => inferred(&points)?,
    };
    if bucket_ms == 0 {
        return Err(TraceError::Grid("a bucket must be at least 1 ms long".to_owned()));
    }
    let place_of = |at_ms: u64| (at_ms - first_ms + bucket_ms / 2) / bucket_ms;
    let length = place_of(last_ms) + 1;
    if length > BUCKETS_MAX {
        return Err(TraceError::Grid(format!(
            "{length} buckets of {bucket_ms} ms are too many (at most {BUCKETS_MAX}); state a longer --bucket"
        )));
    }
    let is_sparse = index(length) / BUCKETS_PER_READING_MAX > points.len();
    if !counted && is_sparse && length > SPARSE_BUCKETS_MAX {
        return Err(TraceError::Grid(format!(
            "{} readings in {length} buckets of {bucket_ms} ms: nearly all would be gaps; state a longer --bucket",
            points.len()
        )));
    }
    let mut values = vec![counted.then_some(0.0); index(length)];
    let mut filled = vec![false; values.len()];
    for point in &points {
        let at = index(place_of(point.at_ms));
        if std::mem::replace(&mut filled[at], true) {
            hygiene.repeated += 1;
        } else {
            values[at] = Some(point.value);
        }
    }
    hygiene.gaps = values.iter().filter(|value| value.is_none()).count();
    Ok(Placed { bucket: Duration::from_millis(bucket_ms), first_ms, values })
}

/// The largest step of which every distance between two points is a multiple.
fn inferred(points: &[Point]) -> Result<u64, TraceError> {
    let mut step = 0;
    for pair in points.windows(2) {
        let (mut small, mut large) = (pair[1].at_ms - pair[0].at_ms, step);
        while small > 0 {
            (small, large) = (large % small, small);
        }
        let before = std::mem::replace(&mut step, large);
        // Times that wander by a little share only a tiny step: that is no grid.
        if before > 0 && step * 100 < before {
            return Err(TraceError::Grid(format!(
                "line {}: its time is on no grid with those before it (steps of {} s, then {} s); state \
                 --bucket, as in --bucket 60s",
                pair[1].line,
                before as f64 / 1e3,
                (pair[1].at_ms - pair[0].at_ms) as f64 / 1e3,
            )));
        }
    }
    if step == 0 {
        return Err(TraceError::Grid(
            "one point in time says nothing of its length; state --bucket, as in --bucket 60s".to_owned(),
        ));
    }
    Ok(step)
}
