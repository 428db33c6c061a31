//! Counts what was sent and what came back; times come in, none is read here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;

use crate::report::verdict::{Evidence, judge};
use crate::report::{Lag, Percentiles, Report};

/// Longest latency told apart; longer ones count as this.
const LATENCY_MAX_MICROS: u64 = 3_600_000_000;
/// Significant digits of a latency.
const DIGITS: u8 = 3;
/// Most workers told apart: a hundred times what a pool has. The rest counts as `other`, so
/// that a server that invents names does not fill the memory.
const WORKERS_MAX: usize = 512;
const OTHER: &str = "other";

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) worker: Option<HeaderValue>,
    pub(crate) bytes: u64,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// Nobody listens there.
    Refused,
    /// No connection for another reason.
    Connect,
    /// This machine has no file descriptor or port left.
    OutOfSockets,
    /// The connection ended before the answer was whole.
    Closed,
    /// What came was not HTTP.
    Protocol,
    /// It took longer than a request may.
    TimedOut,
    /// It was still under way when the run ended.
    Unfinished,
}

impl Failure {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "connection_refused",
            Self::Connect => "cannot_connect",
            Self::OutOfSockets => "out_of_sockets",
            Self::Closed => "connection_closed",
            Self::Protocol => "not_http",
            Self::TimedOut => "timed_out",
            Self::Unfinished => "unfinished",
        }
    }
}

/// One request from due to done; times count from the start of the run.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) ended: Duration,
    pub(crate) result: Result<Answer, Failure>,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// Too many were waiting for their answers.
    InFlight,
    /// The generator's own queue was full.
    Late,
}

/// Counts, and the two latencies, of one run.
pub(crate) struct Tally {
    in_flight: AtomicU32,
    counts: Mutex<Counts>,
}

struct Counts {
    sent: u64,
    succeeded: u64,
    failed: u64,
    bytes: u64,
    dropped_late: u64,
    dropped_in_flight: u64,
    last_sent: Duration,
    statuses: BTreeMap<u16, u64>,
    workers: BTreeMap<String, u64>,
    errors: BTreeMap<Failure, u64>,
    latency: Histogram<u64>,
    uncorrected: Histogram<u64>,
    lag: Histogram<u64>,
}

/// The counts that are shown while a run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Glance {
    pub(crate) sent: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) latency: Option<Percentiles>,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, DIGITS).expect("the constants are valid bounds")
        };
        let counts = Counts {
            sent: 0,
            succeeded: 0,
            failed: 0,
            bytes: 0,
            dropped_late: 0,
            dropped_in_flight: 0,
            last_sent: Duration::ZERO,
            statuses: BTreeMap::new(),
            workers: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency: histogram(),
            uncorrected: histogram(),
            lag: histogram(),
        };
        Self { in_flight: AtomicU32::new(0), counts: Mutex::new(counts) }
    }
}

impl Tally {
    /// A request that was due at `due` is taken up now. It is in flight until it is ended or
    /// dropped, exactly once.
    pub(crate) fn take_up(&self, due: Duration, now: Duration) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.lag(now.saturating_sub(due));
    }

    /// It has a connection and goes out now.
    pub(crate) fn send(&self, now: Duration) {
        let mut counts = self.counts.lock();
        counts.sent += 1;
        counts.last_sent = counts.last_sent.max(now);
    }

    /// It never got a connection.
    pub(crate) fn drop_waiting(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.drop_one(Drop::InFlight);
    }

    /// A request that was sent is done.
    pub(crate) fn end(&self, ended: &Ended) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut counts = self.counts.lock();
        let succeeded = match &ended.result {
            Ok(answer) => {
                counts.answered(answer);
                answer.status.as_u16() < 400
            }
            Err(failure) => {
                *counts.errors.entry(*failure).or_default() += 1;
                false
            }
        };
        if succeeded {
            counts.succeeded += 1;
        } else {
            counts.failed += 1;
        }
        // A quick refusal must not make the latency look good, nor giving up make it look short.
        if succeeded || ended.result == Err(Failure::TimedOut) {
            counts.latency.saturating_record(micros(ended.ended.saturating_sub(ended.due)));
            counts.uncorrected.saturating_record(micros(ended.ended.saturating_sub(ended.sent)));
        }
    }

    /// A request was due and is not even taken up.
    pub(crate) fn drop_one(&self, why: Drop) {
        let mut counts = self.counts.lock();
        match why {
            Drop::InFlight => counts.dropped_in_flight += 1,
            Drop::Late => counts.dropped_late += 1,
        }
    }

    /// The generator was late by so much.
    pub(crate) fn lag(&self, lag: Duration) {
        self.counts.lock().lag.saturating_record(micros(lag));
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The counts so far.
    pub(crate) fn glance(&self) -> Glance {
        let counts = self.counts.lock();
        Glance {
            sent: counts.sent,
            succeeded: counts.succeeded,
            failed: counts.failed,
            dropped: counts.dropped_late + counts.dropped_in_flight,
            latency: Percentiles::of(&counts.latency),
        }
    }

    /// The report of a run in which `span` was given to sending, and by whose plan `expected`
    /// requests were due (`None`: closed loop).
    pub(crate) fn report(&self, target: String, span: Duration, expected: Option<f64>) -> Report {
        let counts = self.counts.lock();
        let latency = Percentiles::of(&counts.latency);
        let lag = Lag::of(&counts.lag);
        let evidence = Evidence {
            sent: counts.sent,
            measured: counts.latency.len(),
            expected,
            dropped_late: counts.dropped_late,
            dropped_in_flight: counts.dropped_in_flight,
            out_of_sockets: counts.errors.get(&Failure::OutOfSockets).copied().unwrap_or(0),
            lag_p99_ms: lag.map(|lag| lag.p99),
            latency_p99_ms: latency.map(|latency| latency.p99),
        };
        let (verdict, reasons) = judge(&evidence);
        let span_s = span.as_secs_f64().max(f64::MIN_POSITIVE);
        let sending_s = span.max(counts.last_sent).as_secs_f64().max(f64::MIN_POSITIVE);
        Report {
            target,
            open_loop: expected.is_some(),
            elapsed_s: sending_s,
            sent: counts.sent,
            succeeded: counts.succeeded,
            failed: counts.failed,
            dropped: counts.dropped_late + counts.dropped_in_flight,
            rate_asked: expected.map(|expected| expected / span_s),
            rate_achieved: counts.sent as f64 / sending_s,
            latency_ms: latency,
            uncorrected_latency_ms: Percentiles::of(&counts.uncorrected),
            statuses: counts.statuses.clone(),
            workers: counts.workers.clone(),
            errors: counts.errors.iter().map(|(failure, count)| (failure.name(), *count)).collect(),
            bytes: counts.bytes,
            generator_lag_ms: lag,
            verdict,
            reasons,
        }
    }
}

impl Counts {
    fn answered(&mut self, answer: &Answer) {
        *self.statuses.entry(answer.status.as_u16()).or_default() += 1;
        self.bytes = self.bytes.saturating_add(answer.bytes);
        let Some(worker) = answer.worker.as_ref().and_then(|worker| worker.to_str().ok()) else { return };
        if let Some(count) = self.workers.get_mut(worker) {
            *count += 1;
        } else {
            let name = if self.workers.len() < WORKERS_MAX { worker } else { OTHER };
            *self.workers.entry(name.to_owned()).or_default() += 1;
        }
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(due_ms: u64, sent_ms: u64, ended_ms: u64, result: Result<u16, Failure>) -> Ended {
        let ms = Duration::from_millis;
        let result = result.map(|status| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            worker: Some(HeaderValue::from_static("w1")),
            bytes: 10,
        });
        Ended { due: ms(due_ms), sent: ms(sent_ms), ended: ms(ended_ms), result }
    }

    #[test]
    fn every_request_ends_in_one_place() {
        let tally = Tally::default();
        let requests = [
            ended(0, 0, 10, Ok(200)),
            ended(10, 60, 70, Ok(204)),
            ended(20, 20, 21, Ok(503)),
            ended(30, 30, 5030, Err(Failure::TimedOut)),
            ended(40, 40, 41, Err(Failure::Refused)),
        ];
        for request in &requests {
            tally.take_up(request.due, request.sent);
            tally.send(request.sent);
        }
        assert_eq!(tally.in_flight(), 5);
        requests.iter().for_each(|request| tally.end(request));
        tally.drop_one(Drop::InFlight);
        assert_eq!(tally.in_flight(), 0);

        let report = tally.report("url".to_owned(), Duration::from_millis(100), Some(6.0));
        assert_eq!((report.sent, report.succeeded, report.failed, report.dropped), (5, 2, 3, 1));
        assert_eq!(report.statuses, BTreeMap::from([(200, 1), (204, 1), (503, 1)]));
        assert_eq!(report.workers, BTreeMap::from([("w1".to_owned(), 3)]));
        assert_eq!(report.errors, BTreeMap::from([("timed_out", 1), ("connection_refused", 1)]));
        assert_eq!(report.bytes, 30);
        assert!((report.rate_asked.unwrap() - 60.0).abs() < 1e-9);
        assert!((report.rate_achieved - 50.0).abs() < 1e-9);
        let (corrected, uncorrected) = (report.latency_ms.unwrap(), report.uncorrected_latency_ms.unwrap());
        assert!((corrected.p50 - 60.0).abs() < 0.1, "from due: {corrected:?}");
        assert!((uncorrected.p50 - 10.0).abs() < 0.1, "from sent: {uncorrected:?}");
        assert!((corrected.max - 5000.0).abs() < 5.0, "a time-out counts: {corrected:?}");
    }

    #[test]
    fn invented_worker_names_do_not_fill_the_memory() {
        let tally = Tally::default();
        for index in 0..WORKERS_MAX + 100 {
            let mut request = ended(0, 0, 1, Ok(200));
            let name = HeaderValue::from_str(&format!("w{index}")).unwrap();
            request.result = request.result.map(|answer| Answer { worker: Some(name), ..answer });
            tally.take_up(request.due, request.sent);
            tally.send(request.sent);
            tally.end(&request);
        }
        let report = tally.report(String::new(), Duration::from_secs(1), None);
        assert_eq!(report.workers.len(), WORKERS_MAX + 1);
        assert_eq!(report.workers[OTHER], 100);
    }
}
