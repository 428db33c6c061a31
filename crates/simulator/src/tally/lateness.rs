//! The lateness ledger: each time in which workers were missing until a scale-out ended it, and
//! what that time was spent on.

use serde::Serialize;

use crate::number::seconds;

/// Scale-outs that are kept one by one, the latest of all; the others only count in the sums.
const KEPT_MAX: usize = 50;

/// Sums over all scale-outs that came late, and the worst of them. Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// Times in which workers were missing and a scale-out ended it.
    pub episodes: u64,
    /// From the first missing worker to the next decision.
    pub detect_s: f64,
    /// From that decision to the one that scaled out.
    pub decide_s: f64,
    /// From that one until its first worker was ready.
    pub start_s: f64,
    /// From then until enough were.
    pub ready_s: f64,
    /// From then until the last of them worked at full speed.
    pub slow_start_s: f64,
    /// Those that took longest, in order of time.
    pub scale_outs: Vec<LateScaleOut>,
}

/// One scale-out that came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LateScaleOut {
    /// When the first worker was missing, from the start of the load.
    pub at_s: f64,
    /// Workers ordered until enough were ready.
    pub workers: u32,
    /// Load that met no worker meanwhile, in worker-seconds.
    pub missing: f64,
    /// As in [`Lateness`].
    pub detect_s: f64,
    /// As in [`Lateness`].
    pub decide_s: f64,
    /// As in [`Lateness`].
    pub start_s: f64,
    /// As in [`Lateness`].
    pub ready_s: f64,
    /// As in [`Lateness`].
    pub slow_start_s: f64,
}

impl LateScaleOut {
    /// All of it.
    pub fn total_s(&self) -> f64 {
        self.detect_s + self.decide_s + self.start_s + self.ready_s + self.slow_start_s
    }
}

/// A time in which workers are missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Episode {
    from_ms: u64,
    until_ms: u64,
    missing: f64,
    turn_ms: Option<u64>,
    out_ms: Option<u64>,
    ready_ms: u64,
    workers: u32,
}

impl Episode {
    pub(super) fn begin(from_ms: u64) -> Self {
        Self {
            from_ms,
            until_ms: from_ms,
            missing: 0.0,
            turn_ms: None,
            out_ms: None,
            ready_ms: 0,
            workers: 0,
        }
    }

    /// It goes on until then, with so many worker-seconds missing; its length so far.
    pub(super) fn go_on(&mut self, until_ms: u64, missing: f64) -> f64 {
        self.until_ms = until_ms;
        self.missing += missing;
        seconds(until_ms - self.from_ms)
    }

    /// A decision was taken in it.
    pub(super) fn decided(&mut self, at_ms: u64, change: i64, start_up_ms: u64) {
        self.turn_ms.get_or_insert(at_ms);
        if change > 0 {
            self.workers = self.workers.saturating_add(u32::try_from(change).unwrap_or(u32::MAX));
            if self.out_ms.is_none() {
                self.out_ms = Some(at_ms);
                self.ready_ms = at_ms.saturating_add(start_up_ms);
            }
        }
    }
}

impl Lateness {
    /// Enters an episode that is over, where a scale-out ended it. New workers are slow for
    /// `warm_up_ms`.
    pub(super) fn enter(&mut self, episode: &Episode, warm_up_ms: u64) {
        let (Some(turn_ms), Some(out_ms)) = (episode.turn_ms, episode.out_ms) else { return };
        let ready_ms = episode.ready_ms.min(episode.until_ms);
        let came = episode.until_ms >= episode.ready_ms;
        let one = LateScaleOut {
            at_s: seconds(episode.from_ms),
            workers: episode.workers,
            missing: episode.missing,
            detect_s: seconds(turn_ms - episode.from_ms),
            decide_s: seconds(out_ms - turn_ms),
            start_s: seconds(ready_ms.saturating_sub(out_ms)),
            ready_s: seconds(episode.until_ms - ready_ms),
            slow_start_s: if came { seconds(warm_up_ms) } else { 0.0 },
        };
        self.episodes += 1;
        self.detect_s += one.detect_s;
        self.decide_s += one.decide_s;
        self.start_s += one.start_s;
        self.ready_s += one.ready_s;
        self.slow_start_s += one.slow_start_s;
        self.keep(one);
    }

    fn keep(&mut self, one: LateScaleOut) {
        if self.scale_outs.len() == KEPT_MAX {
            let totals = self.scale_outs.iter().map(LateScaleOut::total_s).enumerate();
            let Some((place, least)) = totals.min_by(|(_, one), (_, other)| one.total_cmp(other)) else {
                return;
            };
            if least >= one.total_s() {
                return;
            }
            self.scale_outs.remove(place);
        }
        self.scale_outs.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_episode() {
        // Missing from 10 s on; a turn at 15 s says nothing, one at 30 s orders 2, one at 45 s 1
        // more; the first is ready at 60 s, enough are at 75 s.
        let mut episode = Episode::begin(10_000);
        episode.go_on(15_000, 5.0);
        episode.decided(15_000, 0, 30_000);
        episode.decided(30_000, 2, 30_000);
        episode.decided(45_000, 1, 30_000);
        assert!((episode.go_on(75_000, 60.0) - 65.0).abs() < 1e-9);
        let mut lateness = Lateness::default();
        lateness.enter(&episode, 20_000);
        let one = LateScaleOut {
            at_s: 10.0,
            workers: 3,
            missing: 65.0,
            detect_s: 5.0,
            decide_s: 15.0,
            start_s: 30.0,
            ready_s: 15.0,
            slow_start_s: 20.0,
        };
        assert_eq!(lateness.scale_outs, [one]);
        assert_eq!((lateness.episodes, lateness.ready_s), (1, 15.0));
    }

    #[test]
    fn without_a_scale_out_there_is_no_entry_and_only_the_worst_are_kept() {
        let mut lateness = Lateness::default();
        lateness.enter(&Episode::begin(0), 0);
        assert_eq!(lateness, Lateness::default());
        for length_ms in (1..=200).map(|at| at * 1_000) {
            let mut episode = Episode::begin(0);
            episode.decided(0, 1, 0);
            episode.go_on(length_ms, 0.0);
            lateness.enter(&episode, 0);
        }
        assert_eq!((lateness.episodes, lateness.scale_outs.len()), (200, KEPT_MAX));
        let least = lateness.scale_outs.iter().map(LateScaleOut::total_s).fold(f64::INFINITY, f64::min);
        assert!((least - 151.0).abs() < 1e-9);
    }
}
