//! Too long, too many: what is bounded, and what is still below the bounds.

use super::case::{Case, either, filled, passed};

const LONG: &[u16] = &[431, 400, 414];

/// Fields of one byte each, between a request line with `Host` and the empty line.
const fn with_fields<const N: usize>() -> [u8; N] {
    filled(b"GET / HTTP/1.1\r\nHost: a\r\n", b"X:y\r\n", b"\r\n")
}

static FIELDS_100: [u8; 25 + 5 * 99 + 2] = with_fields();
static FIELDS_101: [u8; 25 + 5 * 100 + 2] = with_fields();
static TARGET_8000: [u8; 8_000] = filled(b"GET /", b"a", b" HTTP/1.1\r\nHost: a\r\n\r\n");
static TARGET_40000: [u8; 40_000] = filled(b"GET /", b"a", b" HTTP/1.1\r\nHost: a\r\n\r\n");
static TARGET_OPEN: [u8; 80_000] = filled(b"GET /", b"a", b"");
static METHOD_OPEN: [u8; 80_000] = filled(b"", b"A", b"");
static VALUE_7000: [u8; 7_000] = filled(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ", b"a", b"\r\n\r\n");
static VALUE_70000: [u8; 70_000] = filled(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ", b"a", b"\r\n\r\n");
static NAME_70000: [u8; 70_000] = filled(b"GET / HTTP/1.1\r\nHost: a\r\n", b"a", b": b\r\n\r\n");
static HEAD_OPEN: [u8; 80_000] = filled(b"GET / HTTP/1.1\r\nHost: a\r\n", b"Xx: yyyyy\r\n", b"");
static EXTENSION: [u8; 6_000] = filled(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    b"a",
    b"\r\nhello\r\n0\r\n\r\n",
);
static EXTENSIONS: [u8; 40_000] = filled(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"1;a\r\nx\r\n",
    b"0\r\n\r\n",
);
static TRAILERS: [u8; 20_000] = filled(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    b"X-A: bcd\r\n",
    b"\r\n\r\n",
);
static EMPTY_LINES: [u8; 2_000] = filled(b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");

/// Where to draw these lines is left to each recipient (RFC 9110, 15.5.15; RFC 6585, 5).
const fn limited(rfc: &'static str, name: &'static str, send: &'static [u8]) -> Case {
    either(rfc, name, LONG, send)
}

pub(crate) static CASES: &[Case] = &[
    passed("9110 5.4", "a hundred fields", 1, &FIELDS_100, &["host: a\r\n"], &[]),
    limited("6585 5", "a hundred and one fields", &FIELDS_101),
    passed("9112 3", "a target of 8,000 bytes", 1, &TARGET_8000, &["GET /aaaa"], &[]),
    limited("9112 3", "a target of 40,000 bytes", &TARGET_40000),
    limited("9112 3", "a target without an end", &TARGET_OPEN),
    limited("9110 9.1", "a method without an end", &METHOD_OPEN),
    passed("9110 5.4", "a value of 7,000 bytes", 1, &VALUE_7000, &["x-a: aaaa"], &[]),
    limited("6585 5", "a value of 70,000 bytes", &VALUE_70000),
    limited("6585 5", "a name of 70,000 bytes", &NAME_70000),
    limited("6585 5", "a head without an end", &HEAD_OPEN),
    limited("9112 7.1.1", "an extension of 6,000 bytes", &EXTENSION),
    limited("9112 7.1.1", "extensions on 4,000 chunks", &EXTENSIONS),
    limited("9112 7.1.2", "trailers of 20,000 bytes", &TRAILERS),
    limited("9112 2.2", "a thousand empty lines", &EMPTY_LINES),
];
