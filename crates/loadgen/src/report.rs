//! What a run of load brought, as numbers for programs and as a table for people.

mod table;
pub(crate) mod verdict;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

pub use verdict::Verdict;

/// The result of one run.
///
/// `sent = succeeded + failed`; requests that were due but never sent are `dropped`. An answer
/// with a status below 400 is a success.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The URL.
    pub target: String,
    /// True when requests went at their time whatever the answers did.
    pub open_loop: bool,
    /// Time in which requests were sent, in seconds.
    pub elapsed_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Of those, answered with a status below 400.
    pub succeeded: u64,
    /// Of those, answered otherwise or not at all.
    pub failed: u64,
    /// Requests due and not sent: too many under way, no free connection, or the generator late.
    pub dropped: u64,
    /// Requests per second that were asked for; `None` in the closed loop.
    pub rate_asked: Option<f64>,
    /// Requests per second sent.
    pub rate_achieved: f64,
    /// From the moment each request should have been sent. Successes, and time-outs with the
    /// time that was waited. `None` when there were neither.
    pub latency_ms: Option<Percentiles>,
    /// The same from the moment each was really sent.
    pub uncorrected_latency_ms: Option<Percentiles>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by the worker that named itself in `x-worker`.
    pub workers: BTreeMap<String, u64>,
    /// Requests without an answer, by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes of the answers' bodies.
    pub bytes: u64,
    /// How late the generator itself was.
    pub generator_lag_ms: Option<Lag>,
    /// Whether the numbers mean anything.
    pub verdict: Verdict,
    /// Why the verdict is not `VALID`; remarks when it is.
    pub reasons: Vec<String>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half took at most this.
    pub p50: f64,
    /// 90 % took at most this.
    pub p90: f64,
    /// 95 % took at most this.
    pub p95: f64,
    /// 99 % took at most this.
    pub p99: f64,
    /// 99.9 % took at most this.
    pub p999: f64,
    /// None took longer.
    pub max: f64,
}

/// Delay between the moment a request was due and the moment it was handed on, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// 99 % were handed on within this.
    pub p99: f64,
    /// None later.
    pub max: f64,
}

impl Percentiles {
    /// Of a histogram of microseconds; `None` when it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: milliseconds(histogram.max()),
        })
    }
}

impl Lag {
    /// Of a histogram of microseconds; `None` when it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p99: milliseconds(histogram.value_at_quantile(0.99)),
            max: milliseconds(histogram.max()),
        })
    }
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        assert_eq!(Percentiles::of(&histogram), None);
        for micros in 1..=100_000 {
            histogram.record(micros).unwrap();
        }
        let measured = Percentiles::of(&histogram).unwrap();
        let pairs = [
            (measured.p50, 50.0),
            (measured.p90, 90.0),
            (measured.p95, 95.0),
            (measured.p99, 99.0),
            (measured.p999, 99.9),
            (measured.max, 100.0),
        ];
        for (value, expected) in pairs {
            assert!((value - expected).abs() <= expected / 900.0, "{value} for {expected}");
        }
    }

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let report = Report {
            statuses: BTreeMap::from([(200, 3)]),
            workers: BTreeMap::from([("w1".to_owned(), 3)]),
            ..Report::default()
        };
        let json = serde_json::to_value(&report).unwrap();
        for field in [
            "sent",
            "succeeded",
            "failed",
            "dropped",
            "rate_asked",
            "rate_achieved",
            "latency_ms",
            "uncorrected_latency_ms",
            "statuses",
            "workers",
            "verdict",
            "reasons",
        ] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(json["statuses"]["200"], 3);
        assert_eq!(json["workers"]["w1"], 3);
        assert_eq!(json["verdict"], "VALID");
    }
}
