//! Stabilization windows as in Kubernetes: of the recommendations of a window, the lowest
//! counts on the way up and the highest on the way down; the result stays between the two
//! (kubernetes/kubernetes#97348).

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::bend::{Bend, Why};
use crate::decision::Because;
use crate::observation::PastRecommendation;
use crate::span;

/// Longest window: an hour, as in Kubernetes. It bounds the memory together with the turns.
const WINDOW_MAX: Duration = Duration::from_secs(3_600);

/// Recommendations that are kept at most: an hour at 36 ms. Only those that can still win
/// are kept at all, so a steady pool keeps one.
const KEPT_MAX: usize = 100_000;

/// How far back each direction looks; zero: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    /// Before more.
    #[serde(with = "span")]
    pub up: Duration,
    /// Before fewer.
    #[serde(with = "span")]
    pub down: Duration,
}

impl Windows {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.up.max(self.down) > WINDOW_MAX {
            return Err("a stabilization window may be at most 1h".to_owned());
        }
        Ok(())
    }
}

/// Recommendations of the windows, before any limit. Each queue holds only those that no
/// later one outdoes, so its front is the winner.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    lowest: VecDeque<PastRecommendation>,
    highest: VecDeque<PastRecommendation>,
    /// Time never runs backwards here, whatever the observations say.
    latest: Option<Timestamp>,
}

impl Memory {
    pub(super) fn load(&mut self, past: &[PastRecommendation]) {
        for known in past {
            self.push(*known, true, true);
        }
    }

    /// Takes up a recommendation, where a window looks back at all.
    pub(super) fn remember(&mut self, at: Timestamp, replicas: u32, windows: &Windows) {
        self.push(PastRecommendation { at, replicas }, !windows.up.is_zero(), !windows.down.is_zero());
    }

    #[inline]
    fn push(&mut self, new: PastRecommendation, low: bool, high: bool) {
        if low {
            while self.lowest.pop_back_if(|old| old.replicas >= new.replicas).is_some() {}
            self.lowest.push_back(new);
        }
        if high {
            while self.highest.pop_back_if(|old| old.replicas <= new.replicas).is_some() {}
            self.highest.push_back(new);
        }
        for queue in [&mut self.lowest, &mut self.highest] {
            if queue.len() > KEPT_MAX {
                queue.pop_front();
            }
        }
    }

    /// Another number, if recent recommendations say otherwise than `asked`.
    pub(super) fn limit(
        &mut self,
        at: Timestamp,
        current: u32,
        asked: u32,
        windows: &Windows,
    ) -> Option<Bend<impl FnOnce() -> Why>> {
        if windows.up.is_zero() && windows.down.is_zero() {
            return None;
        }
        let now = self.latest.map_or(at, |latest| latest.max(at));
        self.latest = Some(now);
        while self.lowest.pop_front_if(|old| !after(old.at, now, windows.up)).is_some() {}
        while self.highest.pop_front_if(|old| !after(old.at, now, windows.down)).is_some() {}
        let low = self.lowest.front().copied();
        let high = self.highest.front().copied();
        self.remember(now, asked, windows);

        let up = low.map_or(asked, |low| low.replicas.min(asked));
        let down = high.map_or(asked, |high| high.replicas.max(asked));
        let replicas = current.max(up).min(down);
        if replicas == asked {
            return None;
        }
        let (sentence, winner, window) = if asked >= current {
            ("the lowest of the last {window} s counts: {kept}, not {asked}", low, windows.up)
        } else {
            ("the highest of the last {window} s counts: {kept}, not {asked}", high, windows.down)
        };
        let why = move || {
            let numbers = [
                ("window", window.as_secs_f64()),
                ("kept", f64::from(replicas)),
                ("asked", f64::from(asked)),
            ];
            let until = winner.and_then(|winner| winner.at.saturating_add(window).ok());
            (Because::new(sentence, numbers), until)
        };
        Some(Bend { rule: "stabilization", replicas, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::moment;

    #[test]
    fn the_most_cautious_recommendation_of_a_window_counts() {
        let windows = Windows { up: Duration::from_secs(10), down: Duration::from_secs(30) };
        let mut memory = Memory::default();
        // at, current, asked, expected
        let rows = [
            (0.0, 3, 5, 5, "nothing before says otherwise"),
            (1.0, 5, 2, 5, "5 was asked for 1 s ago"),
            (5.0, 5, 8, 5, "2 was asked for 4 s ago; the present number is kept"),
            (10.9, 5, 8, 5, "2 was asked for less than 10 s ago"),
            (11.0, 5, 8, 8, "2 was asked for 10 s ago: no longer in the window"),
            (40.9, 8, 1, 8, "8 was asked for 29.9 s ago"),
            (41.1, 8, 1, 1, "the window of 30 s holds only 1"),
        ];
        for (at, current, asked, expected, why) in rows {
            let bend = memory.limit(moment(at), current, asked, &windows);
            assert_eq!(bend.map_or(asked, |bend| bend.replicas), expected, "{why}");
        }
    }

    #[test]
    fn it_says_until_when() {
        let windows = Windows { up: Duration::ZERO, down: Duration::from_secs(300) };
        let mut memory = Memory::default();
        memory.remember(moment(0.0), 5, &windows);
        let bend = memory.limit(moment(60.0), 5, 2, &windows).unwrap();
        let (replicas, (because, until)) = (bend.replicas, (bend.why)());
        assert_eq!((replicas, until), (5, Some(moment(300.0))));
        assert_eq!(because.to_string(), "the highest of the last 300 s counts: 5, not 2");
    }
}
