//! A worker's answer's head, line by line; what is wrong with it becomes a 502.

use super::framer::{Body, Head, Limits};
use super::length::{Framing, Length};
use super::request::{BAD_FIELD, FOLDED};
use super::{Fault, bytes};

/// Interim answers before the final one: a worker that sends more is in a loop.
const INTERIM_MAX: u8 = 32;
/// A worker that sends more is in a loop; as many as a request may have.
const FIELDS_MAX: u32 = 100;

/// What is awaited on a connection to a worker, and what an answer's head has said so far.
#[derive(Debug, Default)]
pub(crate) struct AnswerHead {
    /// Set for each request, and gone with its final answer.
    awaited: bool,
    /// Whether the answer has no body because the request is a `HEAD`.
    bodiless: bool,
    interim: u8,
    status: u16,
    fields: u32,
    framing: Framing,
    said: AnswerSaid,
}

/// What an answer's head says of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerSaid {
    is_http_1_0: bool,
    closes: bool,
    keeps_alive: bool,
    /// `Connection` names fields.
    pub(crate) nominates: bool,
    pub(crate) is_chunked: bool,
}

impl AnswerSaid {
    /// Whether the worker will take another request on the connection (RFC 9112, 9.3).
    pub(crate) fn keeps_open(self) -> bool {
        if self.is_http_1_0 { self.keeps_alive } else { !self.closes }
    }
}

const UNASKED: Fault = Fault::bad("unasked_answer", "sent more than it was asked for");
const BAD_LINE: Fault = Fault::bad("bad_status_line", "answered without a proper status line");
const LONG_HEAD: Fault = Fault::bad("head_too_long", "answered with too long a head");
const INTERIM: Fault = Fault::bad("too_many_interim", "answered with 1xx again and again");

impl AnswerHead {
    /// A request goes out.
    pub(crate) fn ask(&mut self, is_head: bool) {
        *self = Self { awaited: true, bodiless: is_head, ..Self::default() };
    }

    /// What the last head has said.
    pub(crate) fn said(&self) -> AnswerSaid {
        self.said
    }

    fn connection(&mut self, value: &[u8]) {
        for option in bytes::members(value) {
            match option.len() {
                0 => {}
                5 if option.eq_ignore_ascii_case(b"close") => self.said.closes = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.said.keeps_alive = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => {}
                _ => self.said.nominates = true,
            }
        }
    }

    fn status_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let rest = line.strip_prefix(b"HTTP/1.").ok_or(BAD_LINE)?;
        let (version, rest) = rest.split_first().ok_or(BAD_LINE)?;
        self.said = AnswerSaid::default();
        self.said.is_http_1_0 = match version {
            b'0' => true,
            b'1' => false,
            _ => return Err(BAD_LINE),
        };
        let [b' ', hundreds @ b'1'..=b'9', tens, ones, reason @ ..] = rest else { return Err(BAD_LINE) };
        let is_reason = reason.is_empty() || reason[0] == b' ' && bytes::all(reason, bytes::VALUE);
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() || !is_reason {
            return Err(BAD_LINE);
        }
        let digit = |byte: &u8| u16::from(byte - b'0');
        self.status = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
        Ok(())
    }
}

impl Head for AnswerHead {
    fn begin(&mut self, _first: u8) -> Result<(), Fault> {
        if self.awaited { Ok(()) } else { Err(UNASKED) }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if self.status == 0 {
            return self.status_line(line);
        }
        if matches!(line[0], b' ' | b'\t') {
            return Err(FOLDED);
        }
        self.fields += 1;
        let (name, value) = bytes::field(line).filter(|_| self.fields <= FIELDS_MAX).ok_or(BAD_FIELD)?;
        if name.len() == 10 && name.eq_ignore_ascii_case(b"connection") {
            self.connection(value);
            return Ok(());
        }
        self.framing.field(name, value)
    }

    fn has_begun(&self) -> bool {
        self.status != 0
    }

    fn end(&mut self) -> Result<Body, Fault> {
        let (status, is_http_1_0) = (std::mem::take(&mut self.status), self.said.is_http_1_0);
        let framing = std::mem::take(&mut self.framing);
        self.said.is_chunked = framing.is_chunked();
        self.fields = 0;
        if (100..200).contains(&status) && status != 101 {
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(INTERIM);
            }
            // None may have a body (RFC 9110, 15.2); what says two things of it is no better for that.
            framing.settle(is_http_1_0)?;
            return Ok(Body::Bytes { length: 0, switch: false });
        }
        self.awaited = false;
        if status == 101 {
            return Ok(Body::UntilClose);
        }
        let length = framing.settle(is_http_1_0)?;
        if self.bodiless || matches!(status, 204 | 304) {
            return Ok(Body::Bytes { length: 0, switch: false });
        }
        Ok(match length {
            Length::Unsaid => Body::UntilClose,
            Length::Bytes(length) => Body::Bytes { length, switch: false },
            Length::Chunked => Body::Chunked { switch: false },
        })
    }

    fn too_long(&self, _limits: Limits) -> Fault {
        LONG_HEAD
    }
}
