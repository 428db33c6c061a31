//! The answers that are ours and not a worker's: a status, a reason, one line of text.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
use traffic::WorkerId;

use crate::answer::{AnswerBody, Reply};
use crate::date;
use crate::headers::Fields;
use crate::strict::Fault;

/// Says in a word why a worker did not answer; its presence tells that the answer is ours.
const REASON: &str = "x-autoscale-reason";
/// Where nothing better is known: about as long as a worker takes to start, and as
/// a limit of requests a second takes to let the next one pass.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request is not answered by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// One word in snake_case, for programs.
    pub(crate) code: &'static str,
    /// One sentence, for people; without the status.
    pub(crate) text: String,
    /// The last worker that failed it, and how many times one was tried.
    pub(crate) tried: Option<(WorkerId, u32)>,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after_s: u64,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(fault.status, fault.code, fault.text)
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into(), tried: None, retry_after_s: RETRY_AFTER_SECONDS }
    }

    pub(crate) fn bad_request(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }

    /// Whether the request itself is at fault, so that what follows it on its connection may not be
    /// what it seems.
    fn is_about_the_message(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 408 | 413 | 414 | 417 | 431 | 501 | 505)
    }

    /// All of the answer, in HTTP/1.1, for a connection that gets no other.
    pub(crate) fn into_last_words(self, at: Timestamp, is_head: bool) -> Vec<u8> {
        let (status, mut fields, body) = self.into_parts();
        fields.put("connection", b"close");
        fields.put("content-length", body.len().to_string().as_bytes());
        let date = date::text(at);
        let mut words = format!("HTTP/1.1 {status}\r\ndate: {date}\r\n").into_bytes();
        words.extend_from_slice(fields.lines());
        words.extend_from_slice(b"\r\n");
        if !is_head {
            words.extend_from_slice(&body);
        }
        words
    }

    /// The answer that says so.
    pub(crate) fn into_reply(self) -> Reply {
        let is_last = self.is_about_the_message();
        let (status, fields, bytes) = self.into_parts();
        Reply { status, reason: None, fields, is_last, body: AnswerBody::held(bytes) }
    }

    /// The fields and the body that say so.
    fn into_parts(self) -> (StatusCode, Fields, Bytes) {
        let mut fields = Fields::default();
        fields.put("content-type", b"text/plain; charset=utf-8");
        fields.put(REASON, self.code.as_bytes());
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            fields.put("retry-after", self.retry_after_s.to_string().as_bytes());
        }
        let line = format!("{} {}\n", self.status.as_u16(), self.text);
        (self.status, fields, Bytes::from(line))
    }
}

/// Clients that were refused without a request that could be counted, by reason. Only those who are
/// refused wait for its lock; reasons are few, as each stands in this program.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    pub(crate) fn count(&self, code: &'static str) {
        *self.0.lock().entry(code).or_default() += 1;
    }

    /// In alphabetical order.
    pub(crate) fn by_reason(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().iter().map(|(code, count)| (*code, *count)).collect()
    }
}
