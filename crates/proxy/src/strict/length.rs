//! How long a body is, as its head says: the fields over which parsers disagree.

use http::StatusCode;

use super::{Fault, bytes};

/// Lengths have at most this many digits: every such number fits every parser's integer.
const DIGITS_MAX: usize = 18;

/// What the framing fields of a head have said so far.
#[derive(Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    coding: Option<Coding>,
}

/// The transfer coding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Another one, with `chunked` at the end: well-formed, and unknown here.
    Unknown,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing was said.
    Unsaid,
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

const BAD_LENGTH: Fault = Fault::bad("bad_content_length", "Content-Length is not one number of bytes");
const TWO_LENGTHS: Fault = Fault::bad("several_content_lengths", "Content-Length is said more than once");
const BAD_CODING: Fault =
    Fault::bad("bad_transfer_encoding", "Transfer-Encoding is not `chunked`, once and alone");
const BOTH: Fault =
    Fault::bad("length_and_chunked", "Content-Length and Transfer-Encoding exclude each other");
const OLD: Fault = Fault::bad("chunked_in_http_1_0", "HTTP/1.0 knows no Transfer-Encoding");
const UNKNOWN_CODING: Fault = Fault::new(
    StatusCode::NOT_IMPLEMENTED,
    "unknown_transfer_encoding",
    "no transfer coding is understood but `chunked`",
);

impl Framing {
    /// Takes a field's value if the field is one of framing.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    /// RFC 9112, 6.3: a list or a repetition of one number may be taken for that number, but one
    /// who sees two fields may also see two numbers.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() || value.contains(&b',') {
            return Err(TWO_LENGTHS);
        }
        let is_number =
            !value.is_empty() && value.len() <= DIGITS_MAX && value.iter().all(u8::is_ascii_digit);
        if !is_number {
            return Err(BAD_LENGTH);
        }
        self.length = Some(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    /// RFC 9112, 6.1 and 6.3: codings are a list that ends in `chunked`, which stands in it once.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.coding.is_some() {
            return Err(BAD_CODING);
        }
        let is_chunked = |member: &[u8]| member.eq_ignore_ascii_case(b"chunked");
        let mut codings = bytes::members(value).collect::<Vec<_>>();
        let last = codings.pop().unwrap_or_default();
        if !is_chunked(last) || !codings.iter().all(|member| bytes::is_token(member) && !is_chunked(member)) {
            return Err(BAD_CODING);
        }
        self.coding = Some(if codings.is_empty() { Coding::Chunked } else { Coding::Unknown });
        Ok(())
    }

    /// Whether a transfer coding was said.
    pub(super) fn is_chunked(&self) -> bool {
        self.coding.is_some()
    }

    /// What all fields together say.
    pub(super) fn settle(&self, is_http_1_0: bool) -> Result<Length, Fault> {
        match (self.coding, self.length) {
            (None, None) => Ok(Length::Unsaid),
            (None, Some(length)) => Ok(Length::Bytes(length)),
            (Some(_), Some(_)) => Err(BOTH),
            (Some(_), None) if is_http_1_0 => Err(OLD),
            (Some(Coding::Chunked), None) => Ok(Length::Chunked),
            (Some(Coding::Unknown), None) => Err(UNKNOWN_CODING),
        }
    }
}
