//! An answer on the wire: its head, and what frames its body (RFC 9112, 4 and 6).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::body::Body;
use jiff::Timestamp;

use super::connection::Connection;
use crate::answer::Reply;
use crate::date;
use crate::downstream::Hint;
use crate::headers::Fields;
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

/// Writes the head of an answer; `closes` says that it is the last.
pub(super) fn put(out: &mut Vec<u8>, said: Said, reply: &Reply, closes: bool, now: Timestamp) -> Framing {
    let Reply { status, reason, fields, body, .. } = reply;
    let length = body.size_hint().exact();
    let framing = Framing::of(said, *status, length, fields.has_length);
    // RFC 9112, 2.3, leaves the choice; old clients have been seen to take the version for what may be
    // used in the message.
    let version = if said.is_http_1_0 { "HTTP/1.0" } else { "HTTP/1.1" };
    put_head(out, version, *status, reason.as_deref(), fields);
    match (framing, length) {
        (Framing::Length, Some(length)) if !fields.has_length => put_length(out, length),
        // The length that the body would have.
        (Framing::Bodiless, Some(length @ 1..)) if said.is_head && !fields.has_length => {
            put_length(out, length);
        }
        (Framing::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    if *status == StatusCode::SWITCHING_PROTOCOLS {
        // The fields say what becomes of the connection.
    } else if closes || framing == Framing::Close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if said.is_http_1_0 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !fields.has_date {
        date::with(now, |date| put_field(out, "date", date.as_bytes()));
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Writes an interim answer.
pub(super) fn put_interim(out: &mut Vec<u8>, hint: &Hint) {
    put_head(out, "HTTP/1.1", hint.status, hint.reason.as_deref(), &hint.fields);
    out.extend_from_slice(b"\r\n");
}

/// Writes the first line and the fields.
fn put_head(out: &mut Vec<u8>, version: &str, status: StatusCode, reason: Option<&[u8]>, fields: &Fields) {
    let reason = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().as_bytes());
    for part in [version.as_bytes(), b" ", status.as_str().as_bytes(), b" ", reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(fields.lines());
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    put_number(out, length, 10);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::AnswerBody;

    fn head(said: Said, status: u16, body: &'static [u8], closes: bool) -> (String, Framing) {
        let mut fields = Fields::default();
        fields.put("x-a", b"1");
        let status = StatusCode::from_u16(status).unwrap();
        let body = AnswerBody::held(Bytes::from_static(body));
        let reply = Reply { status, reason: None, fields, is_last: false, body };
        let mut out = Vec::new();
        let framing = put(&mut out, said, &reply, closes, Timestamp::UNIX_EPOCH);
        (String::from_utf8(out).unwrap(), framing)
    }

    #[test]
    fn framing_is_what_the_client_understands() {
        let (new, old) = (Said::default(), Said { is_http_1_0: true, ..Said::default() });
        let asked_for_head = Said { is_head: true, ..Said::default() };
        let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let closed = "content-length: 0\r\nconnection: close\r\n";
        for (said, status, body, closes, line, framing) in [
            (new, 200, "hello", false, "content-length: 5\r\n", Framing::Length),
            (new, 200, "", true, closed, Framing::Length),
            (old, 200, "a", false, "content-length: 1\r\nconnection: keep-alive\r\n", Framing::Length),
            (asked_for_head, 200, "123456789", false, "content-length: 9\r\n", Framing::Bodiless),
            (asked_for_head, 200, "", false, "", Framing::Bodiless),
            (new, 204, "", false, "", Framing::Bodiless),
            (new, 304, "", false, "", Framing::Bodiless),
        ] {
            let (text, found) = head(said, status, body.as_bytes(), closes);
            let rest = text.split_once("\r\n").unwrap().1;
            assert_eq!((rest, found), (&*format!("x-a: 1\r\n{line}{date}"), framing), "{status} {said:?}");
        }
        assert_eq!(Framing::of(new, StatusCode::OK, None, false), Framing::Chunked);
        assert_eq!(Framing::of(old, StatusCode::OK, None, false), Framing::Close);
    }
}
