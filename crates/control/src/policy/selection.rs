//! Several ways to decide, each with a virtual pool of its own; the one whose pool was cheapest of
//! late leads.
//!
//! Every slot each candidate's pool is charged for its workers and, κ times, for the load that they
//! could not have carried. Costs fade with a half-life of a day. Once an hour, sooner at first, the
//! cheapest takes over if it is cheaper by more than the hysteresis.

mod candidate;
mod pool;

use self::candidate::Stakes;
pub(crate) use self::candidate::{Candidate, Moment};
use super::choice::Chooser;

/// Share by which another must be cheaper to take over.
const HYSTERESIS: f64 = 0.02;
/// Time in which a past cost loses half its weight.
const HALF_LIFE_S: f64 = 86_400.0;
/// Time between two looks at the costs, at most.
const LOOK_S: f64 = 3_600.0;
/// The same as a share of the time that was compared, while that is short.
const LOOK_SHARE: f64 = 0.125;
/// Slots compared before the first look.
const SLOTS_MIN: u32 = 8;
/// Time for which the prior beliefs about candidates count.
const PRIOR_S: f64 = 3_600.0;

/// The candidates, and who leads.
pub(crate) struct Selection {
    candidates: Vec<Candidate>,
    chooser: Chooser,
    stakes: Stakes,
    leader: usize,
    /// Slots and seconds in which all could be compared, and the load of that time, fading.
    compared: u32,
    compared_s: f64,
    load_s: f64,
    /// `compared_s` at the last look.
    looked_s: f64,
}

impl Selection {
    /// Among `candidates`, of which the first is the one to begin with; a missing worker-second costs
    /// `kappa` worker-seconds.
    pub(crate) fn among(candidates: Vec<Candidate>, kappa: f64) -> Self {
        Self {
            candidates,
            chooser: Chooser::default(),
            stakes: Stakes { kappa, bounds: (0, u32::MAX) },
            leader: 0,
            compared: 0,
            compared_s: 0.0,
            load_s: 0.0,
            looked_s: 0.0,
        }
    }

    /// Every pool keeps to these.
    pub(crate) fn bounds(&mut self, min: u32, max: u32) {
        self.stakes.bounds = (min, max);
    }

    /// Lets every candidate's pool go on to this turn, at which there are `current` workers in truth;
    /// if another takes over, the one before it.
    pub(crate) fn turn(&mut self, moment: &Moment, current: u32) -> Option<usize> {
        let interval_s = moment.ahead.map_or(0.0, |(ahead, _)| ahead.interval_s);
        let keep = 0.5_f64.powf(interval_s / HALF_LIFE_S);
        for candidate in &mut self.candidates {
            candidate.pass(moment, self.stakes, keep);
            candidate.decide(moment, self.stakes, &mut self.chooser, current);
        }
        if moment.ahead.is_some() {
            self.compared += 1;
            self.compared_s += interval_s;
            self.load_s = keep * self.load_s + moment.load * interval_s;
        }
        self.look()
    }

    /// Once in a while the cheapest takes over.
    fn look(&mut self) -> Option<usize> {
        let due_s = (LOOK_SHARE * self.compared_s).min(LOOK_S);
        if self.compared < SLOTS_MIN || self.compared_s - self.looked_s < due_s {
            return None;
        }
        self.looked_s = self.compared_s;
        let best = (0..self.candidates.len()).min_by(|a, b| self.cost(*a).total_cmp(&self.cost(*b)))?;
        let better = self.cost(best) < (1.0 - HYSTERESIS) * self.cost(self.leader);
        better.then(|| std::mem::replace(&mut self.leader, best))
    }

    /// What a candidate cost of late, beside what it was believed to cost, in worker-seconds.
    pub(crate) fn cost(&self, index: usize) -> f64 {
        // Costs fade, so in the long run as much time counts as a half-life over ln 2.
        let counted_s = self.compared_s.clamp(1.0, HALF_LIFE_S / std::f64::consts::LN_2);
        let candidate = &self.candidates[index];
        candidate.cost + candidate.prior * PRIOR_S * self.load_s / counted_s
    }

    /// The place of the one who leads.
    pub(crate) fn leader(&self) -> usize {
        self.leader
    }

    /// All of them.
    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }
}
