//! What decides while no forecast is trusted, from the last reading alone: Kubernetes' rule at 70 %,
//! or, once it proved cheaper in shadow, a plan for the load staying as it is.
//!
//! That plan buys what pays for itself by the errors that "it stays as it is" has made so far, which
//! is calibrated by construction. Neither knows a model, so no model can make them smaller.

use crate::decision::Because;
use crate::policy::reactive::USUAL_TARGET;
use crate::policy::selection::{Candidate, Moment, Selection};

/// What a unit of load is believed to cost with either before anything was measured: neither is favoured,
/// so that who plans must have been cheaper by more than chance makes of a few slots.
const PRIOR: f64 = 1.2;

/// Both rules, each with a pool in shadow.
pub(super) struct Fallback {
    selection: Selection,
}

/// What it would have, and why it is another rule's number now, if it is.
pub(super) struct Reactive {
    pub(super) replicas: u32,
    pub(super) changed: Option<String>,
}

impl Fallback {
    /// Kubernetes' rule waits `window_s` before it scales in; a missing worker-second costs `kappa`.
    pub(super) fn new(window_s: i64, kappa: f64) -> Self {
        let rule = Candidate::reactive(USUAL_TARGET, window_s);
        let plan = Candidate::plan(0, "naive", 1.0, None);
        let both = [rule, plan].map(|one| one.believed(PRIOR));
        Self { selection: Selection::among(both.into(), kappa) }
    }

    /// Both keep to these.
    pub(super) fn bounds(&mut self, min: u32, max: u32) {
        self.selection.bounds(min, max);
    }

    /// One turn, with the needs by the naive forecast as those of the only model; never fewer than `floor`.
    pub(super) fn turn(&mut self, moment: &Moment, current: u32, floor: u32) -> Reactive {
        let before = self.selection.turn(moment, current);
        let (candidates, leader) = (self.selection.candidates(), self.selection.leader());
        let changed = before.map(|before| {
            let numbers = [("cost", self.selection.cost(leader)), ("before", self.selection.cost(before))];
            let costs = Because::new("{cost} worker-seconds of late against {before}", numbers);
            format!("without trust it is the {} now: {costs} by {}", self.name(), candidates[before].label)
        });
        Reactive { replicas: candidates[leader].desired().max(floor), changed }
    }

    /// Whose number it is.
    pub(super) fn name(&self) -> &str {
        &self.selection.candidates()[self.selection.leader()].label
    }
}
