//! The record behind a decision: every gate with its number, ready to be shown. Both the
//! numbers and their text, so that no reader has to render them again.

use std::collections::BTreeMap;

use control::{
    Alarm, Applied, Because, Blocked, Boost, Command, Cycle, Decision, Fault, Flip, InForce, Measured,
    Observation, RuleId, ShadowTurn, Step, Unsound,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One turn explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The loop saw and decided.
    Decided(Box<Decided>),
    /// The target could not be asked, so nothing was decided.
    Blind {
        /// When.
        at: Timestamp,
        /// Why.
        because: String,
    },
}

/// A decision explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// Desired workers before.
    pub current: u32,
    /// Desired workers after.
    pub desired: u32,
    /// What that means.
    pub action: Action,
    /// One line for people.
    pub text: String,
    /// What the formula gave before its own tolerance and checks, where it has such.
    #[serde(default)]
    pub raw: Option<TrailStep>,
    /// What the policy asked for while an order stood in its place.
    #[serde(default)]
    pub overruled: Option<TrailStep>,
    /// The recommendation and what each limit made of it; the last number counts.
    pub trail: Vec<TrailStep>,
    /// Alarms behind it, for policies that have such.
    #[serde(default)]
    pub alarms: Vec<AlarmTold>,
    /// What each member of a combination asked for.
    #[serde(default)]
    pub members: Vec<MemberTold>,
    /// What kept the number from changing.
    pub blocked_by: Vec<Blocker>,
    /// Workers whose reading was left out.
    pub excluded: Vec<Left>,
    /// Readings that could not be believed.
    #[serde(default)]
    pub unsound: Vec<UnsoundTold>,
    /// What would have changed it.
    pub nearest_flip: Option<NearestFlip>,
    /// The signal behind it.
    pub measured: Option<Measured>,
    /// Configuration and orders in force.
    pub in_force: InForce,
    /// The boost in force.
    #[serde(default)]
    pub boost: Option<Boost>,
    /// What policies that only watch would have done.
    #[serde(default)]
    pub shadows: Vec<ShadowTold>,
    /// Orders taken at this turn.
    pub commands: Vec<Command>,
    /// What became of it.
    pub applied: Applied,
}

/// Which way a decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// More workers.
    ScaleUp,
    /// Fewer workers.
    ScaleDown,
    /// As many as before.
    None,
}

/// Numbers by name; `None` where one is no finite number.
pub type Numbers = BTreeMap<String, Option<f64>>;

/// One rule's say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailStep {
    /// The rule.
    pub rule: RuleId,
    /// Its number.
    pub replicas: u32,
    /// Its reason.
    pub text: String,
    /// The numbers in it.
    pub numbers: Numbers,
}

/// An alarm, its numbers and its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmTold {
    /// Its name, state and counts.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// In one line.
    pub text: String,
}

/// One policy's say in a combination of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberTold {
    /// Its name.
    pub policy: String,
    /// What it asked for, after its own limits.
    #[serde(flatten)]
    pub step: TrailStep,
}

/// What a policy that only watches would have done with a virtual pool of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowTold {
    /// As the user wrote it.
    pub label: String,
    /// Its desired workers before.
    pub current: u32,
    /// Its desired workers after.
    pub desired: u32,
    /// Its virtual workers that were ready.
    pub ready: u32,
    /// How busy they were, in percent of their size.
    pub busy_percent: Option<f64>,
    /// Requests that would wait.
    pub queued: u32,
    /// Virtual worker-seconds since it began.
    pub worker_seconds: f64,
    /// Its last word.
    pub decided: TrailStep,
    /// What kept its number from changing.
    pub blocked_by: Vec<Blocker>,
    /// What would have changed it.
    pub nearest_flip: Option<NearestFlip>,
}

/// A rule that kept the number from changing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// The rule.
    pub by: RuleId,
    /// When it will stop doing so, where known.
    pub until: Option<Timestamp>,
    /// Seconds from the decision until then.
    pub left_s: Option<f64>,
    /// Its reason.
    pub text: String,
    /// The numbers in it.
    pub numbers: Numbers,
}

/// A worker whose reading was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Its slot, as in `w1`.
    pub worker: String,
    /// Why.
    pub text: String,
    /// The numbers in it.
    pub numbers: Numbers,
}

/// A reading that could not be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnsoundTold {
    /// As in `worker_cpu`.
    pub signal: String,
    /// Whose, if one worker's.
    pub worker: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
    /// Whether it counted as not taken.
    pub dropped: bool,
    /// In words.
    pub text: String,
}

/// The nearest change that would have made the decision another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestFlip {
    /// The number it would have asked for.
    pub replicas: u32,
    /// What would have had to differ.
    pub text: String,
    /// The numbers in it.
    pub numbers: Numbers,
}

impl Record {
    /// Explains a turn.
    pub fn of(cycle: &Cycle) -> Self {
        match cycle {
            Cycle::Decided { seen, decision, applied, .. } => {
                Self::Decided(Box::new(Decided::of(seen, decision, applied)))
            }
            Cycle::Blind { at, because } => Self::Blind { at: *at, because: because.clone() },
        }
    }

    /// When the turn took place.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Decided(decided) => decided.at,
            Self::Blind { at, .. } => *at,
        }
    }

    /// Whether the turn changed the number of workers or took an order.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Decided(decided) => decided.action != Action::None || !decided.commands.is_empty(),
            Self::Blind { .. } => false,
        }
    }
}

impl Decided {
    fn of(seen: &Observation, decision: &Decision, applied: &Applied) -> Self {
        let steps = std::iter::once(&decision.recommended).chain(&decision.limited);
        let alarms =
            decision.alarms.iter().map(|alarm| AlarmTold { text: alarm.to_string(), alarm: alarm.clone() });
        let members = decision.members.iter().map(|member| MemberTold {
            policy: member.policy.to_string(),
            step: TrailStep::of(&member.step),
        });
        let excluded = decision.excluded.iter().map(|excluded| Left {
            worker: excluded.worker.to_string(),
            text: excluded.because.to_string(),
            numbers: numbers(&excluded.because),
        });
        Self {
            at: seen.at,
            current: decision.current,
            desired: decision.desired(),
            action: match decision.change() {
                0 => Action::None,
                1.. => Action::ScaleUp,
                _ => Action::ScaleDown,
            },
            text: summary(decision),
            raw: decision.raw.as_ref().map(TrailStep::of),
            overruled: decision.overruled.as_ref().map(TrailStep::of),
            trail: steps.map(TrailStep::of).collect(),
            alarms: alarms.collect(),
            members: members.collect(),
            blocked_by: decision.blocked_by.iter().map(|blocked| blocker(blocked, seen.at)).collect(),
            excluded: excluded.collect(),
            unsound: decision.unsound.iter().map(UnsoundTold::of).collect(),
            nearest_flip: decision.nearest_flip.as_ref().map(NearestFlip::of),
            measured: decision.measured.clone(),
            in_force: decision.in_force.clone(),
            boost: decision.boost,
            shadows: decision.shadows.iter().map(|shadow| ShadowTold::of(shadow, seen.at)).collect(),
            commands: seen.commands.clone(),
            applied: applied.clone(),
        }
    }
}

impl ShadowTold {
    /// Puts a shadow's turn into words.
    pub fn of(shadow: &ShadowTurn, now: Timestamp) -> Self {
        Self {
            label: shadow.label.to_string(),
            current: shadow.current,
            desired: shadow.desired(),
            ready: shadow.ready,
            busy_percent: shadow.busy_percent,
            queued: shadow.queued,
            worker_seconds: shadow.worker_seconds,
            decided: TrailStep::of(&shadow.decided),
            blocked_by: shadow.blocked_by.iter().map(|blocked| blocker(blocked, now)).collect(),
            nearest_flip: shadow.nearest_flip.as_ref().map(NearestFlip::of),
        }
    }
}

impl UnsoundTold {
    fn of(unsound: &Unsound) -> Self {
        Self {
            signal: unsound.signal.to_string(),
            worker: unsound.worker.map(|worker| worker.to_string()),
            fault: unsound.fault,
            dropped: unsound.dropped,
            text: unsound.because.to_string(),
        }
    }
}

impl NearestFlip {
    fn of(flip: &Flip) -> Self {
        Self { replicas: flip.replicas, text: flip.because.to_string(), numbers: numbers(&flip.because) }
    }
}

impl TrailStep {
    fn of(step: &Step) -> Self {
        Self {
            rule: step.rule.clone(),
            replicas: step.replicas,
            text: step.because.to_string(),
            numbers: numbers(&step.because),
        }
    }
}

fn summary(decision: &Decision) -> String {
    let step = decision.deciding();
    let (current, desired) = (decision.current, decision.desired());
    if current == desired {
        format!("stays at {desired}: {} ({})", step.because, step.rule)
    } else {
        format!("{current} → {desired}: {} ({})", step.because, step.rule)
    }
}

fn blocker(blocked: &Blocked, now: Timestamp) -> Blocker {
    Blocker {
        by: blocked.by.clone(),
        until: blocked.until,
        left_s: blocked.left(now).map(|left| left.as_secs_f64()),
        text: blocked.because.to_string(),
        numbers: numbers(&blocked.because),
    }
}

fn numbers(because: &Because) -> Numbers {
    let finite = |value: f64| value.is_finite().then_some(value);
    because.numbers.iter().map(|(name, value)| (name.to_string(), finite(*value))).collect()
}
