//! A request's head, line by line (RFC 9112, 2–3 and 5–6).

use http::StatusCode;

use super::framer::{Body, Head, Limits};
use super::length::{Framing, Length};
use super::target;
use super::{Fault, bytes};

/// Longer methods are nobody's (RFC 9110, 9.1: 501).
pub(super) const METHOD_BYTES_MAX: usize = 32;
/// Twice what browsers and servers agree on; and a target is copied into shorter types than a head.
pub(super) const TARGET_BYTES_MAX: usize = 32 * 1024;
/// Empty lines before a request line that are skipped: old clients send one after a body.
const EMPTY_LINES_MAX: u32 = 2;
/// More than anybody sends who does not want to exhaust a parser; what Apache allows.
pub(super) const FIELDS_MAX: u32 = 100;

/// What a request's head has said so far.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    empty_lines: u32,
    has_line: bool,
    said: Said,
    fields: u32,
    hosts: u32,
    framing: Framing,
    upgrade: bool,
    connection_upgrade: bool,
}

/// What a head says of how it is to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) is_http_1_0: bool,
    /// Its answer has no body.
    pub(crate) is_head: bool,
    /// The client sends nothing more on this connection.
    pub(crate) closes: bool,
    /// The client may send more, though it speaks HTTP/1.0.
    pub(crate) keeps_alive: bool,
    /// The client waits with its body until it hears `100 Continue`.
    pub(crate) awaits_continue: bool,
    /// The client wants to see trailers.
    pub(crate) takes_trailers: bool,
}

impl Said {
    /// Whether another request may come on the connection (RFC 9112, 9.3).
    pub(crate) fn may_go_on(self) -> bool {
        !self.closes && (!self.is_http_1_0 || self.keeps_alive)
    }
}

const BAD_LINE: Fault = Fault::bad(
    "bad_request_line",
    "the request line is not a method, a target and a version, one space apart",
);
const BAD_VERSION: Fault = Fault::new(
    StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    "bad_version",
    "only HTTP/1.0 and HTTP/1.1 are spoken here",
);
pub(super) const LONG_METHOD: Fault =
    Fault::new(StatusCode::NOT_IMPLEMENTED, "unknown_method", "no method is that long");
pub(super) const LONG_TARGET: Fault =
    Fault::new(StatusCode::URI_TOO_LONG, "target_too_long", "the request's target is too long");
const LONG_HEAD: Fault = Fault::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_long",
    "the request's head is too long",
);
pub(super) const MANY_FIELDS: Fault = Fault::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "too_many_fields",
    "the request's head has too many fields",
);
pub(super) const FOLDED: Fault =
    Fault::bad("folded_field", "a header line begins with white space: folding is obsolete");
pub(super) const BAD_FIELD: Fault =
    Fault::bad("bad_field", "a header line is not a name, a colon and a value");
pub(super) const NO_HOST: Fault = Fault::bad("no_host", "HTTP/1.1 wants a Host field");
pub(super) const TWO_HOSTS: Fault = Fault::bad("several_hosts", "more than one Host field");
pub(super) const BAD_HOST: Fault =
    Fault::bad("bad_host", "the Host field is not a host with or without a port");
pub(super) const BAD_EXPECTATION: Fault = Fault::new(
    StatusCode::EXPECTATION_FAILED,
    "bad_expectation",
    "nothing can be expected but `100-continue`",
);

impl RequestHead {
    /// What the head under way or, between heads, the last one has said.
    pub(crate) fn said(&self) -> Said {
        self.said
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.is_empty() {
            self.empty_lines += 1;
            return if self.empty_lines > EMPTY_LINES_MAX { Err(BAD_LINE) } else { Ok(()) };
        }
        self.has_line = true;
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BAD_LINE);
        };
        if !bytes::is_token(method) {
            return Err(BAD_LINE);
        }
        self.said.is_http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(BAD_VERSION);
            }
            _ => return Err(BAD_LINE),
        };
        if method.len() > METHOD_BYTES_MAX {
            return Err(LONG_METHOD);
        }
        self.said.is_head = method == b"HEAD";
        if target.len() > TARGET_BYTES_MAX {
            return Err(LONG_TARGET);
        }
        target::form(method, target).map(|_| ())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        if matches!(line[0], b' ' | b'\t') {
            return Err(FOLDED);
        }
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(MANY_FIELDS);
        }
        let (name, value) = bytes::field(line).ok_or(BAD_FIELD)?;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            2 if name.eq_ignore_ascii_case(b"te") => {
                let mut codings = bytes::members(value);
                self.said.takes_trailers |= codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                Ok(())
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.said.awaits_continue = value.eq_ignore_ascii_case(b"100-continue");
                if self.said.awaits_continue { Ok(()) } else { Err(BAD_EXPECTATION) }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            // Who cannot read all of it does not see what is in it.
            10 if name.eq_ignore_ascii_case(b"connection") && !value.is_ascii() => Err(BAD_FIELD),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in bytes::members(value) {
                    self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                    self.said.closes |= option.eq_ignore_ascii_case(b"close");
                    self.said.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
                Ok(())
            }
            _ => self.framing.field(name, value),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(TWO_HOSTS);
        }
        if target::is_authority(value) { Ok(()) } else { Err(BAD_HOST) }
    }
}

impl Head for RequestHead {
    fn begin(&mut self, first: u8) -> Result<(), Fault> {
        self.said = Said::default();
        // What does not speak HTTP at all (TLS, mostly) need not be waited for.
        if first == b'\r' || bytes::is(first, bytes::TOKEN) { Ok(()) } else { Err(BAD_LINE) }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if self.has_line { self.field(line) } else { self.request_line(line) }
    }

    fn has_begun(&self) -> bool {
        self.has_line
    }

    fn end(&mut self) -> Result<Body, Fault> {
        if self.hosts == 0 && !self.said.is_http_1_0 {
            return Err(NO_HOST);
        }
        let length = self.framing.settle(self.said.is_http_1_0)?;
        let switch = self.upgrade && self.connection_upgrade && !self.said.is_http_1_0;
        *self = Self { said: self.said, ..Self::default() };
        Ok(match length {
            Length::Unsaid => Body::Bytes { length: 0, switch },
            Length::Bytes(length) => Body::Bytes { length, switch },
            Length::Chunked => Body::Chunked { switch },
        })
    }

    fn too_long(&self, limits: Limits) -> Fault {
        // Where the line has not even ended, it is the target that is too long.
        if self.has_line || limits.head_bytes < TARGET_BYTES_MAX { LONG_HEAD } else { LONG_TARGET }
    }
}
