//! Access logs: the common and combined forms of web servers, and one JSON object a line.

use jiff::Timestamp;
use jiff::fmt::strtime;
use serde_json::Value;

use super::arrivals::Arrivals;
use super::prometheus::since_1970;
use super::table::{Written, time};
use super::{Hygiene, TraceError};

/// Keys under which servers write the time of a request.
const TIME_KEYS: [&str; 8] =
    ["time", "timestamp", "ts", "@timestamp", "time_iso8601", "time_local", "StartUTC", "start_time"];

/// Reads the times of all requests.
pub(super) fn read(text: &str, hygiene: &mut Hygiene) -> Result<Arrivals, TraceError> {
    let mut moments = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        hygiene.rows += 1;
        let found = if line.trim_start().starts_with('{') { json(line) } else { common(line) };
        match found {
            Ok(moment) => moments.push(moment),
            Err(because) => hygiene.reject(at + 1, because),
        }
    }
    let start = moments.iter().min().copied();
    let times = moments
        .into_iter()
        .map(|moment: Timestamp| start.map_or(0.0, |start| moment.duration_since(start).as_secs_f64()))
        .collect();
    Ok(Arrivals::new(times, start, hygiene))
}

/// `host - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`
fn common(line: &str) -> Result<Timestamp, String> {
    let stamp = line
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(stamp, _)| stamp)
        .ok_or("no time in brackets")?;
    local(stamp).ok_or_else(|| format!("`{stamp}` is no time (as in 10/Oct/2000:13:55:36 -0700)"))
}

fn local(stamp: &str) -> Option<Timestamp> {
    strtime::parse("%d/%b/%Y:%H:%M:%S %z", stamp).ok()?.to_timestamp().ok()
}

fn json(line: &str) -> Result<Timestamp, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let found = TIME_KEYS
        .iter()
        .find_map(|key| value.get(key))
        .ok_or_else(|| format!("none of the keys {} in it", TIME_KEYS.join(", ")))?;
    let moment = match found {
        Value::Number(number) => number.as_f64().and_then(|number| since_1970(in_seconds(number))),
        Value::String(text) => match time(text) {
            Some(Written::Moment(moment)) => Some(moment),
            Some(Written::Seconds(seconds)) => since_1970(in_seconds(seconds)),
            None => local(text),
        },
        _ => None,
    };
    moment.ok_or_else(|| format!("{found} is no time"))
}

/// Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, told by size.
fn in_seconds(number: f64) -> f64 {
    let mut seconds = number;
    // Seconds reach 1e11 in the year 5138.
    while seconds > 1e11 {
        seconds /= 1e3;
    }
    seconds
}
