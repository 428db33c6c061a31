//! Rules on limits, and on what a policy does without data.

use std::time::Duration;

use super::{LintRule, Problem, Severity};
use crate::limits::rate::{Rate, RateKind, Select};
use crate::span;

/// Longer than this from the fewest workers to the most, and a rise is over.
const SLOW: Duration = Duration::from_secs(600);

/// How long a rate takes from `min` to `max` workers.
fn climb(rate: Rate, min: u32, max: u32) -> Option<Duration> {
    let (mut at, mut periods) = (f64::from(min.max(1)), 0_u32);
    while at < f64::from(max) {
        let more = match rate.kind {
            RateKind::Pods => f64::from(rate.value),
            RateKind::Percent => (at * f64::from(rate.value) / 100.0).ceil(),
        };
        if more < 1.0 || periods > 10_000 {
            return None;
        }
        at += more;
        periods += 1;
    }
    Some(Duration::from_secs(rate.period_seconds.into()) * periods.saturating_sub(1))
}

pub(super) const RATE_TOO_SLOW: LintRule = LintRule {
    name: "rate_too_slow",
    about: "the rates keep the pool from growing in time",
    check: |subject| {
        let up = &subject.limits.rate.as_ref()?.up;
        let climbs = up.policies.iter().filter_map(|rate| climb(*rate, subject.min, subject.max));
        let length = match up.select {
            Select::Max => climbs.min()?,
            Select::Min => climbs.max()?,
            Select::Disabled => Duration::MAX,
        };
        (length > SLOW).then(|| Problem {
            severity: Severity::Warning,
            what: format!("from {} to {} workers its rates take too long", subject.min, subject.max),
            arithmetic: if length == Duration::MAX {
                "scaling out is disabled".to_owned()
            } else {
                format!("{:.0} s at the rate allowed", length.as_secs_f64())
            },
            mend: "allow more Pods or Percent in a period, or shorten the period".to_owned(),
        })
    },
};

pub(super) const FLAP_BUDGET: LintRule = LintRule {
    name: "budget_below_pool",
    about: "the budget of starts is spent before the pool is full",
    check: |subject| {
        let budget = subject.limits.flap_budget?;
        let room = subject.max - subject.min;
        (budget.starts < room).then(|| Problem {
            severity: Severity::Warning,
            what: "the budget of starts keeps the pool from reaching its maximum".to_owned(),
            arithmetic: format!(
                "{} starts in {} < {} - {} = {room}",
                budget.starts,
                span::format(budget.within),
                subject.max,
                subject.min
            ),
            mend: format!("allow {room} starts or more"),
        })
    },
};

pub(super) const IN_FLIGHT_TOO_SHORT: LintRule = LintRule {
    name: "guard_too_short",
    about: "the guard on changes in flight gives up before a worker can be ready",
    check: |subject| {
        let guard = subject.limits.in_flight?;
        (guard.at_most < subject.start_up).then(|| Problem {
            severity: Severity::Warning,
            what: "the guard ends before the worker that it waits for is ready".to_owned(),
            arithmetic: format!(
                "limits.in_flight.at_most {} < start-up {}",
                span::format(guard.at_most),
                span::format(subject.start_up)
            ),
            mend: format!("set it to {} or more", span::format(subject.start_up * 2)),
        })
    },
};

pub(super) const SCALE_IN_DISABLED: LintRule = LintRule {
    name: "scale_in_disabled",
    about: "workers are never taken away",
    check: |subject| {
        let flag = subject.settings.get("disable_scale_in").and_then(serde_json::Value::as_bool);
        let rate = subject.limits.rate.as_ref().is_some_and(|rate| rate.down.select == Select::Disabled);
        (flag == Some(true) || rate).then(|| Problem {
            severity: Severity::Note,
            what: "scaling in is disabled: what was once added stays".to_owned(),
            arithmetic: format!("up to {} workers for ever", subject.max),
            mend: "combine it with a policy that scales in, or enable it".to_owned(),
        })
    },
};

pub(super) const NO_DATA_ACTS: LintRule = LintRule {
    name: "acts_without_data",
    about: "missing data counts as a breach",
    check: |subject| {
        (subject.text("treat_missing_data") == Some("breaching")).then(|| Problem {
            severity: Severity::Warning,
            what: "a gap in the readings scales, in either direction".to_owned(),
            arithmetic: "every missing datapoint counts as one beyond the line".to_owned(),
            mend: "treat_missing_data = \"missing\" keeps what there is".to_owned(),
        })
    },
};
