//! Rates and durations as people type them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// No generator on one machine comes near it; a larger number is a slip of the finger.
const PER_SECOND_MAX: f64 = 1e8;

/// Requests per second, finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: expected requests a second such as 200, 50/s, 3000/m or 5/100ms")]
pub struct RateError(String);

impl Rate {
    /// No requests.
    pub const ZERO: Self = Self(0.0);

    /// A rate in requests per second; `None` unless finite, not negative and not absurdly high.
    pub fn per_second(requests: f64) -> Option<Self> {
        (0.0..=PER_SECOND_MAX).contains(&requests).then_some(Self(requests))
    }

    /// Requests per second.
    pub fn as_per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// `200`, `50/s`, `3000/m`, `50/1s`, `5/100ms`.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let parse = || {
            let (count, per) = text.trim().split_once('/').unwrap_or((text.trim(), "1s"));
            let per = if per.starts_with(|first: char| first.is_ascii_digit()) {
                parse_duration(per)
            } else {
                parse_duration(&format!("1{per}"))
            };
            let count: f64 = count.parse().ok()?;
            Self::per_second(count / per.ok()?.as_secs_f64())
        };
        parse().ok_or_else(|| RateError(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// Reads `500ms`, `3s`, `1m30s`, `2h`; the error says what was expected.
///
/// # Errors
/// When the text is not a duration, has no unit, or is negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text.trim().parse::<SignedDuration>().ok();
    let length = parsed.and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| {
        format!("`{text}` is not a duration: expected a number and a unit such as 500ms, 3s or 5m")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let cases = [
            ("200", Some(200.0)),
            ("0", Some(0.0)),
            ("0.5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("50/s", Some(50.0)),
            ("50/1s", Some(50.0)),
            ("3000/m", Some(50.0)),
            ("5/100ms", Some(50.0)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e12", None),
            ("50/0s", None),
            ("50/x", None),
            ("", None),
            ("fast", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Rate>().ok().map(Rate::as_per_second), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("500ms", Some(Duration::from_millis(500))),
            ("3s", Some(Duration::from_secs(3))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("1m30s", Some(Duration::from_secs(90))),
            ("2h", Some(Duration::from_secs(7200))),
            ("250us", Some(Duration::from_micros(250))),
            ("0s", Some(Duration::ZERO)),
            ("-3s", None),
            ("3", None),
            ("soon", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
    }
}
