//! A decision as `decide` prints it: the number after every gate, and each reason as text with
//! its numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::decision::{Alarm, Because, Blocked, Condition, Decision, Measured, Step};
use crate::observation::Observation;
use crate::shadow::ShadowTurn;
use crate::soundness::{Fault, Unsound};

/// A decision with all its texts made.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// When.
    pub at: Timestamp,
    /// Replicas before.
    pub current: u32,
    /// Replicas decided.
    pub desired: u32,
    /// `scale_up`, `scale_down` or `none`.
    pub action: &'static str,
    /// The rule that had the last word.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// What the formula gave, before tolerance and checks.
    pub raw: u32,
    /// What the policy asked for.
    pub after_tolerance: u32,
    /// What each limit left of it.
    pub after_stabilization: u32,
    /// See `after_stabilization`.
    pub after_rate: u32,
    /// See `after_stabilization`.
    pub after_flap_budget: u32,
    /// See `after_stabilization`.
    pub after_in_flight: u32,
    /// See `after_stabilization`.
    pub after_bounds: u32,
    /// Policy and limits in order, only those that said something.
    pub trail: Vec<ShownStep>,
    /// What kept the number from changing.
    pub blocked_by: Vec<ShownBlocked>,
    /// Workers left out of the measurement.
    pub excluded: Vec<ShownExcluded>,
    /// Readings that could not be believed.
    pub unsound: Vec<ShownUnsound>,
    /// What would have changed it.
    pub nearest_flip: Option<ShownFlip>,
    /// Kubernetes' conditions.
    pub conditions: Vec<Condition>,
    /// Alarms, for policies that have such.
    pub alarms: Vec<ShownAlarm>,
    /// What each member of a combination asked for.
    pub members: Vec<ShownStep>,
    /// The signal behind it.
    pub measured: Option<Measured>,
    /// What policies that only watch would have done.
    pub shadows: Vec<ShownShadow>,
}

/// One rule's say.
#[derive(Debug, Serialize)]
pub struct ShownStep {
    /// The rule, or the member.
    pub rule: String,
    /// Its number.
    pub replicas: u32,
    /// Its reason.
    pub reason: String,
    /// The numbers in it.
    pub numbers: BTreeMap<String, f64>,
}

/// A rule that kept the number from changing.
#[derive(Debug, Serialize)]
pub struct ShownBlocked {
    /// The rule.
    pub by: String,
    /// When it will stop doing so, where known.
    pub until: Option<Timestamp>,
    /// Seconds until then.
    pub left_s: Option<f64>,
    /// Its reason.
    pub reason: String,
}

/// A worker left out.
#[derive(Debug, Serialize)]
pub struct ShownExcluded {
    /// Which.
    pub worker: String,
    /// Why.
    pub reason: String,
}

/// A reading that could not be believed.
#[derive(Debug, Serialize)]
pub struct ShownUnsound {
    /// As in `worker_cpu`.
    pub signal: String,
    /// Whose, if one worker's.
    pub worker: Option<String>,
    /// What is wrong with it, as in `stuck`.
    pub fault: Fault,
    /// Whether it counted as not taken.
    pub dropped: bool,
    /// In words.
    pub reason: String,
}

/// What a policy that only watches would have done, on a virtual pool of its own.
#[derive(Debug, Serialize)]
pub struct ShownShadow {
    /// As the user wrote it.
    pub label: String,
    /// Its replicas before.
    pub current: u32,
    /// Its replicas after.
    pub desired: u32,
    /// Its virtual workers that were ready.
    pub ready: u32,
    /// Its last word.
    pub rule: String,
    /// The reason of that.
    pub reason: String,
    /// What kept its number from changing.
    pub blocked_by: Vec<ShownBlocked>,
}

/// The nearest change that would have made it another.
#[derive(Debug, Serialize)]
pub struct ShownFlip {
    /// Replicas it would have been.
    pub replicas: u32,
    /// What would have had to differ.
    pub reason: String,
}

/// An alarm with its text.
#[derive(Debug, Serialize)]
pub struct ShownAlarm {
    /// Its numbers.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// In one line.
    pub reason: String,
}

impl Shown {
    /// Makes every text.
    pub fn of(seen: &Observation, decision: &Decision) -> Self {
        let after = |last: &[&str]| {
            let passed = decision.limited.iter().take_while(|step| last.contains(&step.rule.as_ref()));
            passed.last().unwrap_or(&decision.recommended).replicas
        };
        let steps = std::iter::once(&decision.recommended).chain(&decision.limited);
        let deciding = decision.deciding();
        Self {
            at: seen.at,
            current: decision.current,
            desired: decision.desired(),
            action: match decision.change() {
                0 => "none",
                1.. => "scale_up",
                _ => "scale_down",
            },
            rule: deciding.rule.to_string(),
            reason: deciding.because.to_string(),
            raw: decision.raw.as_ref().unwrap_or(&decision.recommended).replicas,
            after_tolerance: decision.recommended.replicas,
            after_stabilization: after(&["stabilization"]),
            after_rate: after(&["stabilization", "rate"]),
            after_flap_budget: after(&["stabilization", "rate", "flap_budget"]),
            after_in_flight: after(&["stabilization", "rate", "flap_budget", "in_flight"]),
            after_bounds: decision.desired(),
            trail: decision.raw.iter().chain(steps).map(|step| shown(&step.rule, step)).collect(),
            blocked_by: decision
                .blocked_by
                .iter()
                .map(|blocked| ShownBlocked::of(blocked, seen.at))
                .collect(),
            unsound: decision.unsound.iter().map(ShownUnsound::of).collect(),
            excluded: decision
                .excluded
                .iter()
                .map(|left| ShownExcluded {
                    worker: left.worker.to_string(),
                    reason: left.because.to_string(),
                })
                .collect(),
            nearest_flip: decision
                .nearest_flip
                .as_ref()
                .map(|flip| ShownFlip { replicas: flip.replicas, reason: flip.because.to_string() }),
            conditions: decision.conditions(),
            alarms: decision
                .alarms
                .iter()
                .map(|alarm| ShownAlarm { reason: alarm.to_string(), alarm: alarm.clone() })
                .collect(),
            members: decision.members.iter().map(|member| shown(&member.policy, &member.step)).collect(),
            measured: decision.measured.clone(),
            shadows: decision.shadows.iter().map(|shadow| ShownShadow::of(shadow, seen.at)).collect(),
        }
    }
}

impl ShownBlocked {
    fn of(blocked: &Blocked, now: Timestamp) -> Self {
        Self {
            by: blocked.by.to_string(),
            until: blocked.until,
            left_s: blocked.left(now).map(|left| left.as_secs_f64()),
            reason: blocked.because.to_string(),
        }
    }
}

impl ShownUnsound {
    fn of(unsound: &Unsound) -> Self {
        Self {
            signal: unsound.signal.to_string(),
            worker: unsound.worker.map(|worker| worker.to_string()),
            fault: unsound.fault,
            dropped: unsound.dropped,
            reason: unsound.because.to_string(),
        }
    }
}

impl ShownShadow {
    fn of(shadow: &ShadowTurn, now: Timestamp) -> Self {
        Self {
            label: shadow.label.to_string(),
            current: shadow.current,
            desired: shadow.desired(),
            ready: shadow.ready,
            rule: shadow.decided.rule.to_string(),
            reason: shadow.decided.because.to_string(),
            blocked_by: shadow.blocked_by.iter().map(|blocked| ShownBlocked::of(blocked, now)).collect(),
        }
    }
}

fn shown(name: &str, step: &Step) -> ShownStep {
    ShownStep {
        rule: name.to_owned(),
        replicas: step.replicas,
        reason: step.because.to_string(),
        numbers: numbers(&step.because),
    }
}

fn numbers(because: &Because) -> BTreeMap<String, f64> {
    because.numbers.iter().map(|(name, value)| (name.to_string(), *value)).collect()
}
