//! The best schedule that anyone could have had: exact, knowing the future.
//!
//! Cost of step k with n workers ready: `Δ·n + κ·B_k(n)`, `B_k(n) = Σ (load − n)⁺`; starting a
//! worker costs the time that it is billed before it is ready. `V_k`, the least cost of a past
//! that ends with n workers, is convex in n, since each step adds a convex cost and a change
//! of the count is priced by `β·(n − m)⁺`. So V is kept as its slopes, and the minimum over all
//! earlier counts m is one clamp of each slope to `0 ..= β`: O(K·n_max) in all.
//!
//! Where the start-up delay is no multiple of Δ, a worker launched at a decision becomes ready
//! within a step. That transition is allowed too: no policy that decides on the same grid can
//! then do better. (Without it, as in the usual form of the recursion, one could, by a hair.)

use crate::load::{Load, Piece};
use crate::number::{index, seconds};
use crate::scenario::Scenario;

/// The optimum of one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// Its cost over the scored time, in worker-seconds.
    pub cost: f64,
    /// The schedule that has this cost.
    pub plan: Plan,
}

/// A schedule that knows the future: how many workers are ready in each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One entry a step.
    pub steps: Vec<Planned>,
    /// How long after the beginning of a step its second number applies, in milliseconds.
    pub then_after_ms: u64,
}

/// Workers ready in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From its beginning.
    pub first: u32,
    /// Once workers that were launched at an earlier decision are ready.
    pub then: u32,
}

/// Where the cost function of one step bends; enough to walk back along the best path.
#[derive(Clone, Copy)]
struct Bends {
    /// Cheapest count before the step.
    lowest: u32,
    /// Highest count before the step that is cheaper than starting workers.
    highest: u32,
    /// Highest count at the beginning of the step that is cheaper than late starts.
    early: u32,
}

/// Finds the optimum. `plan` is left empty unless `with_plan`: the cost alone needs no memory.
pub fn solve(load: &Load, scenario: &Scenario, with_plan: bool) -> Optimum {
    let mut search = Search::new(load, scenario);
    let mut bends = Vec::with_capacity(if with_plan { load.steps() } else { 0 });
    for step in 0..load.steps() {
        if step == load.scored_from() {
            search.unscored = search.least();
        }
        let found = search.step(step);
        if with_plan {
            bends.push(found);
        }
    }
    let cost = search.least() - search.unscored;
    let last = search.floor + count_below(&search.slopes, 0.0);
    Optimum { cost, plan: Plan { steps: walk_back(&bends, last), then_after_ms: search.late_ms } }
}

fn walk_back(bends: &[Bends], last: u32) -> Vec<Planned> {
    let mut steps = vec![Planned { first: 0, then: 0 }; bends.len()];
    let mut then = last;
    for (step, bends) in steps.iter_mut().zip(bends).rev() {
        let first = then.min(bends.early);
        *step = Planned { first, then };
        then = first.clamp(bends.lowest, bends.highest);
    }
    steps
}

struct Search<'a> {
    load: &'a Load,
    kappa: f64,
    /// Fewest workers.
    floor: u32,
    /// Least cost of a past that ends with the fewest workers.
    base: f64,
    /// What each further worker adds to it; ascending.
    slopes: Vec<f64>,
    /// Least cost of the time that is not scored.
    unscored: f64,
    start_up_ms: u64,
    /// Part of the start-up delay beyond whole steps.
    late_ms: u64,
}

impl<'a> Search<'a> {
    fn new(load: &'a Load, scenario: &Scenario) -> Self {
        let start_up_ms = u64::try_from(scenario.start_up.as_millis()).unwrap_or(u64::MAX);
        let step_ms = u64::try_from(scenario.decide_every.as_millis()).unwrap_or(u64::MAX);
        let more = load.most_workers(scenario) - scenario.min;
        Self {
            load,
            kappa: scenario.kappa,
            floor: scenario.min,
            base: 0.0,
            slopes: vec![0.0; index(u64::from(more))],
            unscored: 0.0,
            start_up_ms,
            late_ms: start_up_ms % step_ms,
        }
    }

    /// The least cost so far, whatever the count is now.
    fn least(&self) -> f64 {
        self.base + self.slopes.iter().map(|slope| slope.min(0.0)).sum::<f64>()
    }

    /// Billed seconds of a worker launched at `launched_ms` and ready at `ready_ms`. What lies
    /// in a gap or on the other side of the line between warm-up and score costs nothing.
    fn start_cost(&self, step: usize, launched_ms: u64, ready_ms: u64) -> f64 {
        let scored = step >= self.load.scored_from();
        let origin = if scored { self.load.scored_from_ms() } else { 0 };
        let from = self.load.present_ms(launched_ms.max(origin));
        seconds(self.load.present_ms(ready_ms).saturating_sub(from))
    }

    fn step(&mut self, step: usize) -> Bends {
        let (begin, end) = (self.load.begin_ms(step), self.load.begin_ms(step + 1));
        let early = self.start_cost(step, begin.saturating_sub(self.start_up_ms), begin);
        let lowest = self.floor + count_below(&self.slopes, 0.0);
        let highest = self.floor + count_up_to(&self.slopes, early);
        self.base = self.least();
        for slope in &mut self.slopes {
            *slope = slope.clamp(0.0, early);
        }
        let split = begin.saturating_add(self.late_ms).min(end);
        let mut early_most = u32::MAX;
        if split > begin {
            for piece in self.load.pieces(begin, split) {
                self.lose(piece);
            }
            let whole_steps_ms = self.start_up_ms - self.late_ms;
            let late = self.start_cost(step, begin.saturating_sub(whole_steps_ms), begin);
            early_most = self.floor + count_up_to(&self.slopes, late);
            for slope in &mut self.slopes {
                *slope = slope.min(late);
            }
        }
        for piece in self.load.pieces(split, end) {
            self.lose(piece);
        }
        let billed = seconds(self.load.present_ms(end) - self.load.present_ms(begin));
        self.base += billed * f64::from(self.floor);
        for slope in &mut self.slopes {
            *slope += billed;
        }
        Bends { lowest, highest, early: early_most }
    }

    /// Adds the price of the load that goes beyond what is ready.
    fn lose(&mut self, piece: Piece) {
        if piece.workers.is_nan() {
            return;
        }
        let price = self.kappa * seconds(piece.length_ms);
        let beyond = piece.workers - f64::from(self.floor);
        self.base += price * beyond.max(0.0);
        let mut left = beyond;
        for slope in &mut self.slopes {
            // The next worker saves what of the load it can take.
            *slope -= price * left.clamp(0.0, 1.0);
            left -= 1.0;
        }
    }
}

/// How many of the first slopes are below `limit`.
fn count_below(slopes: &[f64], limit: f64) -> u32 {
    slopes.iter().map(|slope| u32::from(*slope < limit)).sum()
}

fn count_up_to(slopes: &[f64], limit: f64) -> u32 {
    slopes.iter().map(|slope| u32::from(*slope <= limit)).sum()
}

/// Cost of holding `workers` all the time, and so of the best such number.
pub fn best_static(load: &Load, scenario: &Scenario) -> (u32, f64) {
    let most = load.most_workers(scenario);
    let mut billed = 0.0;
    // Loss with the fewest workers, and what each further one saves.
    let mut lost = 0.0;
    let mut saved = vec![0.0; index(u64::from(most - scenario.min))];
    for piece in load.pieces(load.scored_from_ms(), load.length_ms()) {
        if piece.workers.is_nan() {
            continue;
        }
        let length = seconds(piece.length_ms);
        billed += length;
        let mut left = piece.workers - f64::from(scenario.min);
        lost += length * left.max(0.0);
        for one in &mut saved {
            *one += length * left.clamp(0.0, 1.0);
            left -= 1.0;
        }
    }
    let mut cost = billed * f64::from(scenario.min) + scenario.kappa * lost;
    let mut best = (scenario.min, cost);
    for (workers, saved) in (scenario.min + 1..).zip(saved) {
        cost += billed - scenario.kappa * saved;
        if cost < best.1 {
            best = (workers, cost);
        }
    }
    best
}

#[cfg(test)]
#[path = "optimum/tests.rs"]
mod tests;
