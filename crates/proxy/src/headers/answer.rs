//! The fields that a client sees of those that a worker sent; kept as the lines they came as.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};

use super::{is_hop_by_hop, is_nominated, nominated};
use crate::lines::put_field;
use crate::strict;
use crate::upstream::AnswerParts;

/// Room for what is added to the fields of an answer.
const ADDED_BYTES_EXPECTED: usize = 256;

/// An answer's fields, but for those that say how it is framed on its connection.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    lines: Vec<u8>,
    pub(crate) has_length: bool,
    pub(crate) has_date: bool,
    has_request_id: bool,
}

impl Fields {
    pub(crate) fn put(&mut self, name: &str, value: &[u8]) {
        put_field(&mut self.lines, name, value);
    }

    /// Each with its end.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// As HTTP/2 says them.
    pub(crate) fn into_map(self) -> HeaderMap {
        strict::fields(&Bytes::from(self.lines))
    }
}

/// The fields of a worker's answer.
pub(crate) fn answer(head: &AnswerParts, request_id: &HeaderValue) -> Fields {
    let mut fields = interim(head);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        fields.put("connection", b"upgrade");
    }
    if !fields.has_request_id {
        fields.put("x-request-id", request_id.as_bytes());
    }
    fields
}

/// The fields that pass as they came: all there is of an interim answer.
pub(crate) fn interim(head: &AnswerParts) -> Fields {
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    // RFC 9110, 8.6: must not be there. Or it was how the worker framed the body; ours is another
    // connection's framing.
    let drops_length =
        head.is_chunked || head.status.is_informational() || head.status == StatusCode::NO_CONTENT;
    let nominated = if head.nominates { nominated(&head.fields) } else { Vec::new() };
    let lines = Vec::with_capacity(head.fields.bytes().len() + ADDED_BYTES_EXPECTED);
    let mut fields = Fields { lines, ..Fields::default() };
    for field in head.fields.iter() {
        match field.name().len() {
            4 if field.is("date") => fields.has_date = true,
            7 if switches && field.is("upgrade") => {}
            14 if field.is("content-length") => {
                if drops_length {
                    continue;
                }
                fields.has_length = true;
            }
            _ if is_hop_by_hop(field.name()) => continue,
            _ => {}
        }
        if is_nominated(&nominated, field.name()) {
            continue;
        }
        fields.has_request_id |= field.name().len() == 12 && field.is("x-request-id");
        fields.lines.extend_from_slice(field.line());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Piece, Reader};

    fn read(text: &str) -> AnswerParts {
        let mut reader = Reader::new();
        reader.ask(false);
        reader.inbox().extend_from_slice(text.as_bytes());
        match reader.next() {
            Ok(Some(Piece::Head(head) | Piece::Interim(head))) => head,
            other => panic!("{other:?}"),
        }
    }

    fn seen(text: &str) -> String {
        let fields = answer(&read(text), &HeaderValue::from_static("id"));
        String::from_utf8(fields.lines).unwrap()
    }

    #[test]
    fn framing_is_not_passed_on() {
        assert_eq!(
            seen("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"),
            "x-request-id: id\r\n"
        );
        assert_eq!(
            seen("HTTP/1.1 204 OK\r\nContent-Length: 0\r\nX-Request-Id: a\r\n\r\n"),
            "X-Request-Id: a\r\n"
        );
    }

    #[test]
    fn fields_pass_as_they_came() {
        let text = "HTTP/1.1 200 OK\r\nDate: now\r\nSet-Cookie: a\r\nset-cookie:b\r\ncontent-length: 1\r\nx-request-id: a\r\n\r\n";
        let fields = answer(&read(text), &HeaderValue::from_static("id"));
        assert!(fields.has_date && fields.has_length);
        assert_eq!(
            fields.lines,
            text.split_once("OK\r\n").unwrap().1.strip_suffix("\r\n").unwrap().as_bytes()
        );
        let map = fields.into_map();
        assert_eq!((map.len(), &map["date"]), (5, &HeaderValue::from_static("now")), "{map:?}");
        assert_eq!(map.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_connection_names_goes() {
        let text = "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nConnection: keep-alive, x-hop\r\nX-Request-Id: a\r\n\r\n";
        assert_eq!(seen(text), "X-Request-Id: a\r\n");
    }

    #[test]
    fn a_change_of_protocol_says_to_which() {
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: a\r\n\r\n";
        assert_eq!(seen(text), "Upgrade: websocket\r\nX-Request-Id: a\r\nconnection: upgrade\r\n");
    }
}
