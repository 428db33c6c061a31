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

/// Sorts and places points. Without a stated bucket it is [`inferred`]. `counted` points already are buckets: where none is, nothing came in.
pub(super) fn place(
    mut points: Vec<Point>,
    stated: Option<Duration>,
    counted: bool,
    hygiene: &mut Hygiene,
) -> Result<Placed, TraceError> {
    hygiene.unsorted += points.windows(2).filter(|pair| pair[1].at_ms < pair[0].at_ms).count();
    points.sort_by_key(|point| point.at_ms);
    if points.is_empty() {
        return Err(TraceError::Empty(hygiene.broken.first().cloned()));
    }
    let bucket_ms = match stated {
        Some(length) => u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        None => inferred(&mut points, hygiene)?,
    };
    if bucket_ms == 0 {
        return Err(TraceError::Grid("a bucket must be at least 1 ms long".to_owned()));
    }
    let (first_ms, last_ms) = (points[0].at_ms, points[points.len() - 1].at_ms);
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

/// The length of a bucket: the largest step of which every distance between two points is a multiple.
/// Where most buckets would be empty then, clocks may have wandered: if nearly all times lie near a
/// grid of the usual distance, that is it; rows between two of its buckets are rejected.
fn inferred(points: &mut Vec<Point>, hygiene: &mut Hygiene) -> Result<u64, TraceError> {
    let mut distances: Vec<u64> = distances(points).map(|(_, distance)| distance).collect();
    let Some(step) = distances.iter().copied().reduce(common) else {
        return Err(TraceError::Grid(
            "one point in time says nothing of its length; state --bucket, as in --bucket 60s".to_owned(),
        ));
    };
    let is_dense = 2 * points.len() as u64 > distances.iter().sum::<u64>() / step;
    let middle = (distances.len() - 1) / 2;
    let usual = *distances.select_nth_unstable(middle).1;
    if step == usual || is_dense {
        return Ok(step);
    }
    let usual = even(usual);
    let first_ms = points[0].at_ms;
    let aside_ms = |point: &Point| {
        let into_bucket = (point.at_ms - first_ms) % usual;
        into_bucket.min(usual - into_bucket)
    };
    let near = points.iter().filter(|point| aside_ms(point) <= usual / 4).count();
    if near * 100 < points.len() * NEAR_PERCENT {
        return collapsed(points).map_or(Ok(step), Err);
    }
    let beside = points.iter().filter(|point| aside_ms(point) > 0).count();
    hygiene.notes.push(format!(
        "{beside} of {} times lie beside a grid of {} s, which nearly all others are near: taken as on it",
        points.len(),
        usual as f64 / 1e3
    ));
    points.retain(|point| {
        let is_near = aside_ms(point) <= usual / 4;
        if !is_near {
            hygiene.reject(point.line, "its time lies between two buckets");
        }
        is_near
    });
    Ok(usual)
}

/// Share of the points that must lie near a grid that some are beside.
const NEAR_PERCENT: usize = 95;
/// Lengths that people choose for buckets, in seconds.
const USUAL_S: [u64; 18] =
    [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 21_600, 86_400];

/// The length that somebody will have meant by this one, in milliseconds: by clocks that wander it is
/// off by a twentieth at most.
fn even(length_ms: u64) -> u64 {
    let meant = |usual_s: &u64| length_ms.abs_diff(usual_s * 1_000) * 20 <= length_ms;
    USUAL_S.into_iter().find(meant).map_or(length_ms, |usual_s| usual_s * 1_000)
}

/// Distances between points that follow each other, with the later one; none is 0.
fn distances(points: &[Point]) -> impl Iterator<Item = (&Point, u64)> {
    let pairs = points.windows(2).map(|pair| (&pair[1], pair[1].at_ms - pair[0].at_ms));
    pairs.filter(|(_, distance)| *distance > 0)
}

/// The greatest common divisor.
fn common(mut large: u64, mut small: u64) -> u64 {
    while small > 0 {
        (small, large) = (large % small, small);
    }
    large
}

/// Times that wander by a little share only a tiny step: that is no grid.
fn collapsed(points: &[Point]) -> Option<TraceError> {
    let mut step = 0;
    for (point, distance) in distances(points) {
        let before = step;
        step = common(distance, step);
        if step * 100 < before {
            return Some(TraceError::Grid(format!(
                "line {}: its time is on no grid with those before it (steps of {} s, then {} s); state \
                 --bucket, as in --bucket 60s",
                point.line,
                before as f64 / 1e3,
                distance as f64 / 1e3,
            )));
        }
    }
    None
}
