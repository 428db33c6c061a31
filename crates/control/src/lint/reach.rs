//! Rules on the bounds: whether the pool can get where the load needs it.

use super::{LintRule, Problem, Severity};

pub(super) const FIXED_SIZE: LintRule = LintRule {
    name: "fixed_size",
    about: "the bounds leave nothing to decide",
    check: |subject| {
        (subject.min == subject.max).then(|| Problem {
            severity: Severity::Warning,
            what: "nothing can ever change".to_owned(),
            arithmetic: format!("min {} = max {}", subject.min, subject.max),
            mend: "raise max or lower min".to_owned(),
        })
    },
};

pub(super) const ZERO_WITHOUT_SIGNAL: LintRule = LintRule {
    name: "blind_at_zero",
    about: "with no worker left the signal cannot be measured",
    check: |subject| {
        let per_worker =
            matches!(subject.signal(), Some("worker_cpu" | "worker_memory" | "rps" | "in_flight"));
        (subject.min == 0 && per_worker).then(|| Problem {
            severity: Severity::Note,
            what: "at zero workers only a waiting request brings one back".to_owned(),
            arithmetic: format!("{} ÷ 0 workers is no number", subject.signal().unwrap_or_default()),
            mend: "expected with `wake`; the first request waits for a start-up. kpa and keda know zero"
                .to_owned(),
        })
    },
};

pub(super) const MAX_BELOW_NEED: LintRule = LintRule {
    name: "max_below_need",
    about: "the recorded load needs more workers than are allowed",
    check: |subject| {
        let need = subject.need?;
        (subject.max < need.most).then(|| Problem {
            severity: Severity::Error,
            what: format!("at its peak the load needs {} workers", need.most),
            arithmetic: format!("max {} < {}", subject.max, need.most),
            mend: format!("set max to {} or more", need.most),
        })
    },
};

pub(super) const MIN_ABOVE_NEED: LintRule = LintRule {
    name: "min_above_need",
    about: "the recorded load never needs more than the minimum",
    check: |subject| {
        let need = subject.need?;
        (subject.min >= need.most && subject.min > 1).then(|| Problem {
            severity: Severity::Warning,
            what: "the load never needs more than min: the pool never scales".to_owned(),
            arithmetic: format!(
                "min {} ≥ {} at the peak, {} at the lowest",
                subject.min, need.most, need.least
            ),
            mend: format!("set min to {}", need.least.max(1)),
        })
    },
};

pub(super) const COARSE_STEPS: LintRule = LintRule {
    name: "tolerance_hides_workers",
    about: "in a large pool the tolerance hides several workers",
    check: |subject| {
        let tolerance = subject.number("tolerance")?;
        let hidden = (f64::from(subject.max) * tolerance).floor();
        (hidden >= 2.0).then(|| Problem {
            severity: Severity::Note,
            what: format!("near {} workers the pool may be {hidden:.0} short and not move", subject.max),
            arithmetic: format!("{} × {tolerance} = {hidden:.0} workers within the tolerance", subject.max),
            mend: "lower the tolerance, or accept it".to_owned(),
        })
    },
};
