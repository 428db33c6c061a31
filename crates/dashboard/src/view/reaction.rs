//! How long a scale-out took, from the demand to the new worker's first request.

use std::time::Duration;

use control::{Decision, Observation, State, WorkerSeen};
use jiff::Timestamp;

use crate::text::between;

/// One scale-out and its stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleOut {
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// Start of the first measurement above the line: demand rose at this moment or later.
    pub risen_at: Option<Timestamp>,
    /// End of that measurement: the loop knew.
    pub seen_at: Option<Timestamp>,
    /// The turn that ordered more.
    pub decided_at: Timestamp,
    /// When the first of the new workers was ready.
    pub ready_at: Option<Timestamp>,
    /// When that worker was given its first request.
    pub first_request_at: Option<Timestamp>,
}

/// The parts of a reaction; they add up to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Measuring: at most one turn of the loop.
    pub detect: Duration,
    /// Deciding: datapoints and cool-downs that the policy waits for.
    pub decide: Duration,
    /// Starting: from the order to the readiness probe passed.
    pub start: Duration,
    /// From ready to the first request; `None` when none came yet.
    pub route: Option<Duration>,
}

impl Reaction {
    /// All parts together.
    pub fn total(&self) -> Duration {
        self.detect + self.decide + self.start + self.route.unwrap_or_default()
    }
}

impl ScaleOut {
    /// How long it took; `None` while the new worker is not ready.
    pub fn reaction(&self) -> Option<Reaction> {
        let ready_at = self.ready_at?;
        let seen_at = self.seen_at.unwrap_or(self.decided_at);
        Some(Reaction {
            detect: between(self.risen_at.unwrap_or(seen_at), seen_at),
            decide: between(seen_at, self.decided_at),
            start: between(self.decided_at, ready_at),
            route: self.first_request_at.map(|first| between(ready_at, first)),
        })
    }

    /// Takes what is known of workers started for this scale-out, those before `until`.
    fn follow(&mut self, workers: &[WorkerSeen], until: Option<Timestamp>) {
        let ours = workers.iter().filter(|worker| {
            let from = back_in_rotation(worker, self.decided_at).unwrap_or(worker.started_at);
            from >= self.decided_at && until.is_none_or(|until| from < until)
        });
        let first = ours
            .filter_map(|worker| {
                let back = back_in_rotation(worker, self.decided_at);
                Some((back.or(worker.ready_at)?, worker.first_request_at))
            })
            .min();
        let Some((ready_at, first_request_at)) = first else { return };
        let ready_at = *self.ready_at.get_or_insert(ready_at);
        if self.first_request_at.is_none() {
            // A worker put back in rotation had its first request long ago.
            self.first_request_at = first_request_at.map(|first| first.max(ready_at));
        }
    }
}

/// When a worker that was on its way out at `decided_at` was taken back instead.
fn back_in_rotation(worker: &WorkerSeen, decided_at: Timestamp) -> Option<Timestamp> {
    let taken_back = worker.state == State::Ready
        && worker.since >= decided_at
        && worker.ready_at.is_some_and(|ready| ready < decided_at);
    taken_back.then_some(worker.since)
}

/// Follows scale-outs from demand to first request.
#[derive(Clone, Debug, Default)]
pub(super) struct Reactions {
    /// First turn above the line since the number last changed: start and end of its measurement.
    above: Option<(Timestamp, Timestamp)>,
    all: Vec<ScaleOut>,
}

/// Scale-outs remembered. A pool of five sees some dozens in an afternoon; beyond this the
/// oldest are forgotten.
const SCALE_OUTS_MAX: usize = 100;

/// Scale-outs that can be under way at once; older ones have ended or never will.
const FOLLOWED_MAX: usize = 8;

impl Reactions {
    pub(super) fn all(&self) -> &[ScaleOut] {
        &self.all
    }

    /// The last one whose new worker is ready.
    pub(super) fn last(&self) -> Option<&ScaleOut> {
        self.all.iter().rev().find(|out| out.ready_at.is_some())
    }

    pub(super) fn turn(&mut self, before: Option<Timestamp>, seen: &Observation, decision: &Decision) {
        let high = decision.measured.as_ref().is_some_and(
            |measured| matches!((measured.value, measured.up), (Some(value), Some(up)) if value > up),
        );
        if !high {
            self.above = None;
        } else if self.above.is_none() {
            self.above = Some((before.unwrap_or(seen.at), seen.at));
        }
        let mut until = None;
        for out in self.all.iter_mut().rev().take(FOLLOWED_MAX) {
            out.follow(&seen.workers, until);
            until = Some(out.decided_at);
        }
        if decision.change() == 0 {
            return;
        }
        let above = self.above.take();
        if decision.change() > 0 {
            if self.all.len() == SCALE_OUTS_MAX {
                self.all.remove(0);
            }
            self.all.push(ScaleOut {
                from: decision.current,
                to: decision.desired(),
                risen_at: above.map(|(start, _)| start),
                seen_at: above.map(|(_, end)| end),
                decided_at: seen.at,
                ready_at: None,
                first_request_at: None,
            });
        }
    }
}
