//! Named shapes of load: `constant`, `ramp`, `sine`, `step`, `burst`.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Segment;
use crate::units::{Rate, parse_duration};

/// Straight lines in one wave of a sine: the largest distance from the curve is 0.12 %.
const LINES_A_WAVE: u32 = 64;
/// Most repetitions in one plan, so that a slip in the period does not fill the memory.
const PERIODS_MAX: f64 = 10_000.0;
/// The lowest rate, unless `low=` says otherwise, as a share of the highest.
const LOW_SHARE: f64 = 0.1;

/// A shape of load between a low rate and the rate asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pattern {
    /// Which shape.
    pub kind: PatternKind,
    /// Time after which it repeats; `None` is the whole length (`burst`: a third of it).
    pub period: Option<Duration>,
    /// Lowest rate as a share of the highest, 0 to 1.
    pub low_share: f64,
}

/// The shapes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// The same rate all the time.
    Constant,
    /// From low to high in a straight line.
    Ramp,
    /// From low to high and back, as a wave.
    Sine,
    /// A third low, a third high, a third low.
    Step,
    /// Low, with a fifth of each period high.
    Burst,
}

/// Name of each shape, as typed.
const KINDS: &[(&str, PatternKind)] = &[
    ("constant", PatternKind::Constant),
    ("ramp", PatternKind::Ramp),
    ("sine", PatternKind::Sine),
    ("step", PatternKind::Step),
    ("burst", PatternKind::Burst),
];

/// Why a text is not a pattern, or a pattern not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is no such shape.
    #[error("there is no pattern `{0}`: choose constant, ramp, sine, step or burst")]
    Unknown(String),
    /// A setting after the `:` is wrong.
    #[error("pattern setting `{0}`: expected period=TIME or low=SHARE, such as sine:period=30s,low=20%")]
    Setting(String),
    /// It would repeat too often.
    #[error("the pattern's period is too short: it would repeat more than {PERIODS_MAX} times")]
    Period,
}

impl Pattern {
    /// A shape with its usual settings.
    pub fn new(kind: PatternKind) -> Self {
        Self { kind, period: None, low_share: LOW_SHARE }
    }

    pub(super) fn segments(&self, rate: Rate, length: Duration) -> Result<Vec<Segment>, PatternError> {
        let length = length.as_secs_f64();
        let whole = if self.kind == PatternKind::Burst { length / 3.0 } else { length };
        let period = self.period.map_or(whole, |period| period.as_secs_f64());
        if period <= 0.0 || length / period > PERIODS_MAX {
            return Err(PatternError::Period);
        }
        let high = rate.as_per_second();
        let low = high * self.low_share;
        let at = |level: f64| low + (high - low) * level;
        let mut segments = Vec::new();
        let mut left = length;
        // A rest of rounding errors is not a period.
        while left > length * 1e-9 {
            for (share, from, to) in self.kind.lines() {
                let line = Segment { length: period * share, from: at(from), to: at(to) }.cut(left);
                left = (left - line.length).max(0.0);
                segments.push(line);
            }
        }
        segments.retain(|line| line.length > 0.0);
        Ok(segments)
    }
}

impl PatternKind {
    /// One period: shares of its length, with the levels from 0 (low) to 1 (high) at both ends.
    fn lines(self) -> Vec<(f64, f64, f64)> {
        match self {
            Self::Constant => vec![(1.0, 1.0, 1.0)],
            Self::Ramp => vec![(1.0, 0.0, 1.0)],
            Self::Step => vec![(1.0 / 3.0, 0.0, 0.0), (1.0 / 3.0, 1.0, 1.0), (1.0 / 3.0, 0.0, 0.0)],
            Self::Burst => vec![(0.4, 0.0, 0.0), (0.2, 1.0, 1.0), (0.4, 0.0, 0.0)],
            Self::Sine => {
                let lines = f64::from(LINES_A_WAVE);
                let level = |line: u32| f64::midpoint(1.0, -(TAU * f64::from(line) / lines).cos());
                (0..LINES_A_WAVE).map(|line| (1.0 / lines, level(line), level(line + 1))).collect()
            }
        }
    }
}

impl fmt::Display for PatternKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// `sine`, or with settings `sine:period=30s,low=20%`.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (name, settings) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let kind = KINDS.iter().find(|(known, _)| *known == name);
        let (_, kind) = kind.ok_or_else(|| PatternError::Unknown(name.to_owned()))?;
        let mut pattern = Self::new(*kind);
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let wrong = || PatternError::Setting(setting.to_owned());
            match setting.split_once('=').ok_or_else(wrong)? {
                ("period", value) => pattern.period = Some(parse_duration(value).map_err(|_| wrong())?),
                ("low", value) => pattern.low_share = share(value).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(pattern)
    }
}

/// `0.2` or `20%`.
fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn patterns_keep_their_length_and_area() {
        // pattern, requests expected at 100/s for 60 s
        let cases = [
            ("constant", 6000.0),
            ("ramp", 3300.0),
            ("ramp:low=0", 3000.0),
            ("sine", 3300.0),
            ("sine:period=7s,low=50%", 4500.0),
            ("step", 2400.0),
            ("burst", 1680.0),
            ("burst:period=10s,low=0", 1200.0),
        ];
        for (text, expected) in cases {
            let pattern: Pattern = text.parse().unwrap();
            let plan =
                Plan::pattern(&pattern, Rate::per_second(100.0).unwrap(), Duration::from_secs(60)).unwrap();
            let length = plan.length().unwrap().as_secs_f64();
            assert!((length - 60.0).abs() < 1e-6, "{text}: {length}");
            // A last, cut period moves the area by less than one period's.
            let margin = if text.contains("7s") { 100.0 } else { 1e-6 };
            assert!((plan.expected() - expected).abs() < margin, "{text}: {}", plan.expected());
        }
    }

    #[test]
    fn wrong_patterns_are_named() {
        let cases = [
            ("saw", "there is no pattern `saw`"),
            ("sine:period", "pattern setting `period`"),
            ("sine:low=2", "pattern setting `low=2`"),
            ("sine:height=3", "pattern setting `height=3`"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let short: Pattern = "sine:period=1ms".parse().unwrap();
        let rate = Rate::per_second(1.0).unwrap();
        assert_eq!(Plan::pattern(&short, rate, Duration::from_secs(60)), Err(PatternError::Period));
    }
}
