//! An answer on the wire: its head, and what frames its body (RFC 9112, 4 and 6).

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap};
use http::{StatusCode, response};
use hyper::body::SizeHint;
use hyper::ext::ReasonPhrase;
use jiff::Timestamp;

use super::connection::Connection;
use crate::lines::{put_chunk, put_field, put_last_chunk, put_number};
use crate::strict::Said;

/// Longer pieces of a body are written where they are, not copied behind what frames them.
const COPIED_BYTES_MAX: usize = 8 * 1024;

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Bodiless,
    /// After as many bytes as the head says.
    Length,
    Chunked,
    /// With the connection.
    Close,
}

impl Framing {
    /// How the body of this length can be framed for this client, if there may be one.
    fn of(said: Said, status: StatusCode, length: Option<u64>, is_told: bool) -> Self {
        let is_bodiless =
            status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match length {
            _ if is_bodiless || said.is_head => Self::Bodiless,
            Some(_) => Self::Length,
            None if is_told => Self::Length,
            None if said.is_http_1_0 => Self::Close,
            None => Self::Chunked,
        }
    }

    /// Writes a piece of the body.
    pub(super) fn put(self, connection: &Connection, data: Bytes) {
        match self {
            Self::Bodiless => {}
            Self::Length | Self::Close if data.len() > COPIED_BYTES_MAX => connection.put_long(data),
            Self::Length | Self::Close => connection.put(|out| out.extend_from_slice(&data)),
            Self::Chunked if data.is_empty() => {}
            Self::Chunked => connection.put(|out| put_chunk(out, &data)),
        }
    }

    /// Writes what ends the body.
    pub(super) fn put_end(self, connection: &Connection, trailers: Option<&HeaderMap>) {
        if self == Self::Chunked {
            connection.put(|out| put_last_chunk(out, trailers));
        }
    }
}

/// Writes the head of an answer whose body is of this size; `closes` says that it is the last.
pub(super) fn put(
    out: &mut Vec<u8>,
    said: Said,
    head: &response::Parts,
    size: &SizeHint,
    closes: bool,
    now: Timestamp,
) -> Framing {
    let response::Parts { status, headers, extensions, .. } = head;
    let is_told = headers.contains_key(CONTENT_LENGTH);
    let framing = Framing::of(said, *status, size.exact(), is_told);
    let closes = closes || framing == Framing::Close;
    // RFC 9112, 2.3, leaves the choice; old clients have been seen to take the version for what may be
    // used in the message.
    let version = if said.is_http_1_0 { "HTTP/1.0" } else { "HTTP/1.1" };
    put_head(out, version, *status, extensions.get::<ReasonPhrase>(), headers);
    match (framing, size.exact()) {
        (Framing::Length, Some(length)) if !is_told => put_length(out, length),
        // The length that the body would have.
        (Framing::Bodiless, Some(length @ 1..)) if said.is_head && !is_told => put_length(out, length),
        (Framing::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    if *status == StatusCode::SWITCHING_PROTOCOLS {
        headers.get_all(CONNECTION).iter().for_each(|value| put_field(out, "connection", value.as_bytes()));
    } else if closes {
        out.extend_from_slice(b"connection: close\r\n");
    } else if said.is_http_1_0 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !headers.contains_key(DATE) {
        put_date(out, now);
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Writes the first line, and the fields but for `Connection`.
pub(crate) fn put_head(
    out: &mut Vec<u8>,
    version: &str,
    status: StatusCode,
    reason: Option<&ReasonPhrase>,
    fields: &HeaderMap,
) {
    let usual = || status.canonical_reason().unwrap_or_default().as_bytes();
    let reason = reason.map_or_else(usual, ReasonPhrase::as_bytes);
    for part in [version.as_bytes(), b" ", status.as_str().as_bytes(), b" ", reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
    put_fields(out, fields);
}

/// Writes fields but for `Connection`, which is ours to say.
fn put_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields.iter().filter(|(name, _)| *name != CONNECTION) {
        put_field(out, name.as_str(), value.as_bytes());
    }
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    put_number(out, length, 10);
    out.extend_from_slice(b"\r\n");
}

thread_local! {
    /// The second it was made for, and the line.
    static DATE_LINE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Writes when the answer was made (RFC 9110, 6.6.1).
fn put_date(out: &mut Vec<u8>, now: Timestamp) {
    DATE_LINE.with_borrow_mut(|(second, line)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *line = now.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string();
        }
        out.extend_from_slice(line.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn head(said: Said, status: u16, field: (&str, &str), size: SizeHint, closes: bool) -> (String, Framing) {
        let answer = Response::builder().status(status).header(field.0, field.1).body(()).unwrap();
        let (parts, ()) = answer.into_parts();
        let mut out = Vec::new();
        let framing = put(&mut out, said, &parts, &size, closes, Timestamp::UNIX_EPOCH);
        (String::from_utf8(out).unwrap(), framing)
    }

    #[test]
    fn framing_is_what_the_client_understands() {
        let (new, old) = (Said::default(), Said { is_http_1_0: true, ..Said::default() });
        let asked_for_head = Said { is_head: true, ..Said::default() };
        let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let unknown = SizeHint::new;
        for (said, status, size, closes, line, framing) in [
            (new, 200, SizeHint::with_exact(5), false, "content-length: 5\r\n", Framing::Length),
            (
                new,
                200,
                SizeHint::with_exact(0),
                true,
                "content-length: 0\r\nconnection: close\r\n",
                Framing::Length,
            ),
            (new, 200, unknown(), false, "transfer-encoding: chunked\r\n", Framing::Chunked),
            (old, 200, unknown(), false, "connection: close\r\n", Framing::Close),
            (
                old,
                200,
                SizeHint::with_exact(1),
                false,
                "content-length: 1\r\nconnection: keep-alive\r\n",
                Framing::Length,
            ),
            (asked_for_head, 200, SizeHint::with_exact(9), false, "content-length: 9\r\n", Framing::Bodiless),
            (asked_for_head, 200, SizeHint::with_exact(0), false, "", Framing::Bodiless),
            (new, 204, SizeHint::with_exact(0), false, "", Framing::Bodiless),
            (new, 304, SizeHint::with_exact(0), false, "", Framing::Bodiless),
        ] {
            let (text, found) = head(said, status, ("x-a", "1"), size, closes);
            let rest = text.split_once("\r\n").unwrap().1;
            assert_eq!((rest, found), (&*format!("x-a: 1\r\n{line}{date}"), framing), "{status} {said:?}");
        }
    }

    #[test]
    fn what_a_worker_says_is_not_said_twice() {
        let said = Said { is_head: true, ..Said::default() };
        let (text, _) = head(said, 200, ("content-length", "7"), SizeHint::with_exact(0), false);
        assert_eq!(text.matches("content-length").count(), 1);
        let (text, _) = head(said, 200, ("date", "today"), SizeHint::with_exact(0), false);
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: today\r\n\r\n");
    }
}
