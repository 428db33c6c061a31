//! What is known of one request at its end, and how it is written down.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderValue, Method, Uri, Version};
use jiff::Timestamp;
use serde::Serialize;
use traffic::WorkerId;

use crate::request::Request;

/// Longest text of a client in an entry: an address line of a browser fits.
const TEXT_BYTES_MAX: usize = 2_048;

/// One request, as cheap to fill in as can be: little is copied, nothing formatted.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) client: IpAddr,
    /// What was asked for; `None` where it could not be read.
    pub(crate) asked: Option<Asked>,
    pub(crate) request_id: Option<HeaderValue>,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) attempts: u32,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    /// Why it was not a worker that answered.
    pub(crate) reason: Option<&'static str>,
    pub(crate) outcome: &'static str,
    pub(crate) queue: Duration,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Duration,
}

#[derive(Debug)]
pub(crate) struct Asked {
    method: Method,
    uri: Uri,
    version: Version,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let field = |name| HeaderValue::from_bytes(request.fields.get(name)?).ok();
        Self {
            method: request.method.clone(),
            uri: request.uri.clone(),
            version: request.version,
            referer: field("referer"),
            user_agent: field("user-agent"),
        }
    }
}

impl Line {
    pub(crate) fn new(at: Timestamp, client: IpAddr) -> Self {
        Self {
            at,
            client,
            asked: None,
            request_id: None,
            worker: None,
            attempts: 0,
            status: 0,
            bytes: 0,
            reason: None,
            outcome: "cancelled",
            queue: Duration::ZERO,
            connect: Duration::ZERO,
            first_byte: None,
            total: Duration::ZERO,
        }
    }
}

impl Line {
    /// Takes up which worker had it last, where no answer and no refusal has said so.
    pub(crate) fn traced(&mut self, last: Option<(WorkerId, u32)>) {
        if let (None, Some((worker, attempts))) = (self.worker, last) {
            (self.worker, self.attempts) = (Some(worker), attempts);
        }
    }
}

/// One request that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When its head was in.
    pub at: Timestamp,
    /// Who asked.
    pub client: IpAddr,
    /// As in `GET`; `null` where it could not be read.
    pub method: Option<String>,
    /// Path and query.
    pub target: Option<String>,
    /// As in `HTTP/1.1`.
    pub version: Option<String>,
    /// What the client was told; 499 if it did not wait for it.
    pub status: u16,
    /// Of the answer's body.
    pub bytes: u64,
    /// `x-request-id`.
    pub request_id: String,
    /// The worker that had it last, as in `w1.3`.
    pub worker: Option<WorkerId>,
    /// Times that it was handed to a worker.
    pub attempts: u32,
    /// One word for why it was not a worker that answered.
    pub reason: Option<String>,
    /// `answered`, `refused`, `broken` or `cancelled`.
    pub outcome: String,
    /// Milliseconds that it waited for a worker.
    pub queue_ms: f64,
    /// Milliseconds that connecting to workers took; 0 on a kept connection.
    pub connect_ms: f64,
    /// Milliseconds from its head until the answer's was there.
    pub first_byte_ms: Option<f64>,
    /// Milliseconds until the answer's last byte was there.
    pub total_ms: f64,
    /// Where the client says it comes from.
    pub referer: Option<String>,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

impl Entry {
    pub(super) fn of(line: &Line) -> Self {
        let millis = |length: Duration| (length.as_secs_f64() * 1e6).round() / 1e3;
        let text = |value: &HeaderValue| clipped(&String::from_utf8_lossy(value.as_bytes()));
        let asked = line.asked.as_ref();
        Self {
            at: line.at,
            client: line.client,
            method: asked.map(|asked| clipped(asked.method.as_str())),
            target: asked.map(|asked| clipped(&asked.uri.to_string())),
            version: asked.map(|asked| format!("{:?}", asked.version)),
            status: line.status,
            bytes: line.bytes,
            request_id: line.request_id.as_ref().map(text).unwrap_or_default(),
            worker: line.worker,
            attempts: line.attempts,
            reason: line.reason.map(str::to_owned),
            outcome: line.outcome.to_owned(),
            queue_ms: millis(line.queue),
            connect_ms: millis(line.connect),
            first_byte_ms: line.first_byte.map(millis),
            total_ms: millis(line.total),
            referer: asked.and_then(|asked| asked.referer.as_ref()).map(text),
            user_agent: asked.and_then(|asked| asked.user_agent.as_ref()).map(text),
        }
    }

    pub(super) fn json(&self) -> String {
        // An entry's own types do not fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn combined(&self) -> String {
        let or_dash = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), escaped);
        let asked = match (&self.method, &self.target, &self.version) {
            (Some(method), Some(target), Some(version)) => {
                format!("{} {} {version}", escaped(method), escaped(target))
            }
            _ => "-".to_owned(),
        };
        let worker =
            self.worker.map_or_else(|| "-".to_owned(), |WorkerId { slot, run }| format!("w{slot}.{run}"));
        let first_byte = self.first_byte_ms.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.3}"));
        format!(
            "{} - - [{}] \"{asked}\" {} {} \"{}\" \"{}\" {worker} {} {} {:.3}/{:.3}/{first_byte}/{:.3} {}",
            self.client,
            self.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            self.status,
            self.bytes,
            or_dash(&self.referer),
            or_dash(&self.user_agent),
            self.attempts,
            self.reason.as_deref().unwrap_or("-"),
            self.queue_ms,
            self.connect_ms,
            self.total_ms,
            if self.request_id.is_empty() { "-".to_owned() } else { escaped(&self.request_id) },
        )
    }
}

fn clipped(text: &str) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].to_owned()
}

/// What could end a field or a line is written in hexadecimal, as nginx does.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '"' | '\\') {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                let _ = write!(safe, "\\x{byte:02X}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::FieldLines;

    #[test]
    fn a_line_in_both_formats() {
        let request = Request {
            method: Method::GET,
            uri: "/x?y=1".parse().unwrap(),
            version: Version::HTTP_11,
            fields: FieldLines::new(b"User-Agent: a\"b\xff\r\n".to_vec().into()),
        };
        let line = Line {
            asked: Some(Asked::of(&request)),
            request_id: Some(HeaderValue::from_static("abc")),
            worker: Some(WorkerId { slot: 1, run: 3 }),
            attempts: 2,
            status: 200,
            bytes: 12,
            outcome: "answered",
            queue: Duration::from_micros(1_500),
            first_byte: Some(Duration::from_millis(2)),
            total: Duration::from_millis(3),
            ..Line::new(Timestamp::UNIX_EPOCH, [127, 0, 0, 1].into())
        };
        let entry = Entry::of(&line);
        assert_eq!(
            entry.combined(),
            "127.0.0.1 - - [01/Jan/1970:00:00:00 +0000] \"GET /x?y=1 HTTP/1.1\" 200 12 \"-\" \
             \"a\\x22b\u{fffd}\" w1.3 2 - 1.500/0.000/2.000/3.000 abc"
        );
        let json: serde_json::Value = serde_json::from_str(&entry.json()).unwrap();
        assert_eq!((json["worker"].as_str(), json["queue_ms"].as_f64()), (Some("w1.3"), Some(1.5)));
        assert_eq!(json["referer"], serde_json::Value::Null);
        let unread = Entry::of(&Line::new(Timestamp::UNIX_EPOCH, [127, 0, 0, 1].into())).combined();
        assert!(unread.contains("] \"-\" 0 0 \"-\" \"-\" - 0 - 0.000/0.000/-/0.000 -"), "{unread}");
        assert_eq!(clipped(&"é".repeat(2_000)).len(), TEXT_BYTES_MAX);
    }
}
