//! Backlog per worker: `desired = ceil(backlog / target)`, where the backlog is what waits and
//! what is being worked on, or a named reading. Fewer only after a window (60 s).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signal::{Judge, named};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Flip, Measured};
use crate::limits::Rules;
use crate::limits::stabilization::Windows;
use crate::number;
use crate::observation::Observation;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "queue",
    about: "requests waiting and in flight ÷ 10 per worker, 60 s before scaling in",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        let stabilization = Windows { up: Duration::ZERO, down: Duration::from_secs(60) };
        Ok(Built { policy: Box::new(Queue { own }), limits: Rules { stabilization, ..Rules::default() } })
    },
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Backlog that a worker may have.
    target: f64,
    /// A named reading in place of the balancer's own numbers.
    backlog: Option<String>,
    /// Fewest that an empty backlog leaves.
    idle: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: 10.0, backlog: None, idle: 0 }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.target.is_finite() && self.target > 0.0 {
            Ok(())
        } else {
            Err("target must be above 0".to_owned())
        }
    }
}

struct Queue {
    own: Settings,
}

/// Age at which a named reading counts as not taken.
const STALE_AFTER: Duration = Duration::from_secs(60);

impl Queue {
    fn backlog(&self, seen: &Observation) -> Option<f64> {
        let judge = Judge { warm_up: Duration::ZERO, stale_after: STALE_AFTER };
        match &self.own.backlog {
            Some(name) => named(seen, name, judge).filter(|value| *value >= 0.0),
            None => {
                seen.traffic.as_ref().map(|window| f64::from(window.queued) + f64::from(window.in_flight))
            }
        }
    }
}

impl Policy for Queue {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let Some(backlog) = self.backlog(seen) else {
            let because = Because::plain("no reading of the backlog: nothing is changed");
            return Recommendation::hold(desired, "no_reading", because);
        };
        let target = self.own.target;
        let replicas = number::count_up(backlog / target).max(self.own.idle);
        let numbers = [("backlog", backlog), ("target", target), ("replicas", f64::from(replicas))];
        let because = Because::new("backlog {backlog} / {target} per worker → {replicas}", numbers);
        let rule = match replicas.cmp(&desired) {
            std::cmp::Ordering::Greater => "backlog_out",
            std::cmp::Ordering::Equal => "within",
            std::cmp::Ordering::Less => "backlog_in",
        };
        let mut said = Recommendation::hold(replicas, rule, because);
        if replicas == desired {
            let (up, down) = (target * f64::from(desired), target * f64::from(desired.saturating_sub(1)));
            let (line, replicas, sentence) = if up - backlog <= backlog - down {
                (up, desired.saturating_add(1), "above {line} it would have; the backlog was {backlog}")
            } else {
                (down, desired.saturating_sub(1), "from {line} down it would have; the backlog was {backlog}")
            };
            let because = Because::new(sentence, [("line", line), ("backlog", backlog)]);
            said.nearest_flip = Some(Flip { replicas, because });
        }
        let each = backlog / f64::from(desired.max(1));
        said.measured = Some(Measured {
            signal: "backlog".into(),
            unit: "requests per worker".into(),
            value: Some(each),
            up: Some(target),
            down: None,
        });
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::made_up::{config, pool};

    #[test]
    fn cases() {
        // queued, in flight, replicas from 2, because
        let rows = [
            (0, 0, 0, "backlog 0 / 10 per worker → 0"),
            (10, 10, 2, "backlog 20 / 10 per worker → 2"),
            (11, 10, 3, "backlog 21 / 10 per worker → 3"),
            (90, 10, 10, "backlog 100 / 10 per worker → 10"),
            (1, 10, 2, "backlog 11 / 10 per worker → 2"),
        ];
        for (queued, in_flight, replicas, because) in rows {
            let mut policy = crate::policy::build(&config("queue", json!({})).policy).unwrap().policy;
            let mut seen = pool(0.0, &[0.0; 2]);
            let window = seen.traffic.as_mut().unwrap();
            (window.queued, window.in_flight) = (queued, in_flight);
            let said = policy.recommend(&seen);
            assert_eq!((said.step.replicas, said.step.because.to_string().as_str()), (replicas, because));
        }
        let settings = json!({"backlog": "jobs"});
        let mut policy = crate::policy::build(&config("queue", settings).policy).unwrap().policy;
        assert_eq!(policy.recommend(&pool(0.0, &[0.0; 2])).step.rule, "no_reading");
    }
}
