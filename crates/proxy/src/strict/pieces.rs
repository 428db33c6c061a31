//! Messages taken out of bytes as they come, piece by piece; without a socket.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::Fault;
use super::framer::{Framer, Head, Limits, Part};

/// Most heads have no more fields: their map does not grow.
const FIELDS_EXPECTED: usize = 12;

/// What comes out of the bytes.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The text of a whole head, which has been judged.
    Head(Bytes),
    Data(Bytes),
    Trailers(HeaderMap),
    /// The message is whole.
    End,
}

/// Reads one message after the other.
#[derive(Debug)]
pub(crate) struct Pieces<H> {
    framer: Framer<H>,
    inbox: BytesMut,
    trailers: HeaderMap,
    /// Whether a head has come out, and not yet the end of its message.
    in_message: bool,
}

impl<H: Head> Pieces<H> {
    pub(crate) fn new(head: H, limits: Limits) -> Self {
        Self {
            framer: Framer::new(head, limits),
            inbox: BytesMut::new(),
            trailers: HeaderMap::new(),
            in_message: false,
        }
    }

    /// What judges the heads.
    pub(crate) fn head(&mut self) -> &mut H {
        &mut self.framer.head
    }

    /// Where to put bytes.
    pub(crate) fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// What comes next; `None` while its bytes are not there.
    ///
    /// # Errors
    /// When the bytes are no message: nothing more comes out of them.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            if self.in_message && self.is_over() {
                self.in_message = false;
                return Ok(Some(Piece::End));
            }
            let (length, part) = self.framer.part(&self.inbox);
            let part = part?;
            if length == 0 {
                return Ok(None);
            }
            match part {
                Part::Head => {
                    self.in_message = true;
                    return Ok(Some(Piece::Head(self.cut(length))));
                }
                Part::Data => return Ok(Some(Piece::Data(self.cut(length)))),
                Part::Framing => drop(self.cut(length)),
                Part::Trailer => {
                    let line = self.cut(length);
                    if &line[..] != b"\r\n" {
                        put_field(&mut self.trailers, &line);
                    } else if !self.trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(std::mem::take(&mut self.trailers))));
                    }
                }
            }
        }
    }

    /// The first bytes. All of them leave no buffer behind, and cost no count of who shares it.
    fn cut(&mut self, length: usize) -> Bytes {
        if length == self.inbox.len() {
            return std::mem::take(&mut self.inbox).freeze();
        }
        self.inbox.split_to(length).freeze()
    }

    /// Whether the last byte of the message under way has come out, if there is one under way.
    pub(crate) fn is_over(&self) -> bool {
        !self.in_message || self.framer.is_at_head() || self.framer.is_undecided()
    }

    /// Whether the message under way ends with its connection.
    pub(crate) fn is_through(&self) -> bool {
        self.in_message && self.framer.is_through()
    }

    /// Whether the last message is over, and nothing of the next has come.
    pub(crate) fn is_between(&self) -> bool {
        self.is_over() && self.inbox.is_empty()
    }

    /// Whether some of a head has come, and not all of it. Empty lines before one are nothing yet.
    pub(crate) fn is_in_head(&self) -> bool {
        self.framer.is_at_head() && self.inbox.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// How many bytes of content the message under way still has, where its head has said it.
    pub(crate) fn length_left(&self) -> Option<u64> {
        if self.is_over() { Some(0) } else { self.framer.length_left() }
    }

    /// Decides whether the protocol has changed, where that was open.
    pub(crate) fn decide(&mut self, switched: bool) {
        if self.framer.is_undecided() {
            self.in_message = false;
            self.framer.decide(switched);
        }
    }
}

/// The fields of lines that have been judged.
pub(crate) fn fields(text: &Bytes) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(FIELDS_EXPECTED);
    let mut start = 0;
    while let Some(length) = memchr::memchr(b'\n', &text[start..]) {
        put_field(&mut fields, &text.slice(start..=start + length));
        start += length + 1;
    }
    fields
}

/// Adds the field of a line, which has been judged; an empty line has none. Names and values are a
/// few bytes long: to look at each costs less than to call a search.
fn put_field(fields: &mut HeaderMap, line: &Bytes) {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
    let value = line[colon + 1..].trim_ascii();
    let value = HeaderValue::from_maybe_shared(line.slice_ref(value));
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), value) {
        fields.append(name, value);
    }
}
