//! Stages as typed: `10s:50,20s:400,30s:hold,0s:100`.

use std::str::FromStr;
use std::time::Duration;

use super::Segment;
use crate::units::{Rate, parse_duration};

/// More stages than anyone writes by hand; a longer list is a trace.
const STAGES_MAX: usize = 10_000;

/// One stage: the rate goes in a straight line to `to`, or stays where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it takes; zero is a jump.
    pub length: Duration,
    /// The rate at its end; `None` holds the rate.
    pub to: Option<Rate>,
}

/// Stages, one after another.
///
/// `10s:50` goes in 10 s from the rate so far (0 at first, or `--rate`) to 50 requests a
/// second; `10s:hold` stays at the rate so far; `0s:400` jumps.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages(Vec<Stage>);

/// Why a text is not a list of stages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StagesError {
    /// A stage has no `:`.
    #[error("stage `{0}`: expected TIME:RATE, such as 10s:50, 10s:hold or 0s:400")]
    Form(String),
    /// A stage's time cannot be read.
    #[error("stage `{stage}`: {because}")]
    Time {
        /// The stage as typed.
        stage: String,
        /// The cause.
        because: String,
    },
    /// A stage's rate cannot be read.
    #[error("stage `{stage}`: {because}")]
    Rate {
        /// The stage as typed.
        stage: String,
        /// The cause.
        because: String,
    },
    /// All stages together last no time.
    #[error("the stages last no time at all: a stage such as 20s:hold keeps the rate")]
    Empty,
    /// There are too many.
    #[error("there are more than {STAGES_MAX} stages: use a trace instead")]
    TooMany,
}

impl Stages {
    pub(super) fn segments(&self, start: Rate) -> Vec<Segment> {
        let mut from = start.as_per_second();
        let mut segments = Vec::with_capacity(self.0.len());
        for stage in &self.0 {
            let to = stage.to.map_or(from, Rate::as_per_second);
            if !stage.length.is_zero() {
                segments.push(Segment { length: stage.length.as_secs_f64(), from, to });
            }
            from = to;
        }
        segments
    }
}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let stages = text.split(',').map(stage).collect::<Result<Vec<_>, _>>()?;
        if stages.len() > STAGES_MAX {
            return Err(StagesError::TooMany);
        }
        if stages.iter().all(|stage| stage.length.is_zero()) {
            return Err(StagesError::Empty);
        }
        Ok(Self(stages))
    }
}

fn stage(text: &str) -> Result<Stage, StagesError> {
    let text = text.trim();
    let (time, rate) = text.split_once(':').ok_or_else(|| StagesError::Form(text.to_owned()))?;
    let length =
        parse_duration(time).map_err(|because| StagesError::Time { stage: text.to_owned(), because })?;
    let to = match rate.trim() {
        "hold" => None,
        rate => Some(rate.parse().map_err(|error: crate::RateError| StagesError::Rate {
            stage: text.to_owned(),
            because: error.to_string(),
        })?),
    };
    Ok(Stage { length, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_become_lines() {
        let line = |length, from, to| Segment { length, from, to };
        let cases = [
            ("10s:50", 0.0, vec![line(10.0, 0.0, 50.0)]),
            ("10s:50,20s:400", 20.0, vec![line(10.0, 20.0, 50.0), line(20.0, 50.0, 400.0)]),
            ("0s:400, 5s:hold", 0.0, vec![line(5.0, 400.0, 400.0)]),
            ("1m:60/m,500ms:hold", 0.0, vec![line(60.0, 0.0, 1.0), line(0.5, 1.0, 1.0)]),
        ];
        for (text, start, expected) in cases {
            let stages: Stages = text.parse().unwrap();
            assert_eq!(stages.segments(Rate::per_second(start).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn wrong_stages_are_named() {
        let cases = [
            ("10s", "stage `10s`: expected TIME:RATE"),
            ("10s:50,,", "stage ``: expected TIME:RATE"),
            ("10:50", "stage `10:50`: `10` is not a duration"),
            ("10s:fast", "stage `10s:fast`: `fast` is not a rate"),
            ("0s:50", "the stages last no time"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Stages>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
