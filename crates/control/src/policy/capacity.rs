//! How AWS changes a capacity: kinds of adjustments, rounding of percentages, and which
//! instances count while some still warm up.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::fleet::status::State;
use crate::number;
use crate::observation::Observation;

/// What an adjustment's number means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum AdjustmentType {
    /// So many more or fewer.
    #[default]
    #[serde(rename = "ChangeInCapacity")]
    Change,
    /// Exactly so many.
    #[serde(rename = "ExactCapacity")]
    Exact,
    /// So many percent more or fewer.
    #[serde(rename = "PercentChangeInCapacity")]
    PercentChange,
}

/// `adjustment` applied to `capacity`. Changes by a percentage are rounded towards zero, but
/// never to nothing, and are at least `least`.
pub(super) fn adjusted(capacity: u32, kind: AdjustmentType, adjustment: i64, least: Option<u32>) -> u32 {
    match kind {
        AdjustmentType::Change => number::changed(capacity, adjustment),
        AdjustmentType::Exact => number::changed(0, adjustment),
        AdjustmentType::PercentChange => {
            let change = percent_of(capacity, adjustment);
            let least = i64::from(least.unwrap_or(0));
            let change = match change {
                1.. => change.max(least),
                0 => 0,
                _ => change.min(-least),
            };
            number::changed(capacity, change)
        }
    }
}

/// 12.7 → 12, 0.67 → 1, −0.58 → −1, −6.67 → −6.
fn percent_of(capacity: u32, percent: i64) -> i64 {
    let hundredths = i64::from(capacity).saturating_mul(percent);
    match hundredths {
        0 => 0,
        1..=99 => 1,
        -99..=-1 => -1,
        _ => hundredths / 100,
    }
}

/// Instances that do not count yet, and when the last of them will.
pub(super) fn warming(seen: &Observation, warm_up: Duration) -> (u32, Option<Timestamp>) {
    let (mut count, mut until) = (0, None);
    for worker in &seen.workers {
        let since = match worker.state {
            State::Starting => seen.at,
            State::Ready => worker.ready_at.unwrap_or(worker.since),
            _ => continue,
        };
        let end = since.saturating_add(warm_up).unwrap_or(Timestamp::MAX);
        if worker.state == State::Starting || end > seen.at {
            count += 1;
            until = until.max(Some(end));
        }
    }
    (u32::min(count, seen.fleet.desired), until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjustments() {
        use AdjustmentType::{Change, Exact, PercentChange};
        let rows = [
            (10, Change, 3, None, 13),
            (2, Change, -5, None, 0),
            (10, Exact, 5, None, 5),
            (10, PercentChange, 10, None, 11),
            (10, PercentChange, 30, None, 13),
            (10, PercentChange, -30, None, 7),
            (127, PercentChange, 10, None, 139),
            (67, PercentChange, 1, None, 68),
            (58, PercentChange, -1, None, 57),
            (667, PercentChange, -1, None, 661),
            (4, PercentChange, 25, Some(2), 6),
            (4, PercentChange, -25, Some(2), 2),
            (40, PercentChange, 25, Some(2), 50),
            (0, PercentChange, 50, Some(2), 0),
        ];
        for (capacity, kind, adjustment, least, expected) in rows {
            assert_eq!(
                adjusted(capacity, kind, adjustment, least),
                expected,
                "{capacity} {kind:?} {adjustment}"
            );
        }
    }
}
