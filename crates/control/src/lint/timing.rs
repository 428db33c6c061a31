//! Rules on times: what a policy waits for against how long a worker takes to help.

use std::time::Duration;

use super::subject::Subject;
use super::{LintRule, Problem, Severity};
use crate::span;

/// Longer than this from a rise to the worker that answers it, and users have left.
const SLOW: Duration = Duration::from_secs(120);

fn written(length: Duration) -> String {
    span::format(length)
}

pub(super) const COOLDOWN_BELOW_START_UP: LintRule = LintRule {
    name: "cooldown_below_start_up",
    about: "a second worker is asked for before the first one helps",
    check: |subject| {
        let (key, cooldown) = subject.cooldown_up()?;
        let helps = subject.start_up + subject.interval;
        (cooldown < helps).then(|| Problem {
            severity: Severity::Warning,
            what: "the next scale-out comes before the last one shows in the signal".to_owned(),
            arithmetic: format!(
                "{key} {} < start-up {} + a turn of {}",
                written(cooldown),
                written(subject.start_up),
                written(subject.interval)
            ),
            mend: format!("set {key} to {} or more, or limits.in_flight", written(helps)),
        })
    },
};

pub(super) const SCALE_IN_TOO_SOON: LintRule = LintRule {
    name: "scale_in_too_soon",
    about: "workers may be taken away before new ones have taken load",
    check: |subject| {
        let (key, wait) = subject.wait_down()?;
        let settled = subject.start_up + subject.interval;
        (wait < settled).then(|| Problem {
            severity: Severity::Warning,
            what: "a scale-in may follow a scale-out whose worker is not ready yet".to_owned(),
            arithmetic: format!(
                "{key} {} < start-up {} + a turn of {}",
                written(wait),
                written(subject.start_up),
                written(subject.interval)
            ),
            mend: format!("set {key} to {} or more", written(settled * 2)),
        })
    },
};

pub(super) const COOLDOWN_BELOW_INTERVAL: LintRule = LintRule {
    name: "cooldown_without_effect",
    about: "a cool-down shorter than a turn never stops anything",
    check: |subject| {
        let (key, cooldown) = subject.cooldown_up()?;
        (cooldown < subject.interval && !cooldown.is_zero()).then(|| Problem {
            severity: Severity::Note,
            what: format!("{key} is over before the policy is asked again"),
            arithmetic: format!("{} < interval {}", written(cooldown), written(subject.interval)),
            mend: format!("set {key} to 0s, or to several intervals"),
        })
    },
};

pub(super) const WARM_UP_BELOW_START_UP: LintRule = LintRule {
    name: "start_up_counts_as_load",
    about: "the work of starting is taken for load",
    check: |subject| {
        let warm_up = subject.span("warm_up")?;
        let cpu = subject.signal() == Some("worker_cpu");
        (cpu && warm_up.is_zero()).then(|| Problem {
            severity: Severity::Warning,
            what: "a fresh worker's own start-up CPU asks for the next one (kubernetes/kubernetes#29989)"
                .to_owned(),
            arithmetic: format!("warm_up 0s, start-up {}", written(subject.start_up)),
            mend: "set warm_up to the time after ready in which it still compiles or loads".to_owned(),
        })
    },
};

pub(super) const SLOW_TO_SEE: LintRule = LintRule {
    name: "slow_to_react",
    about: "a rise is seen and answered too late to help",
    check: |subject| {
        let period = subject.span("period").unwrap_or_default().max(subject.interval);
        let datapoints = match subject.policy.as_str() {
            "threshold" => subject.number("datapoints_to_alarm")?,
            "target_tracking" => subject.number("scale_out_datapoints")?,
            _ => 1.0,
        };
        let seen = period.mul_f64(datapoints.clamp(1.0, 1e6));
        let total = seen + subject.interval + subject.start_up;
        (total > SLOW).then(|| Problem {
            severity: Severity::Warning,
            what: format!("from a rise to the worker that answers it pass {:.0} s", total.as_secs_f64()),
            arithmetic: format!(
                "{datapoints} datapoints × {} + a turn of {} + start-up {}",
                written(period),
                written(subject.interval),
                written(subject.start_up)
            ),
            mend: "shorten the period or ask for fewer datapoints; keep spare workers (min) or predict"
                .to_owned(),
        })
    },
};

pub(super) const STALE_BELOW_PERIOD: LintRule = LintRule {
    name: "always_stale",
    about: "readings count as missing before the next one can come",
    check: |subject: &Subject| {
        let stale = subject.span("stale_after")?;
        (stale < subject.interval).then(|| Problem {
            severity: Severity::Error,
            what: "named readings are too old at every turn".to_owned(),
            arithmetic: format!("stale_after {} < interval {}", written(stale), written(subject.interval)),
            mend: format!("set stale_after to {} or more", written(subject.interval * 3)),
        })
    },
};
