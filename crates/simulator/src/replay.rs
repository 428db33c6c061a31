//! Puts a recorded run's observations before a controller again and compares the decisions.

use control::{ConfigError, Controller, ControllerConfig, Cycle};
use jiff::Timestamp;

/// Cycles of an earlier session that a resumed session takes up; the live system must hand the
/// controller as many as a replay does, or the two would differ.
pub const RESUME_CYCLES: usize = 600;

/// Divergences that are kept with their texts; more are only counted.
const SHOWN_MAX: usize = 20;

/// A turn at which the decision came out differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Which turn.
    pub at: Timestamp,
    /// The recorded decision, as JSON.
    pub recorded: String,
    /// The decision now, as JSON.
    pub replayed: String,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Turns that were compared.
    pub turns: u64,
    /// Turns without a decision, passed over.
    pub blind: u64,
    /// Turns at which the decision differed.
    pub divergences: u64,
    /// The first few of them.
    pub shown: Vec<Divergence>,
}

/// Replays `cycles` through a controller made from `config` that resumes from `past`. Equal
/// means equal byte for byte once written as JSON.
pub fn verify<'a>(
    config: ControllerConfig,
    past: impl IntoIterator<Item = &'a Cycle>,
    cycles: impl IntoIterator<Item = Cycle>,
) -> Result<Verdict, ConfigError> {
    let mut controller = Controller::new(config)?;
    controller.resume(past);
    let mut verdict = Verdict::default();
    for cycle in cycles {
        let Cycle::Decided { seen, decision, .. } = cycle else {
            verdict.blind += 1;
            continue;
        };
        verdict.turns += 1;
        let replayed = json(&controller.decide(&seen));
        let recorded = json(&decision);
        if recorded != replayed {
            verdict.divergences += 1;
            if verdict.shown.len() < SHOWN_MAX {
                verdict.shown.push(Divergence { at: seen.at, recorded, replayed });
            }
        }
    }
    Ok(verdict)
}

fn json(decision: &control::Decision) -> String {
    serde_json::to_string(decision).expect("a decision has only string keys, so it can be written as JSON")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control::{Applied, FleetStatus, Observation, PolicyConfig, Reading};

    use super::*;

    fn config(up: f64) -> ControllerConfig {
        let settings = serde_json::json!({"signal": "host_cpu", "up": up});
        ControllerConfig {
            policy: PolicyConfig {
                name: "threshold".to_owned(),
                settings: settings.as_object().expect("an object").clone(),
            },
            min: 1,
            max: 5,
            interval: Duration::from_secs(1),
            shadows: Vec::new(),
        }
    }

    /// A run that went through JSON, as every recorded one does.
    fn recorded(turns: i64) -> Vec<Cycle> {
        let mut controller = Controller::new(config(35.0)).unwrap();
        let mut desired = 1;
        (0..turns)
            .map(|second| {
                let at = Timestamp::UNIX_EPOCH + Duration::from_secs(second.unsigned_abs());
                let value = 35.0 + 60.0 * (second as f64 / 7.3).sin();
                let seen = Observation {
                    at,
                    traffic: None,
                    fleet: FleetStatus { desired, ready: desired, ..FleetStatus::default() },
                    workers: control::Workers::default(),
                    signals: [("host_cpu".to_owned(), Reading { value, at })].into(),
                    transitions: Vec::new(),
                    commands: Vec::new(),
                    slow: control::SlowInputs::default(),
                    history: None,
                };
                let decision = controller.decide(&seen);
                desired = decision.desired();
                let cycle = Cycle::Decided { seen, decision, applied: Applied::Ordered, ledger: None };
                serde_json::from_str(&serde_json::to_string(&cycle).unwrap()).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_same_configuration_decides_the_same() {
        let verdict = verify(config(35.0), [], recorded(300)).unwrap();
        assert_eq!((verdict.turns, verdict.divergences), (300, 0), "{:?}", verdict.shown);
    }

    #[test]
    fn another_configuration_diverges_and_says_where() {
        let verdict = verify(config(60.0), [], recorded(300)).unwrap();
        assert!(verdict.divergences > 0);
        assert_ne!(verdict.shown[0].recorded, verdict.shown[0].replayed);
    }

    #[test]
    fn a_resumed_session_needs_its_past() {
        let all = recorded(300);
        let (past, rest) = all.split_at(100);
        let resumed = verify(config(35.0), past, rest.to_vec()).unwrap();
        assert_eq!(resumed.divergences, 0, "{:?}", resumed.shown);
    }
}
