//! Where `tune` searches: for each policy the settings that matter, and how far they may go.

use control::PolicyConfig;
use serde_json::{Map, Value};

/// A setting that is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knob {
    /// As in a policy's settings; dots nest.
    pub key: &'static str,
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
    /// What its values are.
    pub kind: Is,
}

/// Kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// Any number, to three digits.
    Real,
    /// A whole number.
    Whole,
    /// A length of time in whole seconds, searched evenly in its square root: a second more is
    /// much at the lower end and nothing at the upper.
    Seconds,
    /// The same as a bare number.
    SecondsBare,
    /// A share of the setting before it.
    ShareOfLast,
}

/// A policy that can be tuned.
#[derive(Debug)]
pub struct Space {
    /// A row of the policies' registry.
    pub policy: &'static str,
    /// What is searched; all else stays as it is by default.
    pub knobs: &'static [Knob],
}

const fn knob(key: &'static str, low: f64, high: f64, kind: Is) -> Knob {
    Knob { key, low, high, kind }
}

/// Every policy that can be tuned.
pub static SPACES: &[Space] = &[
    Space {
        policy: "hpa",
        knobs: &[
            knob("target", 30.0, 100.0, Is::Whole),
            knob("tolerance", 0.0, 0.3, Is::Real),
            knob("behavior.scale_down.stabilization_window_seconds", 0.0, 1_800.0, Is::SecondsBare),
            knob("behavior.scale_up.stabilization_window_seconds", 0.0, 300.0, Is::SecondsBare),
        ],
    },
    Space {
        policy: "threshold",
        knobs: &[
            knob("up", 20.0, 99.0, Is::Whole),
            knob("down", 0.1, 0.95, Is::ShareOfLast),
            knob("step", 1.0, 5.0, Is::Whole),
            knob("cooldown_up", 0.0, 600.0, Is::Seconds),
            knob("cooldown_down", 0.0, 1_800.0, Is::Seconds),
        ],
    },
    Space {
        policy: "target_tracking",
        knobs: &[
            knob("target", 20.0, 99.0, Is::Whole),
            knob("scale_out_datapoints", 1.0, 5.0, Is::Whole),
            knob("scale_in_datapoints", 1.0, 30.0, Is::Whole),
            knob("scale_in_ratio", 0.5, 1.0, Is::Real),
        ],
    },
];

impl Space {
    /// The space of a policy.
    pub fn of(policy: &str) -> Option<&'static Self> {
        SPACES.iter().find(|space| space.policy == policy)
    }

    /// The policy at a place of the space: one number from 0 to 1 a knob.
    pub(super) fn config(&self, place: &[f64]) -> PolicyConfig {
        let mut settings = Map::new();
        let mut last = 0.0;
        for (knob, share) in self.knobs.iter().zip(place) {
            let share = share.clamp(0.0, 1.0);
            let share =
                if matches!(knob.kind, Is::Seconds | Is::SecondsBare) { share * share } else { share };
            let value = knob.low + share * (knob.high - knob.low);
            last = match knob.kind {
                Is::Real => (value * 1e3).round() / 1e3,
                Is::Whole | Is::Seconds | Is::SecondsBare => value.round(),
                Is::ShareOfLast => (value * last).round().max(1.0),
            };
            set(&mut settings, knob, last);
        }
        PolicyConfig { name: self.policy.to_owned(), settings }
    }
}

fn set(settings: &mut Map<String, Value>, knob: &Knob, value: f64) {
    let value = match knob.kind {
        Is::Seconds => Value::from(format!("{value}s")),
        Is::Whole | Is::SecondsBare => Value::from(crate::number::count(value)),
        Is::Real | Is::ShareOfLast => Value::from(value),
    };
    let mut table = settings;
    let mut parts = knob.key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            table.insert(part.to_owned(), value);
            return;
        }
        let inner = table.entry(part).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = inner else { return };
        table = next;
    }
}

/// A policy as it is typed: `hpa:target=62,tolerance=0.05`.
pub fn spelled(config: &PolicyConfig) -> String {
    fn flatten(prefix: &str, settings: &Map<String, Value>, into: &mut Vec<String>) {
        for (key, value) in settings {
            match value {
                Value::Object(inner) => flatten(&format!("{prefix}{key}."), inner, into),
                Value::String(text) => into.push(format!("{prefix}{key}={text}")),
                other => into.push(format!("{prefix}{key}={other}")),
            }
        }
    }
    let mut parts = Vec::new();
    flatten("", &config.settings, &mut parts);
    if parts.is_empty() { config.name.clone() } else { format!("{}:{}", config.name, parts.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_every_space_is_a_policy_and_is_read_back() {
        for space in SPACES {
            for share in [0.0, 0.3, 0.5, 1.0] {
                let config = space.config(&vec![share; space.knobs.len()]);
                control::policy::build(&config).unwrap_or_else(|error| panic!("{config:?}: {error}"));
                let text = spelled(&config);
                let read =
                    control::PolicySpec::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(read.config, config, "{text}");
            }
        }
    }
}
