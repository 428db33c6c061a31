//! A budget of starts: so many workers within a time, whatever the policy says. It keeps a
//! pool that swings from wearing out what every start costs.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Events;
use super::bend::{Bend, Why};
use crate::decision::Because;
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
    /// What is left of the budget, if `asked` would overdraw it; it ends with the next start allowed.
    pub(super) fn limit(
        self,
        now: Timestamp,
        current: u32,
        asked: u32,
        events: &Events,
    ) -> Option<Bend<impl FnOnce() -> Why>> {
        let (started, _) = events.within(now, self.within);
        let left = (i64::from(self.starts) - started).max(0);
        let replicas = super::moved(current, left);
        if asked <= replicas {
            return None;
        }
        let why = move || {
            let numbers = [
                ("started", started as f64),
                ("within", self.within.as_secs_f64()),
                ("starts", f64::from(self.starts)),
            ];
            let sentence = "{started} started in the last {within} s, {starts} allowed";
            (Because::new(sentence, numbers), events.next_out(now, self.within, true))
        };
        Some(Bend { rule: "flap_budget", replicas, why })
    }
}
