//! At what steps readings change at all: a source that says something new each five minutes is
//! known for the rest of them, and forecast five minutes at a time.

use std::collections::VecDeque;

/// Changes that the period is taken from: enough that a chance coincidence does not last, few
/// enough that a source which becomes finer is followed soon.
const CHANGES: usize = 32;
/// Changes before there is a period.
const CHANGES_MIN: usize = 3;
/// Relative difference below which two readings are the same.
const SAME: f64 = 1e-9;

/// The greatest common step of all recent changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Grid {
    changes: VecDeque<u64>,
    last: Option<f64>,
    period: Option<u64>,
}

impl Grid {
    /// The reading of `slot`.
    pub(super) fn push(&mut self, slot: u64, value: f64) {
        let Some(last) = self.last.replace(value) else { return };
        if (value - last).abs() <= SAME * value.abs().max(last.abs()) {
            return;
        }
        self.changes.push_back(slot);
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
        }
        if self.changes.len() >= CHANGES_MIN {
            let gaps = self.changes.iter().zip(self.changes.iter().skip(1)).map(|(from, to)| to - from);
            self.period = Some(gaps.fold(0, common)).filter(|period| *period > 0);
        }
    }

    /// A slot without a reading.
    pub(super) fn gap(&mut self) {
        self.last = None;
    }

    /// Slots between two possible changes.
    pub(super) fn period(&self) -> Option<u64> {
        self.period
    }

    /// The bucket that `slot` belongs to, and how many of its slots are over with it.
    pub(super) fn place(&self, slot: u64) -> Option<(u64, u64)> {
        let (period, change) = (self.period?, *self.changes.back()?);
        let phase = change % period;
        // One period is added so that slots before the first whole bucket count too.
        let since = slot + period - phase;
        Some((since / period, since % period + 1))
    }
}

fn common(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { common(right, left % right) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(bucket: u64, slots: u64) -> Grid {
        let mut grid = Grid::default();
        for slot in 0..slots {
            // Offset by two slots: buckets need not begin with the first reading.
            let bucket = (slot + 2) / bucket;
            grid.push(slot, (bucket.wrapping_mul(2_654_435_769) % 97) as f64);
        }
        grid
    }

    #[test]
    fn the_step_of_the_source_is_found() {
        for bucket in [1, 4, 20] {
            let grid = grid(bucket, bucket * 12);
            assert_eq!(grid.period(), Some(bucket));
            let last = bucket * 12 - 1;
            let (_, over) = grid.place(last).unwrap();
            assert_eq!(over, (last + 2) % bucket + 1);
            let (here, _) = grid.place(last - over).unwrap();
            assert_eq!(grid.place(last).unwrap().0, here + 1, "the bucket before");
        }
    }

    #[test]
    fn nothing_is_known_of_what_never_changes() {
        let mut grid = Grid::default();
        for slot in 0..100 {
            grid.push(slot, 5.0);
        }
        assert_eq!((grid.period(), grid.place(100)), (None, None));
    }
}
