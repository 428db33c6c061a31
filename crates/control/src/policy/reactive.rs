//! What forecasting policies do while they have no forecast to trust: Kubernetes' rule on the load
//! itself, which unlike CPU does not end at 100 %.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::number;

/// Relative distance from the target within which nothing changes.
const TOLERANCE: f64 = 0.1;
/// Kubernetes' usual target, as a share of a worker.
pub(crate) const USUAL_TARGET: f64 = 0.7;
/// Kubernetes' usual window before scaling in, in seconds.
pub(crate) const USUAL_WINDOW_S: i64 = 300;

/// The highest of the wishes of a window.
#[derive(Clone, Debug)]
pub(crate) struct Highest {
    window: SignedDuration,
    /// Wishes of the window that nothing later exceeds, so falling from the front.
    wishes: VecDeque<(Timestamp, u32)>,
}

impl Highest {
    pub(crate) fn within(window: SignedDuration) -> Self {
        Self { window, wishes: VecDeque::new() }
    }

    /// Keeps wishes for another time from now on.
    pub(crate) fn keep_for(&mut self, window: SignedDuration) {
        self.window = window;
    }

    /// Takes another wish; the highest of the window that ends now.
    pub(crate) fn of(&mut self, at: Timestamp, wish: u32) -> u32 {
        let cutoff = at.saturating_sub(self.window).unwrap_or(Timestamp::MIN);
        while self.wishes.front().is_some_and(|(when, _)| *when <= cutoff) {
            self.wishes.pop_front();
        }
        while self.wishes.back().is_some_and(|(_, smaller)| *smaller <= wish) {
            self.wishes.pop_back();
        }
        self.wishes.push_back((at, wish));
        self.wishes.front().map_or(wish, |(_, highest)| *highest)
    }
}

/// Workers in proportion to the load, after the highest wish of a window.
#[derive(Clone, Debug)]
pub(crate) struct Reactive {
    target: f64,
    highest: Highest,
}

impl Default for Reactive {
    fn default() -> Self {
        Self::new(USUAL_TARGET, USUAL_WINDOW_S)
    }
}

impl Reactive {
    /// Aims at this utilisation, 0 to 1, and scales in after this many seconds.
    pub(crate) fn new(target: f64, window_s: i64) -> Self {
        Self { target, highest: Highest::within(SignedDuration::from_secs(window_s)) }
    }

    /// How many workers for `busy` of them at 100 %, when there are `before`.
    pub(crate) fn wish(&mut self, at: Timestamp, busy: f64, before: u32) -> u32 {
        let workers = f64::from(before.max(1));
        // In whole percent, as Kubernetes knows it.
        let percent = (100.0 * busy / workers).floor();
        let exact = workers * percent / 100.0 / self.target;
        let within = (exact / workers - 1.0).abs() <= TOLERANCE;
        self.highest.of(at, if within { before } else { number::count_up(exact) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::moment;

    #[test]
    fn it_rises_at_once_and_falls_after_the_window() {
        let mut reactive = Reactive::default();
        // second, busy workers, before, wish
        let rows = [
            (0.0, 1.4, 2, 2),
            (15.0, 1.5, 2, 2),
            (30.0, 2.2, 2, 4),
            (45.0, 0.7, 4, 4),
            (320.0, 0.7, 4, 4),
            (331.0, 0.7, 4, 1),
            (346.0, 0.7, 1, 1),
            (700.0, 1.5, 1, 3),
        ];
        for (second, busy, before, wish) in rows {
            assert_eq!(reactive.wish(moment(second), busy, before), wish, "at {second} s");
        }
    }
}
