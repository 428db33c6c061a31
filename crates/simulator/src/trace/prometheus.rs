//! JSON of a Prometheus range query (`/api/v1/query_range`); several series are added up.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Hygiene, Kind, Raw, TraceError, relative, wrong_value};

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// Reads the answer; values are taken as rates, which is what one asks Prometheus for.
pub(super) fn read(text: &str, hygiene: &mut Hygiene) -> Result<Raw, TraceError> {
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| TraceError::Json(format!("no answer of Prometheus: {error}")))?;
    let data = match answer.data {
        Some(data) if answer.status == "success" => data,
        _ => {
            let because = answer.error.unwrap_or(answer.status);
            return Err(TraceError::Json(format!("Prometheus answered: {because}")));
        }
    };
    if data.result_type != "matrix" {
        return Err(TraceError::Json(format!(
            "the answer is a `{}`; ask for a range (/api/v1/query_range)",
            data.result_type
        )));
    }
    if data.result.len() > 1 {
        hygiene.notes.push(format!("{} series were added up", data.result.len()));
    }
    let mut sums: BTreeMap<Timestamp, (usize, f64)> = BTreeMap::new();
    let mut last = None;
    for (at, text) in data.result.iter().flat_map(|series| &series.values) {
        hygiene.rows += 1;
        let line = hygiene.rows;
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        let Some(moment) = since_1970(*at) else {
            hygiene.reject(line, format!("{at} is no time"));
            continue;
        };
        if data.result.len() == 1 && last.replace(moment).is_some_and(|before| moment < before) {
            hygiene.unsorted += 1;
        }
        match wrong_value(value) {
            None => sums.entry(moment).or_insert((line, 0.0)).1 += value,
            Some(because) => hygiene.reject(line, format!("`{text}`: {because}")),
        }
    }
    let stamped = sums.into_iter().map(|(moment, (line, value))| (line, moment, value)).collect();
    Ok(relative(stamped, Some(Kind::Rate)))
}

/// A moment from seconds since 1970.
pub(super) fn since_1970(seconds: f64) -> Option<Timestamp> {
    let length = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let millis = i64::try_from(length.as_millis()).ok()?;
    Timestamp::from_millisecond(millis).ok()
}
