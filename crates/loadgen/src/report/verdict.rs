//! Judges whether a run measured the server or the generator.

use std::fmt;

use serde::Serialize;

/// Lag that leaves a mark on any latency worth measuring.
const LAG_INVALID_MS: f64 = 10.0;
/// Lag that a fast server's latency may show.
const LAG_DOUBTFUL_MS: f64 = 2.0;
/// Lag below this share of the latency does not change what the latency says.
const LAG_SHARE: f64 = 0.1;
/// Share of the requests that may be missing through the generator's own fault.
const MISSING_SHARE: f64 = 0.01;
/// Spread of a random plan's count, in standard deviations, that is no fault.
const SPREAD: f64 = 4.0;
/// A 99th percentile of fewer requests is the maximum under another name.
const REQUESTS_MIN: u64 = 100;

/// Whether the numbers of a run mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// They do.
    #[default]
    Valid,
    /// The generator was the bottleneck: they tell about it, not about the server.
    Invalid,
    /// Too little was measured, or the load asked for was not what the server got.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "VALID",
            Self::Invalid => "INVALID",
            Self::Inconclusive => "INCONCLUSIVE",
        })
    }
}

/// What the judgement rests on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Requests sent.
    pub(crate) sent: u64,
    /// Requests that have a latency.
    pub(crate) measured: u64,
    /// Requests due by the plan; `None` in the closed loop.
    pub(crate) expected: Option<f64>,
    /// Requests not sent because the generator's own queue was full.
    pub(crate) dropped_late: u64,
    /// Requests not sent because too many were waiting for answers or connections.
    pub(crate) dropped_in_flight: u64,
    /// Requests that found no free file descriptor or port.
    pub(crate) out_of_sockets: u64,
    /// 99th percentile of the generator's lag.
    pub(crate) lag_p99_ms: Option<f64>,
    /// 99th percentile of the corrected latency.
    pub(crate) latency_p99_ms: Option<f64>,
}

/// The verdict, with a sentence for each thing that speaks against the run.
pub(crate) fn judge(seen: &Evidence) -> (Verdict, Vec<String>) {
    let invalid = faults(seen);
    if !invalid.is_empty() {
        return (Verdict::Invalid, invalid);
    }
    let doubts = doubts(seen);
    let verdict = if doubts.is_empty() { Verdict::Valid } else { Verdict::Inconclusive };
    (verdict, doubts)
}

/// The generator's own faults.
fn faults(seen: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(lag) = late(seen, LAG_INVALID_MS) {
        reasons.push(format!(
            "the generator was late: 1 % of the requests were started more than {lag:.1} ms after their time"
        ));
    }
    if seen.out_of_sockets > 0 {
        reasons.push(format!(
            "the generator ran out of file descriptors or ports for {} requests (see `ulimit -n`)",
            seen.out_of_sockets
        ));
    }
    let expected = seen.expected.unwrap_or(0.0);
    let missing = expected - (seen.sent + seen.dropped_in_flight) as f64;
    if missing > expected * MISSING_SHARE + SPREAD * expected.sqrt() + 1.0 {
        reasons.push(format!(
            "the generator could not keep up: {missing:.0} of {expected:.0} requests were never started"
        ));
    }
    reasons
}

/// Whatever else makes the numbers say less than they seem to.
fn doubts(seen: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(lag) = late(seen, LAG_DOUBTFUL_MS) {
        reasons.push(format!(
            "the generator's own delay (99 % within {lag:.1} ms) is a visible part of the latency"
        ));
    }
    if seen.dropped_late > 0 {
        reasons.push(format!("the generator was too busy to start {} requests", seen.dropped_late));
    }
    if seen.dropped_in_flight > 0 {
        reasons.push(format!(
            "{} requests were not sent because too many were waiting: the server was slower than the rate \
             asked, and the latency is a lower bound",
            seen.dropped_in_flight
        ));
    }
    if seen.measured == 0 {
        reasons.push("no request was answered, so there is no latency".to_owned());
    } else if seen.measured < REQUESTS_MIN {
        reasons.push(format!("{} requests are too few for a 99th percentile", seen.measured));
    }
    reasons
}

/// The lag, when it is above `limit_ms` and a visible part of the latency.
fn late(seen: &Evidence, limit_ms: f64) -> Option<f64> {
    let latency = seen.latency_p99_ms.unwrap_or(0.0);
    seen.lag_p99_ms.filter(|lag| *lag > limit_ms && *lag > latency * LAG_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_generators_own_faults_make_a_run_invalid() {
        let fine = Evidence {
            sent: 10_000,
            measured: 10_000,
            expected: Some(10_000.0),
            lag_p99_ms: Some(0.2),
            latency_p99_ms: Some(8.0),
            ..Evidence::default()
        };
        let cases = [
            ("fine", fine.clone(), Verdict::Valid),
            (
                "late",
                Evidence { lag_p99_ms: Some(50.0), latency_p99_ms: Some(60.0), ..fine.clone() },
                Verdict::Invalid,
            ),
            ("a little late", Evidence { lag_p99_ms: Some(3.0), ..fine.clone() }, Verdict::Inconclusive),
            (
                "late beside a very slow server",
                Evidence { lag_p99_ms: Some(20.0), latency_p99_ms: Some(4000.0), ..fine.clone() },
                Verdict::Valid,
            ),
            ("too slow to send", Evidence { sent: 6000, measured: 6000, ..fine.clone() }, Verdict::Invalid),
            (
                "too busy to send",
                Evidence { sent: 6000, dropped_late: 4000, ..fine.clone() },
                Verdict::Invalid,
            ),
            (
                "the server too slow to take more",
                Evidence { sent: 6000, dropped_in_flight: 4000, ..fine.clone() },
                Verdict::Inconclusive,
            ),
            ("a random plan's luck", Evidence { sent: 9750, ..fine.clone() }, Verdict::Valid),
            ("no descriptors", Evidence { out_of_sockets: 1, ..fine.clone() }, Verdict::Invalid),
            (
                "dead server",
                Evidence { measured: 0, latency_p99_ms: None, ..fine.clone() },
                Verdict::Inconclusive,
            ),
            (
                "hardly anything",
                Evidence { sent: 50, measured: 50, expected: Some(50.0), ..fine.clone() },
                Verdict::Inconclusive,
            ),
            ("closed loop", Evidence { expected: None, ..fine.clone() }, Verdict::Valid),
        ];
        for (name, seen, expected) in cases {
            let (verdict, reasons) = judge(&seen);
            assert_eq!(verdict, expected, "{name}: {reasons:?}");
            assert_eq!(reasons.is_empty(), verdict == Verdict::Valid, "{name}: {reasons:?}");
        }
    }
}
