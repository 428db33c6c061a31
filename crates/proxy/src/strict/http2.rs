//! A request that came by HTTP/2, judged before it is sent on as HTTP/1.1 (RFC 9113, 8.2–8.3).
//!
//! HTTP/2 frames a message by itself, so a field that HTTP/1.1 would take for framing, or a byte
//! that would end a line there, smuggles a request past whoever only translates. The frame layer
//! refuses most of this; here all of it is, whatever stands before.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Uri};

use super::length::{Framing, Length};
use super::request::{
    BAD_EXPECTATION, BAD_FIELD, BAD_HOST, FIELDS_MAX, LONG_METHOD, LONG_TARGET, MANY_FIELDS,
    METHOD_BYTES_MAX, NO_HOST, TARGET_BYTES_MAX, TWO_HOSTS,
};
use super::target::{self, BAD_TARGET, Form};
use super::{Fault, bytes};

/// RFC 9113, 8.2.2: fields of a connection, which HTTP/2 does not have.
const OF_CONNECTIONS: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

const CONNECTION_FIELD: Fault =
    Fault::bad("connection_field", "a field that concerns one HTTP/1 connection has no place in HTTP/2");
const HOSTS_DIFFER: Fault = Fault::bad("several_hosts", "the Host field is not what :authority says");
const BAD_LENGTH: Fault = Fault::bad("bad_content_length", "Content-Length is not the length of the body");

/// Judges a request and makes it one that HTTP/1.1 can say: one `Host`, one `Cookie`, and framing
/// where its body has no known length.
pub(crate) fn settle(parts: &mut Parts, has_body: bool) -> Result<(), Fault> {
    if parts.method.as_str().len() > METHOD_BYTES_MAX {
        return Err(LONG_METHOD);
    }
    if parts.method == Method::CONNECT {
        // Refused further on, in words of its own.
        return Ok(());
    }
    judge_target(&parts.method, &parts.uri)?;
    judge_fields(&parts.headers)?;
    let length = judge_length(&parts.headers, has_body)?;
    settle_host(&parts.uri, &mut parts.headers)?;
    join_cookies(&mut parts.headers);
    if has_body && length == Length::Unsaid {
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(())
}

fn judge_target(method: &Method, uri: &Uri) -> Result<(), Fault> {
    let is_web = uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > TARGET_BYTES_MAX {
        return Err(LONG_TARGET);
    }
    match target::form(method.as_str().as_bytes(), target.as_bytes())? {
        Form::Origin | Form::Asterisk if is_web => Ok(()),
        _ => Err(BAD_TARGET),
    }
}

fn judge_fields(headers: &HeaderMap) -> Result<(), Fault> {
    if u32::try_from(headers.len()).is_ok_and(|fields| fields > FIELDS_MAX) {
        return Err(MANY_FIELDS);
    }
    for (name, value) in headers {
        if OF_CONNECTIONS.contains(name) {
            return Err(CONNECTION_FIELD);
        }
        let value = value.as_bytes();
        // RFC 9113, 8.2.1: no white space around, no controls within.
        if !bytes::all(value, bytes::VALUE) || bytes::trim(value).len() != value.len() {
            return Err(BAD_FIELD);
        }
        if name == TE && !value.eq_ignore_ascii_case(b"trailers") {
            return Err(CONNECTION_FIELD);
        }
        if name == EXPECT && !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(BAD_EXPECTATION);
        }
    }
    Ok(())
}

fn judge_length(headers: &HeaderMap, has_body: bool) -> Result<Length, Fault> {
    let mut framing = Framing::default();
    for value in headers.get_all(CONTENT_LENGTH) {
        framing.field(CONTENT_LENGTH.as_str().as_bytes(), value.as_bytes())?;
    }
    let length = framing.settle(false)?;
    match length {
        // Frames say where a body ends; one that says it is longer would be read on from another.
        Length::Bytes(1..) if !has_body => Err(BAD_LENGTH),
        length => Ok(length),
    }
}

/// RFC 9113, 8.3.1: `:authority` takes the place of `Host`, and both say the same if both are there.
fn settle_host(uri: &Uri, headers: &mut HeaderMap) -> Result<(), Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(TWO_HOSTS);
    }
    if host.is_some_and(|host| !target::is_authority(host.as_bytes())) {
        return Err(BAD_HOST);
    }
    let Some(authority) = uri.authority() else { return host.map(drop).ok_or(NO_HOST) };
    let authority = authority.as_str();
    if !target::is_authority(authority.as_bytes()) {
        return Err(BAD_HOST);
    }
    if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())) {
        return Err(HOSTS_DIFFER);
    }
    let authority = HeaderValue::from_str(authority).map_err(|_| BAD_HOST)?;
    headers.insert(HOST, authority);
    Ok(())
}

/// RFC 9113, 8.2.3: HTTP/2 may split the one `Cookie` field.
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(COOKIE).iter();
    let Some(first) = pieces.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    let mut is_split = false;
    for piece in pieces {
        is_split = true;
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(piece.as_bytes());
    }
    if is_split && let Ok(cookie) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn settled(request: http::request::Builder, has_body: bool) -> Result<Parts, &'static str> {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        settle(&mut parts, has_body).map_err(|fault| fault.code)?;
        Ok(parts)
    }

    fn get() -> http::request::Builder {
        Request::builder().uri("https://shop.test/a?b=c")
    }

    #[test]
    fn host_is_what_the_authority_says() {
        assert_eq!(settled(get(), false).unwrap().headers[HOST], "shop.test");
        assert_eq!(settled(get().header("host", "SHOP.test"), false).unwrap().headers[HOST], "shop.test");
        assert_eq!(settled(get().header("host", "other.test"), false).unwrap_err(), "several_hosts");
        assert_eq!(
            settled(get().header("host", "shop.test").header("host", "shop.test"), false).unwrap_err(),
            "several_hosts"
        );
        let named = || {
            Request::builder().uri(
                Uri::builder().scheme("https").authority("u@a.test").path_and_query("/").build().unwrap(),
            )
        };
        assert_eq!(settled(named(), false).unwrap_err(), "bad_host");
    }

    #[test]
    fn fields_of_http_1_are_refused() {
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
        ] {
            assert_eq!(settled(get().header(name, value), true).unwrap_err(), "connection_field", "{name}");
        }
        assert!(settled(get().header("te", "trailers"), false).is_ok());
    }

    #[test]
    fn values_are_clean() {
        for value in [" a", "a ", "\ta", "a\t"] {
            assert_eq!(settled(get().header("x", value), false).unwrap_err(), "bad_field", "{value:?}");
        }
        assert!(settled(get().header("x", "a b").header("y", ""), false).is_ok());
        assert_eq!(settled(get().header("expect", "a"), false).unwrap_err(), "bad_expectation");
        let many = (0..=FIELDS_MAX).fold(get(), |request, n| request.header(format!("x-{n}"), "1"));
        assert_eq!(settled(many, false).unwrap_err(), "too_many_fields");
    }

    #[test]
    fn lengths_are_said_once_and_hold() {
        let post = |lengths: &[&str], has_body| {
            let request = lengths
                .iter()
                .fold(get().method("POST"), |request, length| request.header("content-length", *length));
            settled(request, has_body).map(|parts| parts.headers.contains_key(TRANSFER_ENCODING))
        };
        assert_eq!(post(&[], false), Ok(false));
        assert_eq!(post(&[], true), Ok(true), "its end is said by chunks");
        assert_eq!(post(&["5"], true), Ok(false));
        assert_eq!(post(&["0"], false), Ok(false));
        assert_eq!(post(&["5"], false), Err("bad_content_length"));
        assert_eq!(post(&["5", "5"], true), Err("several_content_lengths"));
        assert_eq!(post(&["5,5"], true), Err("several_content_lengths"));
        for bad in ["+5", "0x5", "", "5 5", "-1"] {
            assert_eq!(post(&[bad], true), Err("bad_content_length"), "{bad}");
        }
    }

    #[test]
    fn targets_are_paths_and_cookies_are_one() {
        let target = |path: &str| {
            let uri = Uri::builder().scheme("http").authority("a").path_and_query(path).build().unwrap();
            settled(Request::builder().uri(uri), false).map(drop)
        };
        assert_eq!(target("/a?b"), Ok(()));
        for bad in ["*", "/%zz", "/a\"b"] {
            assert_eq!(target(bad), Err("bad_target"), "{bad}");
        }
        let other = Request::builder().uri("ftp://a/");
        assert_eq!(settled(other, false).unwrap_err(), "bad_target");
        let parts = settled(get().header("cookie", "a=1").header("cookie", "b=2"), false).unwrap();
        assert_eq!(parts.headers[COOKIE], "a=1; b=2");
        assert_eq!(parts.headers.get_all(COOKIE).iter().count(), 1);
    }
}
