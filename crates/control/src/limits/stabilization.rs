//! Stabilization windows as in Kubernetes: of the recommendations of a window, the lowest
//! counts on the way up and the highest on the way down; the result stays between the two
//! (kubernetes/kubernetes#97348).

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::bend::{Bend, Listener, Way};
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

/// Recommendations of a window, before any limit: only those that no later one outdoes, so the
/// oldest is the winner.
#[derive(Clone, Debug, Default)]
struct Kept(VecDeque<PastRecommendation>);

impl Kept {
    /// The winner of the window that ends now; what lies before it is forgotten.
    #[inline]
    fn winner(&mut self, now: Timestamp, window: Duration) -> Option<PastRecommendation> {
        while let Some(oldest) = self.0.front() {
            if after(oldest.at, now, window) {
                return Some(*oldest);
            }
            self.0.pop_front();
        }
        None
    }

    /// Takes up a recommendation; it outdoes all of which `outdone` says so.
    fn push(&mut self, new: PastRecommendation, outdone: impl Fn(u32) -> bool) {
        while self.0.back().is_some_and(|old| outdone(old.replicas)) {
            self.0.pop_back();
        }
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(new);
    }
}

/// Recommendations of both windows.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    lowest: Kept,
    highest: Kept,
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
            self.lowest.push(new, |old| old >= new.replicas);
        }
        if high {
            self.highest.push(new, |old| old <= new.replicas);
        }
    }

    /// Another number, if recent recommendations say otherwise than what was asked for.
    pub(super) fn limit<L: Listener>(&mut self, at: Timestamp, way: &mut Way<L>, windows: &Windows) {
        if windows.up.is_zero() && windows.down.is_zero() {
            return;
        }
        let (current, asked) = (way.current, way.replicas);
        let now = self.latest.map_or(at, |latest| latest.max(at));
        self.latest = Some(now);
        let low = self.lowest.winner(now, windows.up);
        let high = self.highest.winner(now, windows.down);
        self.remember(now, asked, windows);

        let up = low.map_or(asked, |low| low.replicas.min(asked));
        let down = high.map_or(asked, |high| high.replicas.max(asked));
        let replicas = current.max(up).min(down);
        if replicas == asked {
            return;
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
        way.pass(Some(Bend { rule: "stabilization", replicas, why }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Limited;
    use super::super::bend::Nobody;
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
            let mut way = Way { current, replicas: asked, listener: &mut Nobody };
            memory.limit(moment(at), &mut way, &windows);
            assert_eq!(way.replicas, expected, "{why}");
        }
    }

    #[test]
    fn it_says_until_when() {
        let windows = Windows { up: Duration::ZERO, down: Duration::from_secs(300) };
        let mut memory = Memory::default();
        memory.remember(moment(0.0), 5, &windows);
        let mut limited = Limited::default();
        let mut way = Way { current: 5, replicas: 2, listener: &mut limited };
        memory.limit(moment(60.0), &mut way, &windows);
        assert_eq!(way.replicas, 5);
        let [blocked] = &limited.blocked_by[..] else { panic!("{limited:?}") };
        assert_eq!(blocked.until, Some(moment(300.0)));
        assert_eq!(blocked.because.to_string(), "the highest of the last 300 s counts: 5, not 2");
    }

    proptest! {
        /// Against a list of everything that was ever asked for.
        #[test]
        fn what_is_forgotten_would_not_have_won(
            turns in proptest::collection::vec((0_u32..40, 0_u32..9, 0_u32..9), 1..60),
            up_s in 0_u64..60,
            down_s in 0_u64..60,
        ) {
            let windows = Windows { up: Duration::from_secs(up_s), down: Duration::from_secs(down_s) };
            let (mut memory, mut all, mut now_s) = (Memory::default(), Vec::new(), 0.0);
            for (later_s, current, asked) in turns {
                now_s += f64::from(later_s);
                let within = |window: Duration| {
                    let since_s = now_s - window.as_secs_f64();
                    all.iter().filter(move |(at_s, _)| *at_s > since_s).map(|(_, replicas)| *replicas)
                };
                let low = within(windows.up).min().unwrap_or(asked).min(asked);
                let high = within(windows.down).max().unwrap_or(asked).max(asked);
                let mut way = Way { current, replicas: asked, listener: &mut Nobody };
                memory.limit(moment(now_s), &mut way, &windows);
                prop_assert_eq!(way.replicas, current.max(low).min(high));
                all.push((now_s, asked));
            }
        }
    }
}
