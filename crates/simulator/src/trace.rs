//! Recorded load: evenly spaced values with gaps, read from the forms in which people have it.

mod access_log;
mod arrivals;
mod cloudwatch;
mod grid;
mod prometheus;
mod run_file;
mod table;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use run_file::Measured;

/// Broken rows that are kept with their reasons; more are only counted.
const BROKEN_SHOWN_MAX: usize = 20;
/// Buckets a trace may have: three years of seconds. More would be a mistaken bucket length.
const BUCKETS_MAX: u64 = 100_000_000;

/// What the values of a trace are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Requests counted per bucket.
    RequestsPerBucket,
    /// Requests a second.
    Rate,
    /// CPU in percent, taken as load.
    CpuPercent,
    /// Some other measure, taken as load.
    Other,
}

/// The forms in which a trace may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CSV with the columns `time_s` (or `timestamp`) and `value`.
    Series,
    /// CSV with the one column `time_s`: a row a request.
    Arrivals,
    /// JSON of `aws cloudwatch get-metric-statistics` or `get-metric-data`.
    CloudWatch,
    /// JSON of a Prometheus range query.
    Prometheus,
    /// Access log: common, combined, or one JSON object a line.
    AccessLog,
}

/// What the reader of a trace is told beforehand; the rest is inferred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The form; `None`: recognised from the first lines.
    pub format: Option<Format>,
    /// Length of a bucket; `None`: the largest that fits all time stamps.
    pub bucket: Option<Duration>,
    /// What the values are; `None`: as the form says, else requests per bucket.
    pub kind: Option<Kind>,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Line in the text, counted from 1; in JSON, the data point counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub because: String,
}

/// What the reader found on its way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hygiene {
    /// Rows read, broken ones included.
    pub rows: usize,
    /// Rows that could not be used; each leaves a gap where nothing else fills it.
    pub broken_total: usize,
    /// The first few of them.
    pub broken: Vec<Broken>,
    /// Rows for a time that another row had filled; the first one stands.
    pub repeated: usize,
    /// Rows that came before an earlier one in time; they were sorted.
    pub unsorted: usize,
    /// Buckets between the first and the last that have no value.
    pub gaps: usize,
    /// What else is worth knowing, in words for people.
    pub notes: Vec<String>,
}

impl Hygiene {
    /// Notes a row that cannot be used.
    fn reject(&mut self, line: usize, because: impl Into<String>) {
        self.broken_total += 1;
        if self.broken.len() < BROKEN_SHOWN_MAX {
            self.broken.push(Broken { line, because: because.into() });
        }
    }
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// Nothing usable is in it.
    #[error("no usable row in it{}", .0.as_ref().map_or(String::new(), |broken| format!("; line {}: {}", broken.line, broken.because)))]
    Empty(Option<Broken>),
    /// Something at this line makes the whole text unreadable.
    #[error("line {line}: {because}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The cause.
        because: String,
    },
    /// It is not the JSON that was expected.
    #[error("{0}")]
    Json(String),
    /// More rows are broken than not.
    #[error("{broken} of {rows} rows cannot be used; line {}: {}", first.line, first.because)]
    MostlyBroken {
        /// How many.
        broken: usize,
        /// Of how many.
        rows: usize,
        /// The first one.
        first: Broken,
    },
    /// The time stamps and the bucket length do not go together.
    #[error("{0}")]
    Grid(String),
}

/// Load over time: constant within a bucket, absent in a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What it is called in results.
    pub name: String,
    /// What the values are.
    pub kind: Kind,
    /// Length of a bucket, in whole milliseconds.
    pub bucket: Duration,
    /// When the first bucket began, where that is known.
    pub start: Option<Timestamp>,
    /// One value a bucket; `None` in a gap. Never empty, and never only gaps.
    pub values: Vec<Option<f64>>,
    /// Each request's time in seconds since the first, where single requests are known.
    pub arrivals: Vec<f64>,
    /// What was found while reading.
    pub hygiene: Hygiene,
}

impl Trace {
    /// A short name for its contents, whatever it is called and whatever form it came in.
    pub(crate) fn fingerprint(&self) -> String {
        let times = self.arrivals.iter().copied();
        let values = self.values.iter().map(|value| value.unwrap_or(f64::NAN));
        let numbers = [self.bucket.as_secs_f64(), f64::from(self.kind as u8)].into_iter();
        let numbers = numbers.chain(values).chain(times);
        crate::fingerprint::of(numbers.flat_map(|number| number.to_bits().to_le_bytes()))
    }

    /// Reads a trace from text.
    pub fn read(name: &str, text: &str, told: &Told) -> Result<Self, TraceError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut hygiene = Hygiene::default();
        let (raw, counted) = match told.format.map_or_else(|| recognise(text), Ok)? {
            Format::Series => (table::read(text, &mut hygiene)?, None),
            Format::CloudWatch => (cloudwatch::read(text, &mut hygiene)?, None),
            Format::Prometheus => (prometheus::read(text, &mut hygiene)?, None),
            Format::Arrivals => arrivals::count(arrivals::read(text, &mut hygiene)?, told.bucket)?,
            Format::AccessLog => arrivals::count(access_log::read(text, &mut hygiene)?, told.bucket)?,
        };
        too_broken(&hygiene)?;
        let kind = told.kind.or(raw.kind).unwrap_or(Kind::RequestsPerBucket);
        let start = raw.start;
        let placed = grid::place(raw.points, told.bucket, counted.is_some(), &mut hygiene)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            bucket: placed.bucket,
            start: start.and_then(|start| start.checked_add(Duration::from_millis(placed.first_ms)).ok()),
            values: placed.values,
            arrivals: counted.unwrap_or_default(),
            hygiene,
        })
    }

    /// Time from the start of the first bucket to the end of the last.
    pub fn length(&self) -> Duration {
        self.bucket.saturating_mul(u32::try_from(self.values.len()).unwrap_or(u32::MAX))
    }
}

/// A reading and when it was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// Where it stood, for messages.
    line: usize,
    /// Milliseconds since the start given beside it.
    at_ms: u64,
    value: f64,
}

/// What a form holds before it is put on a grid.
struct Raw {
    points: Vec<Point>,
    kind: Option<Kind>,
    /// What the points' times count from, where that is a moment.
    start: Option<Timestamp>,
}

/// Why a value is no load, if it is none.
fn wrong_value(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("the value is not a number".to_owned())
    } else if value.is_infinite() {
        Some("the value is infinite".to_owned())
    } else if value < 0.0 {
        Some(format!("the value {value} is negative"))
    } else {
        None
    }
}

/// Makes times relative to the earliest one.
fn relative(stamped: Vec<(usize, Timestamp, f64)>, kind: Option<Kind>) -> Raw {
    let start = stamped.iter().map(|(_, at, _)| *at).min();
    let since = |at: Timestamp| {
        let length = start.map_or(0, |start| at.duration_since(start).as_millis());
        u64::try_from(length).expect("no time lies before the earliest")
    };
    let points =
        stamped.into_iter().map(|(line, at, value)| Point { line, at_ms: since(at), value }).collect();
    Raw { points, kind, start }
}

fn too_broken(hygiene: &Hygiene) -> Result<(), TraceError> {
    match hygiene.broken.first() {
        Some(first) if hygiene.broken_total == hygiene.rows => Err(TraceError::Empty(Some(first.clone()))),
        Some(first) if hygiene.broken_total * 2 > hygiene.rows => Err(TraceError::MostlyBroken {
            broken: hygiene.broken_total,
            rows: hygiene.rows,
            first: first.clone(),
        }),
        _ => Ok(()),
    }
}

/// Tells the form by its first lines.
fn recognise(text: &str) -> Result<Format, TraceError> {
    let head = text.trim_start();
    let first = head.lines().next().unwrap_or_default().trim();
    if head.is_empty() {
        return Err(TraceError::Empty(None));
    }
    if first.starts_with('{') {
        let known = [
            ("\"Datapoints\"", Format::CloudWatch),
            ("\"MetricDataResults\"", Format::CloudWatch),
            ("\"resultType\"", Format::Prometheus),
        ];
        // A log line is an object by itself; an answer of a service is one object in all.
        return Ok(known
            .iter()
            .find(|(key, _)| text.contains(key))
            .map_or(Format::AccessLog, |(_, format)| *format));
    }
    if first.contains('[') && first.contains('"') {
        return Ok(Format::AccessLog);
    }
    let columns: Vec<&str> = first.split(',').map(str::trim).collect();
    match columns.as_slice() {
        [only] if table::is_time(only) => Ok(Format::Arrivals),
        [first, ..] if table::is_time(first) => Ok(Format::Series),
        _ => Err(TraceError::Line {
            line: 1,
            because: format!(
                "`{}` begins no form known here (CSV with the header time_s,value or time_s; JSON of \
                 CloudWatch or Prometheus; an access log)",
                first.chars().take(60).collect::<String>()
            ),
        }),
    }
}

#[cfg(test)]
#[path = "trace/tests.rs"]
mod tests;
