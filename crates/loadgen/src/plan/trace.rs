//! Recorded load: requests per bucket, or the moments of single arrivals.

use std::path::Path;
use std::str::FromStr;

use super::{Plan, Segment};

/// Rows of the longest trace: a year of minutes twice over. Bounds memory at some 50 MiB.
const ROWS_MAX: usize = 1_000_000;
/// Bytes of the longest file read.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Times of buckets are typed with few digits; a gap is longer than this many buckets.
const GAP_BUCKETS: f64 = 1.5;

/// A trace as read, in its own time and with its own rates.
///
/// `time_s,value` is the number of requests in the bucket that starts at `time_s`; buckets are
/// as long as the smallest distance between two rows, and nothing is sent in a gap. A file
/// with the single column `time_s` lists arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    rows: Rows,
    speed: f64,
    scale: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Rows {
    Buckets(Vec<(f64, f64)>),
    Arrivals(Vec<f64>),
}

/// Why a file is not a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read; the message names it.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The file is longer than any trace should be.
    #[error("the trace is larger than {BYTES_MAX} bytes or {ROWS_MAX} rows")]
    TooLong,
    /// A line cannot be read.
    #[error("line {line}: {because}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The cause.
        because: String,
    },
    /// Nothing can be planned from what there is.
    #[error("the trace has too few rows: two buckets or one arrival are needed")]
    Short,
    /// A speed or scale that is not a positive number.
    #[error("{0} is not a factor: expected a number above 0")]
    Factor(f64),
}

impl Trace {
    /// Reads a trace from a file.
    ///
    /// # Errors
    /// When the file cannot be read, is too long, or is not a trace.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        if fs_err::metadata(path)?.len() > BYTES_MAX {
            return Err(TraceError::TooLong);
        }
        fs_err::read_to_string(path)?.parse()
    }

    /// The same trace with its time running `speed` times as fast; rates stay as they are.
    ///
    /// # Errors
    /// When `speed` is not above 0.
    pub fn sped_up(mut self, speed: f64) -> Result<Self, TraceError> {
        self.speed *= factor(speed)?;
        Ok(self)
    }

    /// The same trace with every rate multiplied. Listed arrivals cannot be multiplied in
    /// place; they are taken as a rate first, in buckets of one second.
    ///
    /// # Errors
    /// When `scale` is not above 0.
    pub fn scaled(mut self, scale: f64) -> Result<Self, TraceError> {
        self.scale *= factor(scale)?;
        Ok(self)
    }

    pub(super) fn plan(&self) -> Plan {
        match &self.rows {
            Rows::Arrivals(times) if (self.scale - 1.0).abs() < f64::EPSILON => {
                let times: Vec<f64> = times.iter().map(|time| time / self.speed).collect();
                // The last arrival belongs to the plan, which ends just after it.
                let length = times.last().map_or(0.0, |last| last + 1e-9_f64.max(last * 1e-12));
                Plan::listed(times, length)
            }
            Rows::Arrivals(times) => self.buckets(&by_second(times)),
            Rows::Buckets(rows) => self.buckets(rows),
        }
    }

    fn buckets(&self, rows: &[(f64, f64)]) -> Plan {
        let width = rows.windows(2).map(|two| two[1].0 - two[0].0).fold(f64::INFINITY, f64::min);
        let width = if width.is_finite() { width } else { 1.0 };
        let mut segments = Vec::with_capacity(rows.len());
        for (index, (start, count)) in rows.iter().enumerate() {
            let next = rows.get(index + 1).map_or(start + width, |(next, _)| *next);
            let length = if next - start < width * GAP_BUCKETS { next - start } else { width };
            segments.push(Segment::constant(length / self.speed, self.scale * count / length));
            if next - start > length {
                segments.push(Segment::constant((next - start - length) / self.speed, 0.0));
            }
        }
        Plan::rates(segments)
    }
}

fn factor(factor: f64) -> Result<f64, TraceError> {
    (factor.is_finite() && factor > 0.0).then_some(factor).ok_or(TraceError::Factor(factor))
}

/// Arrivals counted by second; seconds without any are left to the gap.
fn by_second(times: &[f64]) -> Vec<(f64, f64)> {
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for time in times {
        match rows.last_mut() {
            Some((start, count)) if time - *start < 1.0 => *count += 1.0,
            _ => rows.push((time.floor(), 1.0)),
        }
    }
    rows
}

impl FromStr for Trace {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let mut buckets = Vec::new();
        let mut arrivals = Vec::new();
        for (index, row) in text.lines().enumerate() {
            let row = row.trim();
            let is_header = index == 0 && row.starts_with(|first: char| first.is_ascii_alphabetic());
            if row.is_empty() || is_header {
                continue;
            }
            let wrong = |because: &str| TraceError::Line { line: index + 1, because: because.to_owned() };
            let number = |text: &str| {
                let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                number.ok_or_else(|| wrong(&format!("`{text}` is not a number")))
            };
            let (time, value) = match row.split_once(',') {
                Some((time, value)) => (number(time)?, Some(number(value)?)),
                None => (number(row)?, None),
            };
            let last = buckets.last().map(|(last, _)| *last).or(arrivals.last().copied());
            match value {
                _ if last.is_some_and(|last| time < last) => return Err(wrong("the times are not in order")),
                Some(_) if last == Some(time) => return Err(wrong("two rows for the same time")),
                Some(value) if value < 0.0 => return Err(wrong("a count below 0")),
                Some(value) if arrivals.is_empty() => buckets.push((time, value)),
                None if buckets.is_empty() => arrivals.push(time),
                _ => return Err(wrong("some rows have one column and some have two")),
            }
            if buckets.len().max(arrivals.len()) > ROWS_MAX {
                return Err(TraceError::TooLong);
            }
        }
        let rows = match (buckets.len(), arrivals.first().copied()) {
            (2.., None) => Rows::Buckets(buckets),
            (0, Some(first)) => {
                arrivals.iter_mut().for_each(|time| *time -= first);
                Rows::Arrivals(arrivals)
            }
            _ => return Err(TraceError::Short),
        };
        Ok(Self { rows, speed: 1.0, scale: 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Spacing;
    use std::time::Duration;

    const COUNTS: &str = "time_s,value\n0,600\n60,0\n120,1200\n300,60\n";

    #[test]
    fn counts_are_sent_in_their_bucket_and_nothing_in_a_gap() {
        let trace: Trace = COUNTS.parse().unwrap();
        let plan = trace.plan();
        assert_eq!(plan.length(), Some(Duration::from_secs(360)));
        assert!((plan.expected() - 1860.0).abs() < 1e-6);
        let moments: Vec<_> = plan.schedule(Spacing::Even, None).collect();
        assert!(!moments.iter().any(|at| (60..120).contains(&at.as_secs())), "an empty bucket");
        assert!(!moments.iter().any(|at| (180..300).contains(&at.as_secs())), "a gap");
    }

    #[test]
    fn a_trace_can_be_sped_up_and_scaled() {
        let plan = COUNTS.parse::<Trace>().unwrap().sped_up(60.0).unwrap().scaled(3.0).unwrap().plan();
        assert_eq!(plan.length(), Some(Duration::from_secs(6)));
        assert!((plan.expected() - 1860.0 * 3.0 / 60.0).abs() < 1e-6, "rates tripled, time a sixtieth");
        assert!(COUNTS.parse::<Trace>().unwrap().scaled(0.0).is_err());
    }

    #[test]
    fn listed_arrivals_keep_their_moments() {
        let trace: Trace = "time_s\n5.0\n5.25\n5.25\n8\n".parse().unwrap();
        let moments: Vec<_> = trace.plan().schedule(Spacing::Even, None).collect();
        assert_eq!(moments, [0, 250, 250, 3000].map(Duration::from_millis));
        let doubled = trace.scaled(2.0).unwrap().plan();
        assert!((doubled.expected() - 8.0).abs() < 1e-6);
    }

    #[test]
    fn wrong_files_name_the_line() {
        let cases = [
            ("time_s,value\n0,1\nx,2\n", "line 3: `x` is not a number"),
            ("0,1\n0,2\n", "line 2: two rows for the same time"),
            ("0,1\n-5,2\n", "line 2: the times are not in order"),
            ("0,1\n5,-2\n", "line 2: a count below 0"),
            ("0,1\n5,NaN\n", "line 2: `NaN` is not a number"),
            ("0,1\n5\n", "line 2: some rows have one column"),
            ("time_s,value\n0,1\n", "the trace has too few rows"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Trace>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        let missing = Trace::read(Path::new("no/such/trace.csv")).unwrap_err().to_string();
        assert!(missing.contains("no/such/trace.csv"), "{missing}");
    }
}
