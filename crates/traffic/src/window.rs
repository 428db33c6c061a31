//! What requests did since the last turn of the control loop.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Ledger, Meter, Pool, Reading, WorkerId};

/// Traffic between two readings of a [`Meter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Time between the two readings.
    #[serde(rename = "length_s", with = "seconds")]
    pub length: Duration,
    /// Requests that came in.
    pub arrivals: u64,
    /// Requests answered by a worker with a status below 500.
    pub completions: u64,
    /// Requests that ended otherwise: 5xx, broken transfers, refusals, waits that ran out.
    pub failures: u64,
    /// Requests at workers now.
    pub in_flight: u32,
    /// Requests waiting for a worker now.
    pub queued: u32,
    /// Of the requests that ended in the window; `None` when none did.
    pub latency: Option<Latency>,
    /// Longest time that a request leaving the waiting queue in this window had waited.
    #[serde(rename = "queue_wait_max_s", with = "seconds")]
    pub queue_wait_max: Duration,
}

impl Window {
    /// Requests that came in per second; 0 for an empty window.
    pub fn rate_per_second(&self) -> f64 {
        let seconds = self.length.as_secs_f64();
        if seconds > 0.0 { self.arrivals as f64 / seconds } else { 0.0 }
    }
}

/// Latency percentiles, from the first byte of the request to the last of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the requests took at most this long.
    #[serde(rename = "p50_s", with = "seconds")]
    pub p50: Duration,
    /// 95 % took at most this long.
    #[serde(rename = "p95_s", with = "seconds")]
    pub p95: Duration,
    /// 99 % took at most this long.
    #[serde(rename = "p99_s", with = "seconds")]
    pub p99: Duration,
}

/// One backend's share of a [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendSample {
    /// The worker behind it.
    pub id: WorkerId,
    /// Requests at it now.
    pub in_flight: u32,
    /// Requests it has ended since it was first routed.
    pub requests: u64,
    /// When it was given its first request.
    pub first_request_at: Option<Timestamp>,
}

/// What a source of traffic measurements hands to the control loop each turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// All requests together.
    pub window: Window,
    /// Each backend that has requests or is routed, in order of id.
    pub backends: Vec<BackendSample>,
    /// Totals that must add up; `None` where the source keeps no books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
}

impl Sample {
    /// Takes the traffic since `earlier`, which then stands at `at`; the first reading of a window
    /// is [`Reading::empty`]. Readers with their own `earlier` do not disturb each other.
    pub fn take(pool: &Pool, meter: &Meter, earlier: &mut Reading, at: Timestamp) -> Self {
        let reading = meter.read(at);
        let backends = pool.backends();
        let in_flight = backends.iter().map(|backend| backend.in_flight).fold(0, u32::saturating_add);
        let ledger = Some(Ledger::of(&reading, pool));
        let window = Window { in_flight, ..reading.since(earlier) };
        *earlier = reading;
        Self { window, backends, ledger }
    }
}

/// Durations as seconds with a fraction, for records that people and other programs read.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes `length` as seconds.
    pub fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(length.as_secs_f64())
    }

    /// Reads seconds; refuses negative, infinite and overlong ones.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_the_record_to_the_nanosecond() {
        let latency = Latency {
            p50: Duration::from_nanos(1),
            p95: Duration::from_nanos(999_999_999),
            p99: Duration::new(86_400, 123_456_789),
        };
        let json = serde_json::to_string(&latency).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&json).unwrap(), latency);
        assert!(serde_json::from_str::<Latency>(r#"{"p50_s":-1,"p95_s":0,"p99_s":0}"#).is_err());
    }
}
