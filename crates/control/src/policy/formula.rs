//! A formula over named signals says how many replicas, as in `max(rps / 20, in_flight * ready / 8)`.
//!
//! Names are those of the signals, `desired`, `ready`, `min` and `max`, and any named reading. With
//! `target` the formula gives an amount, and each worker carries so much of it. A name that cannot
//! be read, or a result that is no number, changes nothing.

use std::time::Duration;

use exmex::{Express, FlatEx};
use serde::{Deserialize, Serialize};

use super::signal::{Judge, Signal};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Excluded, Measured, Text};
use crate::limits::stabilization::Windows;
use crate::limits::{Meets, Rules};
use crate::number;
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "formula",
    about: "an expression over named signals, 60 s before scaling in (worker_cpu / 70 * ready)",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        let stabilization = Windows { up: Duration::ZERO, down: Duration::from_secs(60) };
        let policy = Box::new(Formula::new(own));
        Ok(Built { policy, limits: Rules { stabilization, ..Rules::default() } })
    },
};

/// Longer expressions belong into a program (`exec`); it also bounds how deep brackets nest.
const LENGTH_MAX: usize = 500;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// With `+ - * / ^ min max abs floor ceil round sqrt ln exp`.
    expression: String,
    /// So much of the result per worker; left out: the result is the number of workers.
    target: Option<f64>,
    /// No change while the result is this near to what there is.
    tolerance: f64,
    /// Age at which a named reading counts as not taken.
    #[serde(with = "span")]
    stale_after: Duration,
    /// Time after becoming ready in which a worker's CPU does not count.
    #[serde(with = "span")]
    warm_up: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            expression: "worker_cpu / 70 * ready".to_owned(),
            target: None,
            tolerance: 0.1,
            stale_after: Duration::from_secs(60),
            warm_up: Duration::from_secs(2),
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.expression.len() > LENGTH_MAX {
            return Err(format!("expression is longer than {LENGTH_MAX} bytes"));
        }
        if self.target.is_some_and(|target| !(target.is_finite() && target > 0.0)) {
            return Err("target must be above 0".to_owned());
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err("tolerance must be 0 or more".to_owned());
        }
        parse(&self.expression).map(drop)
    }
}

fn parse(expression: &str) -> Result<FlatEx<f64>, String> {
    FlatEx::<f64>::parse(expression).map_err(|error| format!("expression `{expression}`: {error}"))
}

/// What a name of the expression stands for.
enum Name {
    Desired,
    Ready,
    Min,
    Max,
    Signal(Signal),
}

impl Name {
    fn of(name: &str) -> Self {
        match name {
            "desired" => Self::Desired,
            "ready" => Self::Ready,
            "min" => Self::Min,
            "max" => Self::Max,
            other => Self::Signal(
                serde_json::from_value(other.into()).unwrap_or_else(|_| Signal::Custom(other.into())),
            ),
        }
    }
}

struct Formula {
    own: Settings,
    expression: Option<FlatEx<f64>>,
    names: Vec<Name>,
    values: Vec<f64>,
    bounds: (u32, u32),
    latest: Option<f64>,
    sentence: Text,
    /// For each name, the reason when it cannot be read.
    missing: Vec<Text>,
}

impl Formula {
    fn new(own: Settings) -> Self {
        // `checked` has refused what cannot be parsed.
        let expression = parse(&own.expression).ok();
        let names = expression.as_ref().map(|parsed| parsed.var_names().to_vec()).unwrap_or_default();
        let shown = own.expression.replace(['{', '}'], "");
        let sentence = match own.target {
            Some(_) => format!("{shown} = {{value}} / {{target}} → {{replicas}}").into(),
            None => format!("{shown} = {{value}} → {{replicas}}").into(),
        };
        Self {
            missing: names.iter().map(|name| format!("{name} cannot be read").into()).collect(),
            names: names.iter().map(|name| Name::of(name)).collect(),
            values: Vec::new(),
            bounds: (0, u32::MAX),
            latest: None,
            own,
            expression,
            sentence,
        }
    }

    /// The result, or why there is none.
    fn value(&mut self, seen: &Observation, excluded: &mut Vec<Excluded>) -> Result<f64, Text> {
        let judge = Judge { warm_up: self.own.warm_up, stale_after: self.own.stale_after };
        self.values.clear();
        for (name, missing) in self.names.iter().zip(&self.missing) {
            let value = match name {
                Name::Desired => Some(f64::from(seen.fleet.desired)),
                Name::Ready => Some(f64::from(seen.fleet.ready)),
                Name::Min => Some(f64::from(self.bounds.0)),
                Name::Max => Some(f64::from(self.bounds.1)),
                Name::Signal(signal) => signal.mean(seen, judge, excluded),
            };
            self.values.push(value.ok_or_else(|| missing.clone())?);
        }
        let result = self.expression.as_ref().and_then(|parsed| parsed.eval(&self.values).ok());
        result.filter(|value| value.is_finite()).ok_or(Text::Fixed("the result is no number"))
    }
}

impl Policy for Formula {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn bounds(&mut self, min: u32, max: u32) {
        self.bounds = (min, max);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let mut excluded = Vec::new();
        let result = self.value(seen, &mut excluded);
        self.latest = result.as_ref().ok().copied();
        let value = match result {
            Ok(value) => value,
            Err(missing) => {
                let hold = Recommendation::hold(desired, "no_reading", Because::plain(missing));
                return Recommendation { meets: Meets::Bounds, excluded, ..hold };
            }
        };
        let wanted = self.own.target.map_or(value, |target| value / target);
        let near = desired > 0 && (wanted / f64::from(desired) - 1.0).abs() <= self.own.tolerance;
        let replicas = if near { desired } else { number::count_up(wanted) };
        let numbers =
            [("value", value), ("target", self.own.target.unwrap_or(1.0)), ("replicas", f64::from(replicas))];
        let rule = if near { "within_tolerance" } else { "formula" };
        let because = Because::new(self.sentence.clone(), numbers);
        let measured = self.measured();
        Recommendation { excluded, measured, ..Recommendation::hold(replicas, rule, because) }
    }

    fn measured(&self) -> Option<Measured> {
        let (up, down) = (self.own.target, None);
        Some(Measured { signal: "formula".into(), unit: "".into(), value: self.latest, up, down })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::made_up::{config, pool};
    use crate::policy::build;

    #[test]
    fn cases() {
        // expression, target, replicas of 2 workers at 20 requests/s, rule
        let rows = [
            ("worker_cpu / 35 * ready", None, 4, "formula"),
            ("worker_cpu / 69 * ready", None, 2, "within_tolerance"),
            ("rps * ready", Some(5.0), 4, "formula"),
            ("max(rps / 20, q / 10)", None, 3, "formula"),
            ("min(desired + 1, 5)", None, 3, "formula"),
            ("2 ^ 3 - (desired * 2)", None, 4, "formula"),
            ("other * 2", None, 2, "no_reading"),
            ("ln(0 - desired)", None, 2, "no_reading"),
            ("1 / (desired - 2)", None, 2, "no_reading"),
            ("0 - 7", None, 0, "formula"),
        ];
        for (expression, target, replicas, rule) in rows {
            let settings = json!({"expression": expression, "target": target});
            let mut policy = build(&config("formula", settings).policy).unwrap().policy;
            let mut seen = pool(0.0, &[70.0, 70.0]);
            seen.signals.insert("q".to_owned(), crate::observation::Reading { value: 25.0, at: seen.at });
            let step = policy.recommend(&seen).step;
            assert_eq!(
                (step.replicas, step.rule.as_ref()),
                (replicas, rule),
                "{expression}: {}",
                step.because
            );
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_when_built() {
        for bad in ["1 +", "(rps", "rps ready", &"(".repeat(600)] {
            let error = build(&config("formula", json!({"expression": bad})).policy).err();
            assert!(error.expect("it is refused").to_string().contains("expression"), "{bad}");
        }
    }
}
