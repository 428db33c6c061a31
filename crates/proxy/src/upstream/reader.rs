//! A worker's answers, taken out of its bytes as they come; without a socket.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use crate::fields::FieldLines;
use crate::strict::{self, AnswerHead, AnswerSaid, Fault, Limits, Pieces};

/// A worker's answers' heads, in bytes: what it sends in cookies and policies fits.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// What comes out of a worker's bytes.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An interim answer (1xx), before the head of the one that counts.
    Interim(AnswerParts),
    Head(AnswerParts),
    Data(Bytes),
    Trailers(HeaderMap),
    /// The answer is whole.
    End,
}

/// An answer's head.
#[derive(Debug)]
pub(crate) struct AnswerParts {
    pub(crate) status: StatusCode,
    /// The reason phrase, where it is not the usual one.
    pub(crate) reason: Option<Bytes>,
    /// The length of the body in bytes, where the head says it.
    pub(crate) length: Option<u64>,
    /// `Connection` names fields that go no further.
    pub(crate) nominates: bool,
    pub(crate) is_chunked: bool,
    pub(crate) fields: FieldLines,
}

/// Reads one answer after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    pieces: Pieces<AnswerHead>,
    /// Whether the head of the answer under way has come out.
    in_answer: bool,
    keeps_open: bool,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let limits = Limits { head_bytes: HEAD_BYTES_MAX };
        Self { pieces: Pieces::new(AnswerHead::default(), limits), in_answer: false, keeps_open: true }
    }

    /// A request goes out.
    pub(crate) fn ask(&mut self, is_head: bool) {
        self.pieces.head().ask(is_head);
    }

    /// Where to put bytes.
    pub(crate) fn inbox(&mut self) -> &mut BytesMut {
        self.pieces.inbox()
    }

    /// Whether the next request may be sent on this connection.
    pub(crate) fn is_reusable(&self) -> bool {
        self.keeps_open && !self.in_answer && self.pieces.is_between()
    }

    /// What comes next; `None` while its bytes are not there.
    ///
    /// # Errors
    /// When the bytes are no answer, or nobody asked for one.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            return Ok(match self.pieces.next()? {
                None => None,
                Some(strict::Piece::Head(text)) => {
                    let said = self.pieces.head().said();
                    let head = head(text, said, self.pieces.length_left());
                    let is_interim =
                        head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS;
                    if is_interim {
                        return Ok(Some(Piece::Interim(head)));
                    }
                    self.in_answer = true;
                    self.keeps_open = said.keeps_open();
                    Some(Piece::Head(head))
                }
                Some(strict::Piece::Data(data)) => Some(Piece::Data(data)),
                Some(strict::Piece::Trailers(trailers)) => Some(Piece::Trailers(trailers)),
                Some(strict::Piece::End) if self.in_answer => {
                    self.in_answer = false;
                    Some(Piece::End)
                }
                // Of an interim answer.
                Some(strict::Piece::End) => continue,
            });
        }
    }

    /// The connection is closed; whether that ends the answer under way.
    pub(crate) fn close(&mut self) -> bool {
        self.keeps_open = false;
        // What is delimited in no other way is passed through to its end.
        std::mem::take(&mut self.in_answer) && self.pieces.is_through()
    }
}

/// Makes a head of its text, which has been judged.
fn head(text: Bytes, said: AnswerSaid, length: Option<u64>) -> AnswerParts {
    let line_end = memchr::memchr(b'\n', &text).unwrap_or(text.len() - 1);
    let line = text[..line_end].trim_ascii_end();
    let status = line.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
    let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let reason = line.get(13..).unwrap_or_default();
    // Beyond ASCII nobody agrees on what it says.
    let is_odd = !reason.is_empty()
        && reason.is_ascii()
        && status.canonical_reason().is_none_or(|usual| usual.as_bytes() != reason);
    let reason = is_odd.then(|| text.slice_ref(reason));
    let AnswerSaid { nominates, is_chunked, .. } = said;
    let fields = FieldLines::new(text.slice(line_end + 1..));
    AnswerParts { status, reason, length, nominates, is_chunked, fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of an answer given in pieces of this size, as text; and what of the reader.
    fn read(bytes: &[u8], size: usize) -> (String, Reader) {
        let mut reader = Reader::new();
        reader.ask(false);
        let mut text = String::new();
        for piece in bytes.chunks(size) {
            reader.inbox().extend_from_slice(piece);
            while let Some(piece) = reader.next().unwrap() {
                match piece {
                    Piece::Interim(head) => text += &format!("{}, ", head.status.as_u16()),
                    Piece::Head(head) => text += &format!("{} {:?}|", head.status.as_u16(), head.length),
                    Piece::Data(data) => text += std::str::from_utf8(&data).unwrap(),
                    Piece::Trailers(trailers) => text += &format!("|{trailers:?}"),
                    Piece::End => text += "|end",
                }
            }
        }
        (text, reader)
    }

    #[test]
    fn an_answer_comes_out_the_same_in_any_pieces() {
        let answers: [(&[u8], &str); 4] = [
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "200 Some(5)|hello|end"),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nx: 1\r\n\r\n",
                "200 None|hello|{\"x\": \"1\"}|end",
            ),
            (
                b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                "103, 204 Some(0)||end",
            ),
            (b"HTTP/1.0 200 OK\r\n\r\nhello", "200 None|hello"),
        ];
        for (bytes, expected) in answers {
            for size in 1..bytes.len() {
                let (text, mut reader) = read(bytes, size);
                assert_eq!(text, expected, "in pieces of {size}");
                assert_eq!(reader.close(), expected.ends_with("hello"), "only one ends with its connection");
            }
        }
    }

    #[test]
    fn a_connection_is_used_again_unless_somebody_says_otherwise() {
        let reusable = |bytes: &[u8]| read(bytes, 1_000).1.is_reusable();
        assert!(reusable(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(reusable(b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n"));
        assert!(!reusable(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(!reusable(b"HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 0\r\n\r\n"));
        assert!(!reusable(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell"), "not read to its end");
        let mut reader = Reader::new();
        reader.inbox().extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        assert_eq!(reader.next().unwrap_err().code, "unasked_answer");
    }
}
