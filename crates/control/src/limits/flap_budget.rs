//! A budget of starts: so many workers within a time, whatever the policy says. It keeps a
//! pool that swings from wearing out what every start costs.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Events;
use crate::decision::{Because, Step};
use crate::span;

/// So many starts within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlapBudget {
    /// Workers.
    pub starts: u32,
    /// Within this time.
    #[serde(with = "span")]
    pub within: Duration,
}

impl FlapBudget {
    /// A step, and when the next start is allowed, if `asked` would overdraw the budget.
    pub(super) fn limit(
        self,
        now: Timestamp,
        current: u32,
        asked: u32,
        events: &Events,
    ) -> Option<(Step, Option<Timestamp>)> {
        let (started, _) = events.within(now, self.within);
        let left = (i64::from(self.starts) - started).max(0);
        let replicas = super::moved(current, left);
        if asked <= replicas {
            return None;
        }
        let numbers = [
            ("started", started as f64),
            ("within", self.within.as_secs_f64()),
            ("starts", f64::from(self.starts)),
        ];
        let because = Because::new("{started} started in the last {within} s, {starts} allowed", numbers);
        let step = Step { rule: "flap_budget".into(), replicas, because };
        Some((step, events.next_out(now, self.within, true)))
    }
}
