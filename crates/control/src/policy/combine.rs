//! Several policies at once: `any`, `all`, `majority`, `highest` (as an HPA with several
//! metrics), `aws` (largest out, else smallest in).
//!
//! Each member keeps its own limits. One that lacks its signal asks for what there is: it
//! stops `all` and `highest` from scaling in, and has no vote for a change.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::spec::PolicySpec;
use super::{Built, ConfigError, Entry, Policy, PolicyConfig, Recommendation};
use crate::decision::{Because, Measured, Member, Text};
use crate::limits::{Limits, Meets};
use crate::observation::Observation;

/// The registry row of `any`.
pub const ANY: Entry = Entry {
    name: "any",
    about: "out if any member says so, else in if any does",
    build: |config| Combination::build(config, Way::Any),
};

/// The registry row of `all`.
pub const ALL: Entry = Entry {
    name: "all",
    about: "out or in only if all members say so, by the smallest change",
    build: |config| Combination::build(config, Way::All),
};

/// The registry row of `majority`.
pub const MAJORITY: Entry = Entry {
    name: "majority",
    about: "out or in if more than half of the members say so, by the smallest change",
    build: |config| Combination::build(config, Way::Majority),
};

/// The registry row of `highest`.
pub const HIGHEST: Entry = Entry {
    name: "highest",
    about: "the highest number of all members, as Kubernetes takes the highest of several metrics",
    build: |config| Combination::build(config, Way::Highest),
};

/// The registry row of `aws`.
pub const AWS: Entry = Entry {
    name: "aws",
    about: "the largest scale-out of any member, else the smallest scale-in (step and target tracking)",
    build: |config| Combination::build(config, Way::Aws),
};

/// Members at most; a combination of combinations counts each level.
const MEMBERS_MAX: usize = 32;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Any,
    All,
    Majority,
    Highest,
    Aws,
}

/// Settings: the members, as text or as tables.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    policies: Option<Vec<MemberSpec>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MemberSpec {
    Text(String),
    Table(MemberTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberTable {
    policy: String,
    #[serde(default)]
    settings: Map<String, Value>,
}

struct Part {
    label: Text,
    policy: Box<dyn Policy>,
    limits: Limits,
    rules: crate::limits::Rules,
}

/// Several policies and how their answers become one.
struct Combination {
    way: Way,
    parts: Vec<Part>,
}

impl Combination {
    fn build(config: &PolicyConfig, way: Way) -> Result<Built, ConfigError> {
        let own: Settings = super::settings(config)?;
        // Members whose lines do not contradict each other: what one adds, the other would let be.
        let default: &[&str] = if way == Way::Aws {
            &["step", "target_tracking:target=60"]
        } else {
            &["threshold", "hpa:target=30"]
        };
        let specs = own
            .policies
            .unwrap_or_else(|| default.iter().map(|name| MemberSpec::Text((*name).to_owned())).collect());
        if specs.is_empty() || specs.len() > MEMBERS_MAX {
            let because = format!("policies must be 1 to {MEMBERS_MAX}");
            return Err(ConfigError::Settings { policy: config.name.clone(), because });
        }
        let parts = specs.into_iter().map(Part::build).collect::<Result<_, _>>()?;
        Ok(Built::bare(Self { way, parts }))
    }

    /// Which number counts, and by what rule.
    fn choose(&self, current: u32, asked: &[u32]) -> (u32, &'static str) {
        let out = asked.iter().copied().filter(|asked| *asked > current);
        let within = asked.iter().copied().filter(|asked| *asked < current);
        let (outs, ins) = (out.clone().count(), within.clone().count());
        let enough = |count: usize| match self.way {
            Way::All => count == asked.len(),
            Way::Majority => count * 2 > asked.len(),
            Way::Any | Way::Aws | Way::Highest => count > 0,
        };
        let chosen = match self.way {
            Way::Highest => asked.iter().copied().max(),
            Way::Any if enough(outs) => out.max(),
            Way::Any => within.min(),
            Way::Aws if enough(outs) => out.max(),
            Way::Aws => within.max(),
            Way::All | Way::Majority if enough(outs) => out.min(),
            Way::All | Way::Majority if enough(ins) => within.max(),
            Way::All | Way::Majority => None,
        };
        let rule = match self.way {
            Way::Any => "any",
            Way::All => "all",
            Way::Majority => "majority",
            Way::Highest => "highest",
            Way::Aws => "aws",
        };
        (chosen.unwrap_or(current), rule)
    }
}

impl Part {
    fn build(spec: MemberSpec) -> Result<Self, ConfigError> {
        let (label, config) = match spec {
            MemberSpec::Text(text) => {
                let spec = PolicySpec::parse(&text)?;
                (spec.label, spec.config)
            }
            MemberSpec::Table(table) => {
                let mut config = PolicySpec::parse(&table.policy)?.config;
                config.settings.extend(table.settings);
                (table.policy, config)
            }
        };
        let Built { policy, limits: rules } = super::build(&config)?;
        let limits = Limits::with(rules.clone(), 0, u32::MAX);
        Ok(Self { label: label.into(), policy, limits, rules })
    }
}

impl Policy for Combination {
    fn programs(&self) -> Vec<super::exec::Program> {
        self.parts.iter().flat_map(|part| part.policy.programs()).collect()
    }

    fn bounds(&mut self, min: u32, max: u32) {
        for part in &mut self.parts {
            part.policy.bounds(min, max);
            part.limits.replace(part.rules.clone(), min, max);
        }
    }

    fn observe(&mut self, seen: &Observation) {
        for part in &mut self.parts {
            part.limits.observe(seen);
            part.policy.observe(seen);
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let current = seen.fleet.desired;
        let mut asked = Vec::with_capacity(self.parts.len());
        let mut said = Vec::with_capacity(self.parts.len());
        for part in &mut self.parts {
            let mut answer = part.policy.recommend(seen);
            if answer.meets == Meets::All {
                let mut limited = part.limits.apply(seen, answer.step.replicas, Meets::Own);
                answer.blocked_by.append(&mut limited.blocked_by);
                if let Some(last) = limited.steps.pop() {
                    answer.step = last;
                }
            }
            asked.push(answer.step.replicas);
            said.push(answer);
        }
        let (replicas, rule) = self.choose(current, &asked);
        let outs = crate::number::len(asked.iter().filter(|asked| **asked > current).count());
        let ins = crate::number::len(asked.iter().filter(|asked| **asked < current).count());
        let numbers = [
            ("members", f64::from(crate::number::len(asked.len()))),
            ("outs", f64::from(outs)),
            ("ins", f64::from(ins)),
            ("replicas", f64::from(replicas)),
        ];
        let because = Because::new("of {members} policies {outs} say out, {ins} in → {replicas}", numbers);
        let mut answer = Recommendation::hold(replicas, rule, because);
        for (part, said) in self.parts.iter_mut().zip(said) {
            part.limits.settled(seen, replicas);
            if said.step.replicas == current && replicas == current {
                answer.blocked_by.extend(said.blocked_by);
            }
            answer.alarms.extend(said.alarms);
            if answer.measured.is_none() {
                answer.measured = said.measured;
                answer.excluded = said.excluded;
                answer.nearest_flip = said.nearest_flip;
            }
            answer.members.push(Member { policy: part.label.clone(), step: said.step });
        }
        if replicas != current {
            answer.nearest_flip = None;
        }
        answer
    }

    fn measured(&self) -> Option<Measured> {
        self.parts.iter().find_map(|part| part.policy.measured())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::made_up::{config, pool};

    #[test]
    fn cases() {
        // A threshold of custom:a and two more, each with its own step, over 3 replicas.
        let member =
            |name: &str, step: u32| format!("threshold:signal=custom:{name},up=50,down=20,step={step}");
        let policies = [member("a", 1), member("b", 2), member("c", 3)];
        // a, b, c, any, all, majority, highest, aws
        let rows = [
            ([60.0, 60.0, 60.0], [6, 4, 4, 6, 6]),
            ([60.0, 30.0, 30.0], [4, 3, 3, 4, 4]),
            ([60.0, 60.0, 10.0], [5, 3, 4, 5, 5]),
            ([10.0, 10.0, 10.0], [0, 2, 2, 2, 2]),
            ([10.0, 10.0, 30.0], [1, 3, 2, 3, 2]),
            ([10.0, 30.0, 30.0], [2, 3, 3, 3, 2]),
            ([30.0, 30.0, 30.0], [3, 3, 3, 3, 3]),
            ([10.0, 10.0, f64::NAN], [1, 3, 2, 3, 2]),
        ];
        for (values, expected) in rows {
            for (way, expected) in ["any", "all", "majority", "highest", "aws"].iter().zip(expected) {
                let mut built =
                    crate::policy::build(&config(way, json!({"policies": policies})).policy).unwrap();
                let mut seen = pool(0.0, &[0.0; 3]);
                for (name, value) in ["a", "b", "c"].iter().zip(values) {
                    let reading = crate::observation::Reading { value, at: seen.at };
                    seen.signals.insert((*name).to_owned(), reading);
                }
                built.policy.observe(&seen);
                let said = built.policy.recommend(&seen);
                assert_eq!(said.step.replicas, expected, "{way} of {values:?}: {}", said.step.because);
                assert_eq!(said.members.len(), 3);
            }
        }
    }

    #[test]
    fn a_member_keeps_its_window() {
        let mut built =
            crate::policy::build(&config("highest", json!({"policies": ["hpa"]})).policy).unwrap();
        for at in [0.0, 299.0] {
            let seen = pool(at, &[5.0; 3]);
            built.policy.observe(&seen);
            assert_eq!(built.policy.recommend(&seen).step.replicas, 3, "at {at} s");
        }
        let seen = pool(300.0, &[5.0; 3]);
        built.policy.observe(&seen);
        assert_eq!(built.policy.recommend(&seen).step.replicas, 1);
    }

    #[test]
    fn refuses_what_is_no_list_of_policies() {
        for (settings, expected) in [
            (json!({"policies": []}), "policies must be 1 to 32"),
            (json!({"policies": ["nonsense"]}), "there is no policy `nonsense`"),
            (json!({"members": []}), "unknown field `members`"),
        ] {
            let error = crate::policy::build(&config("all", settings).policy).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
