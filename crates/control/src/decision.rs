//! What was decided and why: the number is the end of its own trail, so that the two cannot
//! disagree.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::WorkerId;

/// Name of a rule, as in `above_up`, `bounds`, `cooldown`.
pub type RuleId = Cow<'static, str>;

/// Numbers and the sentence that they belong into. Text is made only when shown.
///
/// `sentence` has a `{name}` for each number: `"cpu {cpu} % > {up} %"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Because {
    /// With a `{name}` for each number.
    pub sentence: Cow<'static, str>,
    /// Name and value, in order of appearance.
    pub numbers: Vec<(Cow<'static, str>, f64)>,
}

impl Because {
    /// A reason with its numbers.
    pub fn new<const N: usize>(sentence: &'static str, numbers: [(&'static str, f64); N]) -> Self {
        let numbers = numbers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        Self { sentence: Cow::Borrowed(sentence), numbers }
    }

    /// A reason made of text that is only known at run time.
    pub fn text(sentence: String) -> Self {
        Self { sentence: Cow::Owned(sentence), numbers: Vec::new() }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: &str = &self.sentence;
        while let Some((before, after)) = rest.split_once('{') {
            f.write_str(before)?;
            let named = after.split_once('}').and_then(|(name, tail)| {
                let found = self.numbers.iter().find(|(known, _)| known == name)?;
                Some((found.1, tail))
            });
            match named {
                Some((value, tail)) => {
                    write_number(f, value)?;
                    rest = tail;
                }
                None => {
                    f.write_str("{")?;
                    rest = after;
                }
            }
        }
        f.write_str(rest)
    }
}

/// Whole numbers bare, others with one decimal.
fn write_number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if (value - value.round()).abs() < 0.05 { write!(f, "{value:.0}") } else { write!(f, "{value:.1}") }
}

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
    /// When the pause ends by itself.
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
    /// What it would have taken to decide otherwise.
    pub nearest_flip: Option<Flip>,
    /// The signal behind it.
    pub measured: Option<Measured>,
    /// Configuration and orders in force.
    pub in_force: InForce,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shows_its_numbers() {
        let because = Because::new("cpu {cpu} % > {up} %", [("cpu", 81.27), ("up", 35.0)]);
        assert_eq!(because.to_string(), "cpu 81.3 % > 35 %");
        let odd = Because::text("a {brace} and a {".to_owned());
        assert_eq!(odd.to_string(), "a {brace} and a {");
    }
}
