//! How HTTP/1 is written: fields as lines, and the lines between chunks.

use http::HeaderMap;

/// Of the longest `u64`.
const DIGITS_MAX: usize = 20;

/// Writes a field.
pub(crate) fn put_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Writes all fields.
pub(crate) fn put_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    fields.iter().for_each(|(name, value)| put_field(out, name.as_str(), value.as_bytes()));
}

/// Writes a chunk (RFC 9112, 7.1). There must be something in it: an empty one ends the body.
pub(crate) fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    put_number(out, u64::try_from(data.len()).unwrap_or(u64::MAX), 16);
    for part in [b"\r\n", data, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Writes the end of a chunked body.
pub(crate) fn put_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    trailers.into_iter().for_each(|trailers| put_fields(out, trailers));
    out.extend_from_slice(b"\r\n");
}

/// Writes digits; formatting by way of `Display` costs several times as much.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u64, base: u64) {
    let mut digits = [0; DIGITS_MAX];
    let (mut at, mut rest) = (digits.len(), number);
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b"0123456789abcdef"[usize::try_from(rest % base).unwrap_or_default()];
        rest /= base;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_either_base() {
        let number = |number, base| {
            let mut out = Vec::new();
            put_number(&mut out, number, base);
            String::from_utf8(out).unwrap()
        };
        assert_eq!((number(0, 10), number(u64::MAX, 10)), ("0".into(), u64::MAX.to_string()));
        assert_eq!((number(255, 16), number(u64::MAX, 16)), ("ff".into(), "f".repeat(16)));
    }

    #[test]
    fn chunks_have_sizes() {
        let mut out = Vec::new();
        put_chunk(&mut out, &[b'x'; 17]);
        put_last_chunk(
            &mut out,
            Some(&HeaderMap::from_iter(
                [("a".parse().ok(), "b".parse().unwrap())].map(
                    |(name, value): (Option<http::HeaderName>, http::HeaderValue)| (name.unwrap(), value),
                ),
            )),
        );
        assert_eq!(out, [&b"11\r\n"[..], &[b'x'; 17], b"\r\n0\r\na: b\r\n\r\n"].concat());
    }
}
