//! What is unwise about a policy, found by arithmetic alone: each rule says its numbers and how to
//! mend it.
//!
//! The flap margin is closed form. With a signal that is shared out among the workers, a value
//! just above `up` on `n` workers falls to `up × n / (n + step)` on `n + step`: what is left above
//! `down` is the margin before the pool would shrink again. Just below `down` on `n + step` it
//! rises to `down × (n + step) / n`. For 35/15 that is 17.5 - 15 = +2.5 and 35 - 30 = +5 points
//! between 1 and 2 workers.

mod limits;
mod lines;
mod reach;
mod subject;
mod timing;

use std::time::Duration;

use serde::Serialize;

pub use self::subject::{Need, Subject};
use crate::controller::ControllerConfig;
use crate::policy::ConfigError;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It will cost requests or workers.
    Warning,
    /// It cannot do what it is for.
    Error,
}

impl Severity {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One unwise thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule, as in `flap_margin`.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// The numbers behind it.
    pub arithmetic: String,
    /// What to change.
    pub mend: String,
}

/// A row of the registry.
pub struct LintRule {
    /// What findings are called.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// Finds.
    pub(crate) check: fn(&Subject) -> Option<Problem>,
}

/// What a rule found; the registry adds its name.
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) arithmetic: String,
    pub(crate) mend: String,
}

/// Every rule, in the order in which findings are printed.
pub static RULES: &[LintRule] = &[
    lines::FLAP_MARGIN,
    lines::THIN_MARGIN,
    lines::TOUCHING,
    lines::NO_HEADROOM,
    lines::OUT_OF_REACH,
    lines::NEVER_IN,
    lines::LAST_STEP_IN,
    lines::SIGNAL_DOES_NOT_FALL,
    lines::STEP_TOO_LARGE,
    timing::COOLDOWN_BELOW_START_UP,
    timing::SCALE_IN_TOO_SOON,
    timing::COOLDOWN_BELOW_INTERVAL,
    timing::WARM_UP_BELOW_START_UP,
    timing::SLOW_TO_SEE,
    timing::STALE_BELOW_PERIOD,
    limits::RATE_TOO_SLOW,
    limits::FLAP_BUDGET,
    limits::IN_FLIGHT_TOO_SHORT,
    limits::SCALE_IN_DISABLED,
    limits::NO_DATA_ACTS,
    reach::FIXED_SIZE,
    reach::ZERO_WITHOUT_SIGNAL,
    reach::MAX_BELOW_NEED,
    reach::MIN_ABOVE_NEED,
    reach::COARSE_STEPS,
];

/// A step of the pool and what is left to the other line after it; below 0 it would swing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Margin {
    /// Fewer workers.
    pub from: u32,
    /// More workers.
    pub to: u32,
    /// Points left above the lower line after scaling out.
    pub out: f64,
    /// Points left below the upper line after scaling in.
    pub back: f64,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// For each step of the pool, where the policy has two lines.
    pub margins: Vec<Margin>,
}

/// Finds what is unwise about `config` where workers take `start_up` to become ready.
///
/// # Errors
/// The configuration itself is wrong.
pub fn lint(
    config: &ControllerConfig,
    start_up: Duration,
    need: Option<Need>,
) -> Result<Report, ConfigError> {
    config.check()?;
    let subject = Subject::new(config, start_up, need)?;
    let mut findings: Vec<Finding> = RULES
        .iter()
        .filter_map(|rule| {
            let Problem { severity, what, arithmetic, mend } = (rule.check)(&subject)?;
            Some(Finding { rule: rule.name, severity, what, arithmetic, mend })
        })
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(Report { findings, margins: lines::margins(&subject) })
}

#[cfg(test)]
#[path = "lint/tests.rs"]
mod tests;
