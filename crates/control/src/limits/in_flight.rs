//! Acts once, not twice: while workers that were asked for still start, no more are asked for;
//! while some still drain, no more are taken away. Their effect is not in the signal yet
//! (hashicorp/nomad-autoscaler#610, #1213).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Events;
use super::bend::{Bend, Why};
use crate::decision::Because;
use crate::observation::Observation;
use crate::span;

/// Waits for a change under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlight {
    /// But no longer than this after that change: workers that never become ready must not
    /// stop the pool from growing.
    #[serde(with = "span")]
    pub at_most: Duration,
}

impl InFlight {
    /// The present number, if a change in the same direction is under way.
    pub(super) fn limit(
        self,
        seen: &Observation,
        asked: u32,
        events: &Events,
    ) -> Option<Bend<impl FnOnce() -> Why>> {
        let current = seen.fleet.desired;
        let (upward, unsettled, sentence) = match asked.cmp(&current) {
            std::cmp::Ordering::Greater => {
                (true, seen.fleet.starting, "{unsettled} workers that were asked for still start")
            }
            std::cmp::Ordering::Less => (false, seen.fleet.draining, "{unsettled} workers still drain"),
            std::cmp::Ordering::Equal => return None,
        };
        let until = events.latest(upward)?.saturating_add(self.at_most).ok()?;
        if unsettled == 0 || until <= seen.at {
            return None;
        }
        let why = move || (Because::new(sentence, [("unsettled", f64::from(unsettled))]), Some(until));
        Some(Bend { rule: "in_flight", replicas: current, why })
    }
}
