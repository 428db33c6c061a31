//! JSON of `aws cloudwatch get-metric-statistics` and `get-metric-data`, in any order of time.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::table::{Written, time};
use super::{Hygiene, Kind, Raw, TraceError, relative, wrong_value};

/// Statistics of a data point, the one that says most about load first.
const STATISTICS: [&str; 5] = ["Average", "Sum", "Maximum", "Minimum", "SampleCount"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    label: Option<String>,
    datapoints: Option<Vec<serde_json::Map<String, Value>>>,
    metric_data_results: Option<Vec<Series>>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    status_code: Option<String>,
    timestamps: Vec<Value>,
    values: Vec<f64>,
}

/// Reads either answer.
pub(super) fn read(text: &str, hygiene: &mut Hygiene) -> Result<Raw, TraceError> {
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| TraceError::Json(format!("no answer of CloudWatch: {error}")))?;
    if answer.next_token.is_some() {
        hygiene.notes.push("the answer has a NextToken: there is more than this".to_owned());
    }
    let (stamped, kind) = match (answer.datapoints, answer.metric_data_results) {
        (Some(points), _) => statistics(&points, hygiene),
        (None, Some(results)) => metric_data(results, hygiene)?,
        (None, None) => {
            return Err(TraceError::Json("neither `Datapoints` nor `MetricDataResults` in it".to_owned()));
        }
    };
    let kind = kind.or_else(|| kind_of(answer.label.as_deref()?));
    Ok(relative(stamped, kind))
}

type Stamped = Vec<(usize, Timestamp, f64)>;

fn statistics(points: &[serde_json::Map<String, Value>], hygiene: &mut Hygiene) -> (Stamped, Option<Kind>) {
    let mut stamped = Vec::new();
    let mut kind = None;
    for (at, point) in points.iter().enumerate() {
        hygiene.rows += 1;
        let found = STATISTICS.iter().find_map(|name| Some((*name, point.get(*name)?)));
        let unit = point.get("Unit").and_then(Value::as_str).unwrap_or_default();
        kind = kind.or(match (unit, found.map(|(name, _)| name)) {
            ("Percent", _) => Some(Kind::CpuPercent),
            ("Count", Some("Sum")) => Some(Kind::RequestsPerBucket),
            ("Count/Second", _) => Some(Kind::Rate),
            _ => None,
        });
        match (point.get("Timestamp").and_then(moment), found.and_then(|(_, value)| value.as_f64())) {
            (Some(moment), Some(value)) => push(&mut stamped, at, moment, value, hygiene),
            (None, _) => hygiene.reject(at + 1, "the data point has no `Timestamp` that is a time"),
            (_, None) => hygiene.reject(at + 1, "the data point has no statistic that is a number"),
        }
    }
    (stamped, kind)
}

fn metric_data(results: Vec<Series>, hygiene: &mut Hygiene) -> Result<(Stamped, Option<Kind>), TraceError> {
    let count = results.len();
    let series = results
        .into_iter()
        .next()
        .ok_or_else(|| TraceError::Json("`MetricDataResults` is empty".to_owned()))?;
    let label = series.label.unwrap_or_default();
    if count > 1 {
        hygiene.notes.push(format!("of {count} series only the first (`{label}`) is used"));
    }
    if let Some(status) = series.status_code.filter(|status| status != "Complete") {
        hygiene.notes.push(format!("the series is not whole (StatusCode {status})"));
    }
    if series.timestamps.len() != series.values.len() {
        return Err(TraceError::Json(format!(
            "{} time stamps but {} values in `{label}`",
            series.timestamps.len(),
            series.values.len()
        )));
    }
    let mut stamped = Vec::new();
    for (at, (stamp, value)) in series.timestamps.iter().zip(series.values).enumerate() {
        hygiene.rows += 1;
        match moment(stamp) {
            Some(moment) => push(&mut stamped, at, moment, value, hygiene),
            None => hygiene.reject(at + 1, format!("{stamp} is no time")),
        }
    }
    Ok((stamped, kind_of(&label)))
}

fn push(to: &mut Stamped, at: usize, moment: Timestamp, value: f64, hygiene: &mut Hygiene) {
    match wrong_value(value) {
        None => to.push((at + 1, moment, value)),
        Some(because) => hygiene.reject(at + 1, because),
    }
}

/// `2014-02-14T14:27:00Z`, `2014-02-14T14:27:00+00:00`, or seconds since 1970.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => match time(text)? {
            Written::Moment(moment) => Some(moment),
            Written::Seconds(_) => None,
        },
        Value::Number(number) => super::prometheus::since_1970(number.as_f64()?),
        _ => None,
    }
}

fn kind_of(label: &str) -> Option<Kind> {
    label.contains("CPUUtilization").then_some(Kind::CpuPercent)
}
