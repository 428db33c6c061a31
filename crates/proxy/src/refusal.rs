//! The answers that are ours and not a worker's: a status, a reason, one line of text.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use traffic::WorkerId;

use crate::strict::Fault;

/// Says in a word why a worker did not answer; its presence tells that the answer is ours.
const REASON: HeaderName = HeaderName::from_static("x-autoscale-reason");
/// Seconds after which trying again makes sense: about as long as a worker takes to start, and as
/// a limit of requests a second takes to let the next one pass.
const RETRY_AFTER_SECONDS: &str = "1";

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
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(fault.status, fault.code, fault.text)
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into(), tried: None }
    }

    pub(crate) fn bad_request(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }

    /// Whether the request itself is at fault, so that what follows it on its connection may not be
    /// what it seems.
    fn is_about_the_message(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 408 | 413 | 414 | 417 | 431 | 501 | 505)
    }

    /// The headers and the body that say so.
    pub(crate) fn into_parts(self) -> (StatusCode, HeaderMap, Bytes) {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(REASON, HeaderValue::from_static(self.code));
        if self.is_about_the_message() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        let line = format!("{} {}\n", self.status.as_u16(), self.text);
        (self.status, headers, Bytes::from(line))
    }
}
