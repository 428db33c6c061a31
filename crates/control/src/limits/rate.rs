//! How much may change within a time: the `behavior` of autoscaling/v2. Each policy looks at
//! the pool as it was at the start of its period, that is before the changes since.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Events;
use super::bend::{Bend, Why};
use crate::decision::Because;
use crate::number;

/// Longest period: half an hour, as in Kubernetes.
const PERIOD_MAX: Duration = Duration::from_secs(1_800);

/// Rates for both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behavior {
    /// For more.
    pub up: Rates,
    /// For fewer.
    pub down: Rates,
}

/// Rates for one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Which of several counts.
    #[serde(default)]
    pub select: Select,
    /// At least one.
    pub policies: Vec<Rate>,
}

/// Which of several rates counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// The one that allows the greatest change.
    #[default]
    #[serde(alias = "max")]
    Max,
    /// The one that allows the smallest change.
    #[serde(alias = "min")]
    Min,
    /// None: no change in this direction.
    #[serde(alias = "disabled")]
    Disabled,
}

/// A count or a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateKind {
    /// So many replicas.
    #[serde(alias = "pods", alias = "Replicas", alias = "replicas")]
    Pods,
    /// So many percent of the replicas at the start of the period.
    #[serde(alias = "percent")]
    Percent,
}

/// So much within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// In what it is counted.
    #[serde(rename = "type")]
    pub kind: RateKind,
    /// How much.
    pub value: u32,
    /// Within how many seconds.
    #[serde(alias = "periodSeconds")]
    pub period_seconds: u32,
}

impl Rate {
    fn period(self) -> Duration {
        Duration::from_secs(self.period_seconds.into())
    }
}

impl Default for Behavior {
    /// Kubernetes': up by 4 or 100 % in 15 s, whichever is more; down by 100 % in 15 s.
    fn default() -> Self {
        let percent = Rate { kind: RateKind::Percent, value: 100, period_seconds: 15 };
        let pods = Rate { kind: RateKind::Pods, value: 4, period_seconds: 15 };
        Self {
            up: Rates { select: Select::Max, policies: vec![pods, percent] },
            down: Rates { select: Select::Max, policies: vec![percent] },
        }
    }
}

impl Behavior {
    pub(super) fn longest_period(&self) -> Duration {
        let all = self.up.policies.iter().chain(&self.down.policies);
        all.map(|rate| rate.period()).max().unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for rates in [&self.up, &self.down] {
            if rates.policies.is_empty() {
                return Err("a direction needs at least one policy".to_owned());
            }
            for rate in &rates.policies {
                if rate.value == 0 {
                    return Err(
                        "value of a policy must be at least 1; to forbid a direction, select Disabled".into(),
                    );
                }
                if rate.period_seconds == 0 || rate.period() > PERIOD_MAX {
                    return Err("period_seconds must be 1 to 1800".to_owned());
                }
            }
        }
        Ok(())
    }

    /// As far as is allowed, if `asked` goes faster and the bound would not stop it first; it ends
    /// when more is allowed.
    pub(super) fn limit(
        &self,
        now: Timestamp,
        current: u32,
        asked: u32,
        (min, max): (u32, u32),
        events: &Events,
    ) -> Option<Bend<impl FnOnce() -> Why>> {
        let upward = asked > current;
        let rates = if upward { &self.up } else { &self.down };
        if asked == current {
            return None;
        }
        let allowed = rates.allowed(now, current, upward, events);
        let (replicas, sentence) = if upward {
            let allowed = allowed.max(current);
            if allowed >= max || asked <= allowed {
                return None;
            }
            (allowed, "{asked} asked for, at most {allowed} at the allowed rate")
        } else {
            let allowed = allowed.min(current);
            if allowed <= min || asked >= allowed {
                return None;
            }
            (allowed, "{asked} asked for, at least {allowed} at the allowed rate")
        };
        let why = move || {
            let numbers = [("asked", f64::from(asked)), ("allowed", f64::from(replicas))];
            let next = rates.policies.iter().filter_map(|rate| events.next_out(now, rate.period(), upward));
            let until = next.min().filter(|_| rates.select != Select::Disabled);
            (Because::new(sentence, numbers), until)
        };
        Some(Bend { rule: "rate", replicas, why })
    }
}

impl Rates {
    /// How far it may go at `now`.
    fn allowed(&self, now: Timestamp, current: u32, upward: bool, events: &Events) -> u32 {
        if self.select == Select::Disabled {
            return current;
        }
        let each = self.policies.iter().map(|rate| {
            let (added, removed) = events.within(now, rate.period());
            let start = i64::from(current) - added + removed;
            match (rate.kind, upward) {
                (RateKind::Pods, true) => start + i64::from(rate.value),
                (RateKind::Pods, false) => start - i64::from(rate.value),
                // Float arithmetic in Kubernetes' own order: 100 × 1.1 rounds up to 111 there too.
                (RateKind::Percent, true) => {
                    number::whole((start as f64 * (1.0 + f64::from(rate.value) / 100.0)).ceil())
                }
                (RateKind::Percent, false) => {
                    number::whole(start as f64 * (1.0 - f64::from(rate.value) / 100.0))
                }
            }
        });
        // The greatest change is the highest number on the way up and the lowest down.
        let highest = (self.select == Select::Max) == upward;
        let chosen = if highest { each.max() } else { each.min() };
        u32::try_from(chosen.unwrap_or(i64::from(current)).max(0)).unwrap_or(u32::MAX)
    }
}
