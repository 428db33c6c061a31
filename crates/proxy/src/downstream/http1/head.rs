//! A request's head, made of its text.

use bytes::Bytes;
use http::{Method, Uri, Version};

use crate::fields::FieldLines;
use crate::request::Request;
use crate::strict::{BAD_TARGET, Fault};

/// Makes a head of its text, which has been judged.
///
/// # Errors
/// When the target is one that no URI can be.
pub(crate) fn parse(mut text: Bytes, is_http_1_0: bool) -> Result<Request, Fault> {
    // Empty lines may stand before it.
    let _ = text.split_to(text.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or_default());
    let line_end = memchr::memchr(b'\n', &text).map_or(text.len(), |end| end + 1);
    let fields = FieldLines::new(text.slice(line_end..));
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\r'));
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let method = Method::from_bytes(method).map_err(|_| BAD_TARGET)?;
    let version = if is_http_1_0 { Version::HTTP_10 } else { Version::HTTP_11 };
    match server_of(&method, target) {
        // RFC 9112, 3.2.4: the last proxy asks about the server as a whole.
        Some(host) => {
            Ok(Request { fields: fields.with("host", host), method, uri: Uri::from_static("*"), version })
        }
        None => {
            let uri = Uri::from_maybe_shared(text.slice_ref(target)).map_err(|_| BAD_TARGET)?;
            Ok(Request { method, uri, version, fields })
        }
    }
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

    fn read(text: &'static str) -> Request {
        parse(Bytes::from_static(text.as_bytes()), false).unwrap()
    }

    #[test]
    fn a_head_is_what_its_text_says() {
        let head = read("\r\nPUT /a?b HTTP/1.1\r\nHost: a\r\nX-A:1\r\nx-a: \t2 \r\n\r\n");
        assert_eq!((head.method, head.uri.to_string()), (Method::PUT, "/a?b".to_owned()));
        assert_eq!(head.fields.get_all("x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.fields.get("host"), Some(&b"a"[..]));
    }

    #[test]
    fn options_of_a_server_has_an_asterisk() {
        let asked = |text| {
            let head = read(text);
            let hosts: Vec<_> = head.fields.get_all("host").map(<[u8]>::escape_ascii).collect();
            assert_eq!(hosts.len(), 1);
            (head.uri.to_string(), hosts[0].to_string())
        };
        let (own, other) = ("a".to_owned(), "b.test:81".to_owned());
        assert_eq!(asked("OPTIONS http://b.test:81 HTTP/1.1\r\nHost: a\r\n\r\n"), ("*".into(), other));
        assert_eq!(asked("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), ("*".into(), own.clone()));
        assert_eq!(asked("OPTIONS http://b.test/ HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/");
        assert_eq!(asked("OPTIONS http://b.test?a HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/?a");
        assert_eq!(asked("GET http://b.test HTTP/1.1\r\nHost: a\r\n\r\n").0, "http://b.test/");
    }
}
