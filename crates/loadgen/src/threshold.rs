//! Limits that a run must keep: `p99>200ms`, `failed>1%`, `rate<50`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::report::{Percentiles, Report};
use crate::units::{Rate, parse_duration};

/// A condition under which the run has failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    operator: Operator,
    limit: f64,
}

/// Several thresholds, separated by commas; each can fail the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(pub Vec<Threshold>);

/// A threshold that was crossed, with what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// The threshold as typed.
    pub threshold: String,
    /// What was measured, with its unit.
    pub measured: String,
}

/// Why a text is not a threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// There is no operator in it.
    #[error("threshold `{0}`: expected METRIC OPERATOR LIMIT, such as p99>200ms or failed>1%")]
    Form(String),
    /// The metric is not known.
    #[error(
        "threshold `{threshold}`: there is no metric `{metric}`: choose p50, p90, p95, p99, p999, max, failed, dropped or rate"
    )]
    Metric {
        /// As typed.
        threshold: String,
        /// The part that is not known.
        metric: String,
    },
    /// The limit does not suit the metric.
    #[error("threshold `{threshold}`: `{limit}` is no limit for it: expected {expected}")]
    Limit {
        /// As typed.
        threshold: String,
        /// The part that cannot be read.
        limit: String,
        /// What would do.
        expected: &'static str,
    },
}

type Pick = fn(&Percentiles) -> f64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// In milliseconds, corrected; the place in [`LATENCIES`].
    Latency(usize),
    /// Failed requests: a count, or a share of those sent.
    Failed { share: bool },
    /// Requests not sent: a count, or a share of those due.
    Dropped { share: bool },
    /// Requests per second achieved.
    Rate,
}

const LATENCIES: &[(&str, Pick)] = &[
    ("p50", |latency| latency.p50),
    ("p90", |latency| latency.p90),
    ("p95", |latency| latency.p95),
    ("p99", |latency| latency.p99),
    ("p999", |latency| latency.p999),
    ("max", |latency| latency.max),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Longer ones first: `>=` begins with `>`.
const OPERATORS: &[(&str, Operator)] =
    &[(">=", Operator::AtLeast), ("<=", Operator::AtMost), (">", Operator::Above), ("<", Operator::Below)];

impl Operator {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }
}

impl Threshold {
    /// What the report says against it; `None` when the limit was kept. A latency that could
    /// not be measured, because nothing was answered, counts as crossed.
    pub fn check(&self, report: &Report) -> Option<Breach> {
        let share = |count: u64, of: u64| if of > 0 { count as f64 / of as f64 } else { 0.0 };
        let value = match self.metric {
            Metric::Latency(index) => report.latency_ms.as_ref().map(LATENCIES[index].1),
            Metric::Failed { share: false } => Some(report.failed as f64),
            Metric::Failed { share: true } => Some(share(report.failed, report.sent)),
            Metric::Dropped { share: false } => Some(report.dropped as f64),
            Metric::Dropped { share: true } => Some(share(report.dropped, report.sent + report.dropped)),
            Metric::Rate => Some(report.rate_achieved),
        };
        if value.is_some_and(|value| !self.operator.holds(value, self.limit)) {
            return None;
        }
        let measured = match (value, self.metric) {
            (None, _) => "not measured, as no request was answered".to_owned(),
            (Some(value), Metric::Latency(_)) => format!("{value:.1} ms"),
            (Some(value), Metric::Failed { share: true } | Metric::Dropped { share: true }) => {
                format!("{:.2} %", value * 100.0)
            }
            (Some(value), Metric::Rate) => format!("{value:.1}/s"),
            (Some(value), _) => format!("{value:.0}"),
        };
        Some(Breach { threshold: self.text.clone(), measured })
    }
}

impl Thresholds {
    /// All that were crossed, in the order in which they were typed.
    pub fn check(&self, report: &Report) -> Vec<Breach> {
        self.0.iter().filter_map(|threshold| threshold.check(report)).collect()
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: it was {}", self.threshold, self.measured)
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let text = text.trim();
        let form = || ThresholdError::Form(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let (operator, limit) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?.trim())))
            .ok_or_else(form)?;
        let name = name.trim();
        if name.is_empty() || limit.is_empty() {
            return Err(form());
        }
        let (metric, limit) = parts(text, name, limit)?;
        Ok(Self { text: text.to_owned(), metric, operator, limit })
    }
}

/// The metric, and the limit in the metric's unit.
fn parts(text: &str, name: &str, limit: &str) -> Result<(Metric, f64), ThresholdError> {
    let wrong =
        |expected| ThresholdError::Limit { threshold: text.to_owned(), limit: limit.to_owned(), expected };
    if let Some(index) = LATENCIES.iter().position(|(known, _)| *known == name) {
        let limit: Duration = parse_duration(limit).map_err(|_| wrong("a duration such as 200ms"))?;
        return Ok((Metric::Latency(index), limit.as_secs_f64() * 1e3));
    }
    let number =
        |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
    let of = |metric: fn(bool) -> Metric| match limit.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| (metric(true), percent / 100.0)),
        // A fraction can only be a share, as in other tools: `failed>0.01`.
        None => number(limit).map(|limit| (metric(limit > 0.0 && limit < 1.0), limit)),
    };
    let count = "a count such as 0, or a share such as 1%";
    match name {
        "failed" => of(|share| Metric::Failed { share }).ok_or_else(|| wrong(count)),
        "dropped" => of(|share| Metric::Dropped { share }).ok_or_else(|| wrong(count)),
        "rate" => {
            let rate = limit.parse().map(Rate::as_per_second);
            rate.map(|rate| (Metric::Rate, rate)).map_err(|_| wrong("a rate such as 50 or 50/s"))
        }
        _ => Err(ThresholdError::Metric { threshold: text.to_owned(), metric: name.to_owned() }),
    }
}

impl FromStr for Thresholds {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let latency = Percentiles { p50: 10.0, p90: 20.0, p95: 50.0, p99: 200.0, p999: 300.0, max: 400.0 };
        Report {
            sent: 1000,
            succeeded: 990,
            failed: 10,
            dropped: 0,
            rate_achieved: 99.5,
            latency_ms: Some(latency),
            ..Report::default()
        }
    }

    #[test]
    fn thresholds_fail_the_run_when_they_hold() {
        let cases = [
            ("p99>200ms", None),
            ("p99>=200ms", Some("p99>=200ms: it was 200.0 ms")),
            ("p999 > 0.25s", Some("p999 > 0.25s: it was 300.0 ms")),
            ("max<1s", Some("max<1s: it was 400.0 ms")),
            ("failed>1%", None),
            ("failed>0.5%", Some("failed>0.5%: it was 1.00 %")),
            ("failed>0.005", Some("failed>0.005: it was 1.00 %")),
            ("failed>0", Some("failed>0: it was 10")),
            ("failed>=11", None),
            ("dropped>0", None),
            ("rate<100", Some("rate<100: it was 99.5/s")),
            ("rate<=99/s", None),
        ];
        for (text, expected) in cases {
            let breach = text.parse::<Threshold>().unwrap().check(&report());
            assert_eq!(breach.map(|breach| breach.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_kept() {
        let silent = Report { latency_ms: None, ..report() };
        let breach = "p99>200ms".parse::<Threshold>().unwrap().check(&silent).unwrap();
        assert!(breach.measured.starts_with("not measured"));
    }

    #[test]
    fn several_are_checked_in_order() {
        let thresholds: Thresholds = "p50>1ms, failed>1%,rate<100".parse().unwrap();
        let breaches: Vec<_> =
            thresholds.check(&report()).into_iter().map(|breach| breach.threshold).collect();
        assert_eq!(breaches, ["p50>1ms", "rate<100"]);
    }

    #[test]
    fn wrong_thresholds_say_what_was_expected() {
        let cases = [
            ("p99", "threshold `p99`: expected METRIC OPERATOR LIMIT"),
            ("p99=5ms", "threshold `p99=5ms`: expected METRIC OPERATOR LIMIT"),
            (">5ms", "threshold `>5ms`: expected METRIC OPERATOR LIMIT"),
            ("p99>", "threshold `p99>`: expected METRIC OPERATOR LIMIT"),
            ("p98>5ms", "threshold `p98>5ms`: there is no metric `p98`"),
            ("p99>5", "threshold `p99>5`: `5` is no limit for it: expected a duration"),
            ("failed>1ms", "threshold `failed>1ms`: `1ms` is no limit for it: expected a count"),
            ("rate<-1", "threshold `rate<-1`: `-1` is no limit for it: expected a rate"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
