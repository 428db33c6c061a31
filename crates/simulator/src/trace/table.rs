//! CSV with a time and a value a row: `time_s,value`, or `timestamp,value` with dates.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Hygiene, Point, Raw, TraceError, relative, wrong_value};
use crate::number::millis;

/// Names under which the column of times is known.
const TIME_NAMES: [&str; 4] = ["time_s", "time", "timestamp", "ts"];

/// Whether a column of this name holds times.
pub(super) fn is_time(name: &str) -> bool {
    TIME_NAMES.contains(&unquoted(name).to_ascii_lowercase().as_str())
}

/// A time as written: seconds since the first row, or a moment.
pub(super) enum Written {
    Seconds(f64),
    Moment(Timestamp),
}

/// Reads seconds or a date; a date without a zone is taken as UTC.
pub(super) fn time(text: &str) -> Option<Written> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(Written::Seconds(seconds));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Written::Moment(moment));
    }
    let date: DateTime = text.parse().ok()?;
    Some(Written::Moment(date.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

/// Reads the table. Rows that cannot be used are noted with their line.
pub(super) fn read(text: &str, hygiene: &mut Hygiene) -> Result<Raw, TraceError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (at, header) = lines.next().ok_or(TraceError::Empty(None))?;
    let names: Vec<String> = header.split(',').map(|name| unquoted(name).to_ascii_lowercase()).collect();
    let column = |wanted: &dyn Fn(&str) -> bool| names.iter().position(|name| wanted(name));
    let (Some(time_at), Some(value_at)) =
        (column(&|name| TIME_NAMES.contains(&name)), column(&|name| name == "value"))
    else {
        return Err(TraceError::Line {
            line: at + 1,
            because: format!("`{header}` has no columns `time_s` and `value`"),
        });
    };
    let (mut points, mut stamped) = (Vec::new(), Vec::new());
    for (at, line) in lines {
        hygiene.rows += 1;
        match row(line, time_at, value_at) {
            Ok((Written::Seconds(seconds), value)) => match millis(seconds) {
                Some(at_ms) => points.push(Point { line: at + 1, at_ms, value }),
                None => hygiene.reject(at + 1, format!("the time {seconds} is out of range")),
            },
            Ok((Written::Moment(moment), value)) => stamped.push((at + 1, moment, value)),
            Err(because) => hygiene.reject(at + 1, because),
        }
    }
    if stamped.is_empty() {
        return Ok(Raw { points, kind: None, start: None });
    }
    for point in points {
        hygiene.reject(point.line, "its time is a number where others are dates");
    }
    Ok(relative(stamped, None))
}

fn row(line: &str, time_at: usize, value_at: usize) -> Result<(Written, f64), String> {
    let field = |wanted: usize| line.split(',').nth(wanted).map(unquoted).filter(|text| !text.is_empty());
    let at = field(time_at).ok_or("the row has no time")?;
    let at = time(at).ok_or_else(|| format!("`{at}` is no time"))?;
    let value = field(value_at).ok_or("the row has no value")?;
    let value: f64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
    wrong_value(value).map_or(Ok((at, value)), Err)
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"')
}
