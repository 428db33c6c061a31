//! The conditions of a Kubernetes HPA, read off a decision's trail, so that the two cannot
//! disagree.

use serde::{Deserialize, Serialize};

use super::Decision;

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionKind {
    /// Whether the number can be changed now.
    AbleToScale,
    /// Whether the policy has what it needs.
    ScalingActive,
    /// Whether a limit changed the number.
    ScalingLimited,
}

/// One condition with Kubernetes' word for its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: bool,
    /// Why, in one word.
    pub reason: String,
}

impl Decision {
    /// `AbleToScale`, `ScalingActive`, `ScalingLimited`, in this order. The last is left out
    /// where no metrics were computed.
    pub fn conditions(&self) -> Vec<Condition> {
        let said = self.recommended.rule.as_ref();
        let limit = |rule: &str| self.limited.iter().find(|step| step.rule == rule);
        let able = if let Some(step) = limit("stabilization") {
            let up = holds_up(&step.because.sentence);
            if up { "ScaleUpStabilized" } else { "ScaleDownStabilized" }
        } else if self.change() != 0 {
            "SucceededRescale"
        } else {
            "ReadyForNewScale"
        };
        let mut all = vec![condition(ConditionKind::AbleToScale, true, able)];
        let failed = said.starts_with("Failed")
            || matches!(said, "no_reading" | "InvalidMetricSourceType" | "INSUFFICIENT_DATA");
        if failed || said == "ScalingDisabled" {
            let reason = if said == "no_reading" { "FailedGetMetric" } else { said };
            all.push(condition(ConditionKind::ScalingActive, false, reason));
            return all;
        }
        all.push(condition(ConditionKind::ScalingActive, true, "ValidMetricFound"));
        let limited = self.limited.iter().rev().find_map(|step| match step.rule.as_ref() {
            "max" => Some("TooManyReplicas"),
            "min" => Some("TooFewReplicas"),
            "rate" if step.replicas >= self.current && self.recommended.replicas >= self.current => {
                Some("ScaleUpLimit")
            }
            "rate" => Some("ScaleDownLimit"),
            _ => None,
        });
        let reason = limited.unwrap_or("DesiredWithinRange");
        all.push(condition(ConditionKind::ScalingLimited, limited.is_some(), reason));
        all
    }
}

/// Whether a stabilization step held back an increase.
fn holds_up(sentence: &str) -> bool {
    sentence.starts_with("the lowest")
}

fn condition(kind: ConditionKind, status: bool, reason: &str) -> Condition {
    Condition { kind, status, reason: reason.to_owned() }
}
