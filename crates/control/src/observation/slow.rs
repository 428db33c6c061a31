//! Inputs that are made beside the loop and come when they are ready: nothing in a turn waits for
//! them. They are part of the observation, so that a recorded run replays without its models.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::exec::Answers;

/// What came in since the last turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowInputs {
    /// The latest forecast, at the first turn that sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Box<ForecastSeen>>,
    /// The latest answers of programs, by their command lines.
    #[serde(default, skip_serializing_if = "Answers::is_empty")]
    pub exec: Answers,
}

/// A forecast of requests a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastSeen {
    /// Which model made it, by its id.
    pub model: String,
    /// The end of the last sample that it knows; its age is counted from here.
    pub made_at: Timestamp,
    /// Length of a step, in seconds.
    pub step_s: f64,
    /// Levels of the quantiles, ascending, between 0 and 1.
    pub levels: Vec<f64>,
    /// `rates[step][level]`: the mean rate over that step after `made_at`; NaN is written as null.
    #[serde(with = "rows")]
    pub rates: Vec<Vec<f64>>,
}

impl SlowInputs {
    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.forecast.is_none() && self.exec.is_empty()
    }
}

/// JSON has no NaN, and a model that gives some must not make a record unreadable.
mod rows {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(rows: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
        let finite = |value: &f64| Some(*value).filter(|value| value.is_finite());
        to.collect_seq(rows.iter().map(|row| row.iter().map(finite).collect::<Vec<Option<f64>>>()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows: Vec<Vec<Option<f64>>> = Vec::deserialize(from)?;
        let row = |row: Vec<Option<f64>>| row.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        Ok(rows.into_iter().map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_that_is_no_number_stays_readable() {
        let forecast = ForecastSeen {
            model: "m".to_owned(),
            made_at: Timestamp::UNIX_EPOCH,
            step_s: 1.0,
            levels: vec![0.5],
            rates: vec![vec![f64::NAN], vec![2.5]],
        };
        let slow = SlowInputs { forecast: Some(Box::new(forecast)), ..SlowInputs::default() };
        let json = serde_json::to_string(&slow).unwrap();
        let read: SlowInputs = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(read.forecast.unwrap().rates[0][0].is_nan());
    }
}
