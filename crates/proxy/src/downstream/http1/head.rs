//! A request's head, made of its text.

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use crate::strict::{self, BAD_TARGET, Fault};

/// Makes a head of its text, which has been judged.
///
/// # Errors
/// When the target is one that no URI can be.
pub(crate) fn parse(mut text: Bytes, is_http_1_0: bool) -> Result<Parts, Fault> {
    // Empty lines may stand before it.
    let _ = text.split_to(text.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or_default());
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\r'));
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let bad_target = |_| BAD_TARGET;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(method).map_err(|_| BAD_TARGET)?;
    let line_end = memchr::memchr(b'\n', &text).map_or(text.len(), |end| end + 1);
    parts.headers = strict::fields(&text.slice(line_end..));
    parts.version = if is_http_1_0 { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.uri = match server_of(&parts.method, target) {
        // RFC 9112, 3.2.4: the last proxy asks about the server as a whole.
        Some(host) => {
            parts.headers.insert(HOST, HeaderValue::from_bytes(host).map_err(|_| BAD_TARGET)?);
            Uri::from_static("*")
        }
        None => Uri::from_maybe_shared(text.slice_ref(target)).map_err(bad_target)?,
    };
    Ok(parts)
}

/// The host that `OPTIONS` asks about if its target is a URI without a path.
fn server_of<'a>(method: &Method, target: &'a [u8]) -> Option<&'a [u8]> {
    if *method != Method::OPTIONS || matches!(target, [b'/' | b'*', ..]) {
        return None;
    }
    let colon = target.iter().position(|&byte| byte == b':')?;
    let host = target[colon..].strip_prefix(b"://")?;
    (!host.iter().any(|byte| matches!(byte, b'/' | b'?'))).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Parts {
        parse(Bytes::from_static(text.as_bytes()), false).unwrap()
    }

    #[test]
    fn a_head_is_what_its_text_says() {
        let head = read("\r\nPUT /a?b HTTP/1.1\r\nHost: a\r\nX-A:1\r\nx-a: \t2 \r\n\r\n");
        assert_eq!((head.method, head.uri.to_string()), (Method::PUT, "/a?b".to_owned()));
        assert_eq!(head.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.headers["host"], "a");
    }

    #[test]
    fn options_of_a_server_has_an_asterisk() {
        let asked = |text| {
            let head = read(text);
            (head.uri.to_string(), head.headers["host"].clone())
        };
        let own = HeaderValue::from_static("a");
        let other = HeaderValue::from_static("b.test:81");
        assert_eq!(asked("OPTIONS http://b.test:81 HTTP/1.1\r\nHost: a\r\n\r\n"), ("*".into(), other));
        assert_eq!(asked("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), ("*".into(), own.clone()));
        assert_eq!(asked("OPTIONS http://b.test/ HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/");
        assert_eq!(asked("OPTIONS http://b.test?a HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/?a");
        assert_eq!(asked("GET http://b.test HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/");
    }
}
