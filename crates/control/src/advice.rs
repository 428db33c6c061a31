//! What a forecast says to somebody who scales by hand: up, down, or leave it.

use serde::{Deserialize, Serialize};

/// The advice, in the words of the predictive services that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advice {
    /// The forecast is above the upper threshold.
    #[serde(rename = "Scale Up")]
    ScaleUp,
    /// The forecast is below the lower threshold.
    #[serde(rename = "Scale Down")]
    ScaleDown,
    /// It lies between them, or there is none: not knowing is no reason to act.
    #[serde(rename = "No Change")]
    NoChange,
}

impl Advice {
    /// For a forecast of a signal whose thresholds are `up` and `down`, in the signal's unit; both
    /// comparisons are strict.
    pub fn of(predicted: Option<f64>, up: f64, down: f64) -> Self {
        match predicted {
            Some(value) if value > up => Self::ScaleUp,
            Some(value) if value < down => Self::ScaleDown,
            _ => Self::NoChange,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScaleUp => "Scale Up",
            Self::ScaleDown => "Scale Down",
            Self::NoChange => "No Change",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_knowing_is_no_reason_to_act() {
        let of = |predicted| Advice::of(predicted, 35.0, 15.0);
        assert_eq!(of(Some(35.1)), Advice::ScaleUp);
        assert_eq!(of(Some(35.0)), Advice::NoChange);
        assert_eq!(of(Some(15.0)), Advice::NoChange);
        assert_eq!(of(Some(14.9)), Advice::ScaleDown);
        assert_eq!((of(None), of(Some(f64::NAN))), (Advice::NoChange, Advice::NoChange));
    }
}
