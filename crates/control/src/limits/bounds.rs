//! Never below the minimum, never above the maximum.

use super::bend::{Bend, Why};
use crate::controller::ControllerConfig;
use crate::decision::Because;

/// The nearest number within the bounds.
pub fn clamp(config: &ControllerConfig, replicas: u32) -> u32 {
    replicas.max(config.min).min(config.max)
}

/// The bound, if `asked` lies outside `min ..= max`.
pub(super) fn limit(min: u32, max: u32, asked: u32) -> Option<Bend<impl FnOnce() -> Why>> {
    let (rule, replicas, sentence) = if asked > max {
        ("max", max, "{asked} asked for, at most {bound} allowed")
    } else if asked < min {
        ("min", min, "{asked} asked for, at least {bound} required")
    } else {
        return None;
    };
    let why = move || {
        let numbers = [("asked", f64::from(asked)), ("bound", f64::from(replicas))];
        (Because::new(sentence, numbers), None)
    };
    Some(Bend { rule, replicas, why })
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
            let got = limit(1, 5, asked).map(|bend| (bend.replicas, bend.rule));
            assert_eq!(got, expected, "asked {asked}");
        }
    }
}
