//! Never below the minimum, never above the maximum.

use crate::controller::ControllerConfig;
use crate::decision::{Because, Step};

/// The nearest number within the bounds.
pub fn clamp(config: &ControllerConfig, replicas: u32) -> u32 {
    replicas.max(config.min).min(config.max)
}

/// A step if `asked` lies outside `min ..= max`.
pub(super) fn limit(min: u32, max: u32, asked: u32) -> Option<Step> {
    let numbers = |bound: u32| [("asked", f64::from(asked)), ("bound", f64::from(bound))];
    if asked > max {
        let because = Because::new("{asked} asked for, at most {bound} allowed", numbers(max));
        Some(Step { rule: "max".into(), replicas: max, because })
    } else if asked < min {
        let because = Because::new("{asked} asked for, at least {bound} required", numbers(min));
        Some(Step { rule: "min".into(), replicas: min, because })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_and_says_so() {
        let rows = [
            (0, Some((1, "min"))),
            (1, None),
            (5, None),
            (6, Some((5, "max"))),
            (u32::MAX, Some((5, "max"))),
        ];
        for (asked, expected) in rows {
            let step = limit(1, 5, asked);
            let got = step.as_ref().map(|step| (step.replicas, step.rule.as_ref()));
            assert_eq!(got, expected, "asked {asked}");
        }
    }
}
