//! `Server-Timing`: how long a request waited, and how long its worker took to begin its answer.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::retry::Answer;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the field behind those that the worker may have set.
pub(super) fn say(answer: &mut Answer, arrived_at: Timestamp, now: Timestamp) {
    let total = Duration::try_from(now.duration_since(arrived_at)).unwrap_or_default();
    let (queue, upstream) = (answer.queued, total.saturating_sub(answer.queued));
    let text = format!("queue;dur={}, upstream;dur={}", Millis(queue), Millis(upstream));
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers.append(SERVER_TIMING, value);
    }
}

/// Milliseconds with three places, without the cost of floating point.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}
