//! Lengths of time as users write them: `500ms`, `3s`, `5m`, `1h 30m`, or a number of seconds.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serializer};

/// Reads a length of time. The error says what would have been one.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is no length of time (try 500ms, 3s, 5m or 1h30m)");
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let length: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Writes a length of time in its largest whole unit: `90s` stays `90s`, `120s` is `2m`.
pub fn format(length: Duration) -> String {
    let (seconds, nanoseconds) = (length.as_secs(), length.subsec_nanos());
    if nanoseconds % 1_000_000 != 0 {
        format!("{}s", length.as_secs_f64())
    } else if nanoseconds != 0 {
        format!("{}ms", length.as_millis())
    } else if seconds != 0 && seconds.is_multiple_of(3_600) {
        format!("{}h", seconds / 3_600)
    } else if seconds != 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// For `#[serde(with = "span")]`: text on the way out, text or seconds on the way in.
pub fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format(*length))
}

/// See [`serialize`].
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
    }
    let text = match Written::deserialize(from)? {
        Written::Seconds(seconds) => seconds.to_string(),
        Written::Text(text) => text,
    };
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let rows = [
            ("500ms", 500, "500ms"),
            ("3s", 3_000, "3s"),
            ("0.25", 250, "250ms"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "90m"),
            ("2h", 7_200_000, "2h"),
            ("0", 0, "0s"),
        ];
        for (text, millis, written) in rows {
            let length = parse(text).unwrap();
            assert_eq!(length, Duration::from_millis(millis), "{text}");
            assert_eq!(format(length), written);
            assert_eq!(parse(written).unwrap(), length);
        }
        for bad in ["", "x", "-3s", "3 parsecs", "nan", "inf", "1e300"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
