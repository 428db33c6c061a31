//! What was decided and why: the number is the end of its own trail, so that the two cannot
//! disagree.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::WorkerId;

use crate::shadow::ShadowTurn;
use crate::soundness::Unsound;

pub use crate::because::{Because, Text};
pub use crate::decision::alarm::{Alarm, AlarmState};
pub use crate::decision::condition::{Condition, ConditionKind};
pub use crate::decision::foresight::{Foresight, Planned, Standing, Trust};

pub mod alarm;
pub mod condition;
pub mod foresight;

/// Name of a rule, as in `above_up`, `bounds`, `cooldown`.
pub type RuleId = Cow<'static, str>;

/// One rule's say: this many replicas, because.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The rule that spoke.
    pub rule: RuleId,
    /// Its number.
    pub replicas: u32,
    /// Its reason.
    pub because: Because,
}

/// A rule that kept the number from changing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// The rule, as in `cooldown`.
    pub by: RuleId,
    /// When it will stop doing so, where that is known.
    pub until: Option<Timestamp>,
    /// Its reason.
    pub because: Because,
}

impl Blocked {
    /// Time left at `now`, where known.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let left = self.until?.duration_since(now);
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}

/// A worker whose reading was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excluded {
    /// The worker.
    pub worker: WorkerId,
    /// Why, as in "warming, 2 s left".
    pub because: Because,
}

/// The nearest change that would have made the decision another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The number of replicas it would have asked for.
    pub replicas: u32,
    /// What would have to differ, as in "above 35 % it would have; cpu was 34.6 %".
    pub because: Because,
}

/// The policy's main signal at this turn, for charts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// As in `worker_cpu`.
    pub signal: Cow<'static, str>,
    /// As in `%`; empty for counts.
    pub unit: Cow<'static, str>,
    /// `None` when it could not be had.
    pub value: Option<f64>,
    /// Scale out above this, where the policy has such a line.
    pub up: Option<f64>,
    /// Scale in below this, where the policy has such a line.
    pub down: Option<f64>,
}

/// The configuration and orders under which a decision was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// Name of the policy.
    pub policy: String,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Whether an order keeps everything as it is.
    pub paused: bool,
    /// Whether an order keeps workers from being taken away.
    #[serde(default, skip_serializing_if = "crate::observation::is_false")]
    pub scale_in_paused: bool,
    /// When the pause, of whichever kind, ends by itself.
    pub paused_until: Option<Timestamp>,
    /// Replicas held by hand.
    pub held: Option<u32>,
    /// When the hold ends by itself.
    pub held_until: Option<Timestamp>,
}

/// One turn's answer with its whole trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Desired replicas before this turn.
    pub current: u32,
    /// What the policy, or an order in its place, asked for.
    pub recommended: Step,
    /// What each limit made of it, in order; only those that changed something.
    pub limited: Vec<Step>,
    /// Rules that kept the number from changing.
    pub blocked_by: Vec<Blocked>,
    /// Workers left out of the measurement.
    pub excluded: Vec<Excluded>,
    /// Readings that could not be believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsound: Vec<Unsound>,
    /// What it would have taken to decide otherwise.
    pub nearest_flip: Option<Flip>,
    /// The signal behind it.
    pub measured: Option<Measured>,
    /// Configuration and orders in force.
    pub in_force: InForce,
    /// What the formula gave before its own tolerance and checks, where it has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Step>,
    /// What the policy asked for while an order stood in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Step>,
    /// Alarms behind it, for policies that have such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// What each member of a combination asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// What a policy that looks ahead saw there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foresight: Option<Box<Foresight>>,
    /// The boost in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost: Option<Boost>,
    /// What policies that only watch would have done, each on its own virtual pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<ShadowTurn>,
}

/// At least so many replicas for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boost {
    /// How many.
    pub min: u32,
    /// When it ends.
    pub until: Timestamp,
}

/// One policy's say in a combination of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub policy: Text,
    /// What it asked for, after its own limits.
    pub step: Step,
}

impl Decision {
    /// The number of replicas decided: the end of the trail.
    pub fn desired(&self) -> u32 {
        self.deciding().replicas
    }

    /// The step that had the last word.
    pub fn deciding(&self) -> &Step {
        self.limited.last().unwrap_or(&self.recommended)
    }

    /// How many more (or fewer) replicas than before.
    pub fn change(&self) -> i64 {
        i64::from(self.desired()) - i64::from(self.current)
    }
}
