//! A weighted score over several signals.
//!
//! Each scores `(value − target) / tolerance`, held to −1 … 1; the score is their mean by
//! weight over those that can be read. Above 0.3: `int(score × 5) + 1` more, so that a full
//! score of 1 gives 6, not 5 (an off-by-one of the source that is kept); below −0.3:
//! `int(|score| × 3) + 1` fewer. Steps that large swing; a scale-in that would lead straight
//! back above 0.3 is made smaller (`guard_scale_in`).

use serde::{Deserialize, Serialize};

use super::signal::{Judge, Signal};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Excluded, Flip, Measured, Text};
use crate::number;
use crate::observation::Observation;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "weighted",
    about: "a score over CPU (0.4, 70 % ± 10), memory (0.3, 80), network (0.2, 60), disk (0.1, 50)",
    build: |config| Ok(Built::bare(Weighted::new(super::checked(config, Settings::check)?))),
};

/// Beyond this score, either way, it acts.
const ACTS: f64 = 0.3;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    dimensions: Vec<Dimension>,
    /// No scale-in that would lead straight back.
    guard_scale_in: bool,
}

/// One signal's share.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Dimension {
    name: String,
    signal: Signal,
    weight: f64,
    target: f64,
    tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let dimension = |name: &str, signal, weight, target, tolerance| Dimension {
            name: name.to_owned(),
            signal,
            weight,
            target,
            tolerance,
        };
        Self {
            dimensions: vec![
                dimension("cpu", Signal::WorkerCpu, 0.4, 70.0, 10.0),
                dimension("memory", Signal::Custom("memory".into()), 0.3, 80.0, 10.0),
                dimension("network", Signal::Custom("network".into()), 0.2, 60.0, 15.0),
                dimension("disk", Signal::Custom("disk".into()), 0.1, 50.0, 20.0),
            ],
            guard_scale_in: true,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.dimensions.is_empty() {
            return Err("dimensions must not be empty".to_owned());
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        for one in &self.dimensions {
            if !(positive(one.weight) && positive(one.tolerance) && one.target.is_finite()) {
                return Err(format!("dimension {}: weight and tolerance must be above 0", one.name));
            }
        }
        Ok(())
    }
}

struct Weighted {
    own: Settings,
    /// "… → {bottleneck}" for each dimension that may weigh most.
    phrases: Vec<Text>,
    values: Vec<Option<f64>>,
    excluded: Vec<Excluded>,
}

impl Weighted {
    fn new(own: Settings) -> Self {
        let phrase = |one: &Dimension| {
            format!("score {{score}}, bottleneck {} ({{share}} of it): {{change}}", one.name).into()
        };
        let phrases = own.dimensions.iter().map(phrase).collect();
        Self { own, phrases, values: Vec::new(), excluded: Vec::new() }
    }

    /// The score were every value multiplied by `factor`, with the weightiest dimension and its
    /// share.
    fn score(&self, factor: f64) -> Option<(f64, usize, f64)> {
        let (mut sum, mut weights, mut most) = (0.0, 0.0, (0, 0.0_f64));
        for (index, (one, value)) in self.own.dimensions.iter().zip(&self.values).enumerate() {
            let Some(value) = value else { continue };
            let share = one.weight * ((value * factor - one.target) / one.tolerance).clamp(-1.0, 1.0);
            sum += share;
            weights += one.weight;
            if share.abs() > most.1.abs() {
                most = (index, share);
            }
        }
        (weights > 0.0).then(|| (sum / weights, most.0, most.1 / weights))
    }

    fn guarded(&self, desired: u32, mut fewer: u32) -> u32 {
        while fewer > 0 {
            let left = desired.saturating_sub(fewer);
            let factor = f64::from(desired) / f64::from(left.max(1));
            if left > 0 && self.score(factor).is_none_or(|(score, ..)| score <= ACTS) {
                break;
            }
            fewer -= 1;
        }
        fewer
    }
}

impl Policy for Weighted {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        self.excluded.clear();
        self.values.clear();
        let judge = Judge {
            warm_up: std::time::Duration::from_secs(2),
            stale_after: std::time::Duration::from_secs(60),
        };
        for one in &self.own.dimensions {
            self.values.push(one.signal.mean(seen, judge, &mut self.excluded));
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let Some((score, most, share)) = self.score(1.0) else {
            let because = Because::plain("no reading of any dimension: nothing is changed");
            return Recommendation::hold(desired, "no_reading", because);
        };
        let (rule, change) = if score > ACTS {
            ("score_out", i64::from(number::count(score * 5.0)) + 1)
        } else if score < -ACTS {
            let fewer = (number::count(score.abs() * 3.0) + 1).min(desired);
            let fewer = if self.own.guard_scale_in { self.guarded(desired, fewer) } else { fewer };
            ("score_in", -i64::from(fewer))
        } else {
            ("within", 0)
        };
        let numbers = [("score", score), ("share", share), ("change", change as f64)];
        let sentence = self.phrases.get(most).cloned().unwrap_or(Text::Fixed("score {score}"));
        let replicas = number::changed(desired, change);
        let mut said = Recommendation::hold(replicas, rule, Because::new(sentence, numbers));
        if change == 0 {
            let (line, replicas) = if score >= 0.0 { (ACTS, 2) } else { (-ACTS, -1) };
            let because = Because::new(
                "past a score of {line} it would have; it was {score}",
                [("line", line), ("score", score)],
            );
            said.nearest_flip = Some(Flip { replicas: number::changed(desired, replicas), because });
        }
        said.excluded.clone_from(&self.excluded);
        said.measured = Some(Measured {
            signal: "score".into(),
            unit: "".into(),
            value: Some(score),
            up: Some(ACTS),
            down: Some(-ACTS),
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
        // cpu, memory, network, disk, replicas from 8, because
        let none = f64::NAN;
        let rows = [
            ([90.0, none, none, none], 14, "score 1, bottleneck cpu (1 of it): 6"),
            ([90.0, 82.0, 60.0, 50.0], 11, "score 0.46, bottleneck cpu (0.4 of it): 3"),
            ([70.0, 80.0, 60.0, 50.0], 8, "score 0, bottleneck cpu (0 of it): 0"),
            ([73.0, none, none, none], 8, "score 0.3, bottleneck cpu (0.3 of it): 0"),
            ([73.1, none, none, none], 10, "score 0.31, bottleneck cpu (0.31 of it): 2"),
            ([66.0, none, none, none], 8, "score -0.4, bottleneck cpu (-0.4 of it): 0"),
            ([50.0, none, none, none], 6, "score -1, bottleneck cpu (-1 of it): -2"),
            ([5.0, none, none, none], 4, "score -1, bottleneck cpu (-1 of it): -4"),
            ([none, 100.0, none, none], 14, "score 1, bottleneck memory (1 of it): 6"),
            ([none, none, none, none], 8, "no reading of any dimension: nothing is changed"),
        ];
        for (values, replicas, because) in rows {
            let mut policy = crate::policy::build(&config("weighted", json!({})).policy).unwrap().policy;
            let mut seen = pool(0.0, &[values[0]; 8]);
            for (name, value) in ["memory", "network", "disk"].iter().zip(&values[1..]) {
                let reading = crate::observation::Reading { value: *value, at: seen.at };
                seen.signals.insert((*name).to_owned(), reading);
            }
            policy.observe(&seen);
            let said = policy.recommend(&seen);
            assert_eq!((said.step.replicas, said.step.because.to_string().as_str()), (replicas, because));
        }
    }
}
