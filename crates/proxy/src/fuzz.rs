//! Fuzz targets of what is read besides messages: fields, cookies, networks, matchers.

use std::net::IpAddr;

use http::header::{CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, VIA};
use http::{HeaderMap, Request, Uri};

use crate::edits::fuzz;
use crate::fields::FieldLines;
use crate::forward::stickiness;
use crate::headers::{self, Hop};
use crate::proxy_header::{self, Told};
use crate::{Matcher, Network};

/// What lists of fields are made of.
const WORDS: &[&[u8]] = &[
    b"\n",
    b",",
    b";",
    b"=",
    b"\"",
    b" ",
    b"x-forwarded-for: ",
    b"forwarded: for=",
    b"connection: ",
    b"x-forwarded-for",
    b"host",
    b"te: trailers\n",
    b"upgrade: websocket\n",
    b"cookie: autoscale_worker=w1.1\n",
    b"w1.1",
    b"4294967296",
    b"/32",
    b"/129",
    b"::",
    b"200-299",
    b"-",
    b"\xff",
];

/// A request's target in the first line, its fields in the others.
const HEADS: &[&[u8]] = &[
    b"/a?b\nhost: a\nx-forwarded-for: 1.1.1.1, 2.2.2.2\nconnection: x-a, close\nx-a: 1",
    b"http://b.test/\nhost: a\nforwarded: for=1.1.1.1;host=\"x\";proto=http, for=\"[::1]\"\nvia: 1.0 x",
    b"/\nhost: a\nconnection: upgrade\nupgrade: websocket\nx-request-id: abc\nte: trailers, gzip",
    b"/\nhost: [::1]:80\nx-forwarded-host: evil\nx-forwarded-proto: https\nmax-forwards: 3\nkeep-alive: 5",
    b"/\nhost: a\ncookie: a=b; autoscale_worker=w3.7; c=d\nproxy-connection: close\nexpect: 100-continue",
];

fn head(text: &[u8]) -> Request<()> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let uri = lines.next().and_then(|line| Uri::try_from(line).ok()).unwrap_or_default();
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let field = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let Some((name, value)) = field {
            request.headers_mut().append(name, value);
        }
    }
    request
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    let all: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    assert_eq!(all.len(), 1, "{name}: {headers:?}");
    all[0].as_bytes()
}

/// The fields of lines.
fn fields(lines: &[u8]) -> HeaderMap {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').expect("each line has a name");
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        (HeaderName::from_bytes(&line[..colon]).unwrap(), value.unwrap())
    };
    let mut map = HeaderMap::new();
    lines.map(field).for_each(|(name, value)| _ = map.append(name, value));
    map
}

/// Whatever a client says, a worker learns who asked, once, and nothing meant for another hop.
fn check_forward(text: &[u8], is_trusted: bool) {
    let (parts, ()) = head(text).into_parts();
    let before = parts.headers.clone();
    let (client, own_host) = (HeaderValue::from_static("10.0.0.9"), HeaderValue::from_static("self:80"));
    let hop = Hop {
        client: &client,
        forwarded_for: "for=10.0.0.9",
        is_trusted,
        scheme: "http",
        own_host: &own_host,
        new_request_id: HeaderValue::from_static("new"),
    };
    let Ok(head) = headers::forward(parts.into(), hop) else { return };
    let after = &fields(&head.fields);
    assert!(one(after, "x-forwarded-for").ends_with(b"10.0.0.9"));
    assert!(one(after, VIA.as_str()).ends_with(b"autoscale"));
    let forwarded = one(after, FORWARDED.as_str());
    let element = b"for=10.0.0.9;host=\"";
    let is_there = forwarded.windows(element.len()).any(|window| window == element);
    assert!(is_there && (is_trusted || forwarded.starts_with(element)));
    if !is_trusted {
        assert_eq!(one(after, "x-forwarded-host"), one(after, HOST.as_str()));
        assert_eq!(one(after, "x-forwarded-proto"), b"http");
    }
    one(after, "x-request-id");
    let ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
    let kept = ["forwarded", "via", "te", "upgrade", "connection", "transfer-encoding"];
    let named = before.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|list| list.split(',')).map(str::trim) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let may_stay = name == HOST || name == CONTENT_LENGTH;
        let is_ours = ours.contains(&name.as_str()) || kept.contains(&name.as_str());
        assert!(may_stay || is_ours || !after.contains_key(&name), "{name} went further");
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings", "expect"] {
        assert!(!after.contains_key(name), "{name} went further");
    }
}

#[test]
fn fields_are_forwarded_as_promised() {
    fuzz("fields", HEADS, WORDS, |text, knob| check_forward(text, knob.is_multiple_of(2)));
}

#[test]
fn cookies_name_a_worker_or_none() {
    let examples: &[&[u8]] = &[
        b"/\ncookie: autoscale_worker=w1.1",
        b"/\ncookie: a=b; autoscale_worker=w12.345;c=d\ncookie: autoscale_worker=w2.2",
        b"/\ncookie: autoscale_worker=; autoscale_worker=w1.1; ; =",
    ];
    fuzz("cookies", examples, WORDS, |text, _| {
        if let Some(id) = stickiness::named(&FieldLines::of(head(text).headers())) {
            assert_eq!(format!("w{}.{}", id.slot, id.run).parse(), Ok(id));
        }
    });
}

#[test]
fn networks_and_matchers_are_read_or_refused() {
    let examples: &[&[u8]] = &[
        b"10.0.0.0/8",
        b"fd00::/8",
        b"::ffff:1.2.3.4/120",
        b"127.0.0.1",
        b"0.0.0.0/0",
        b"200",
        b"200-299,302",
        b"100-599, 404",
    ];
    fuzz("networks and matchers", examples, WORDS, |text, knob| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let address =
            IpAddr::from(u128::try_from(knob).unwrap_or_default().wrapping_mul(0x9e37).to_be_bytes());
        if let Ok(network) = text.parse::<Network>() {
            let first = text.split('/').next().and_then(|first| first.parse().ok()).unwrap_or(address);
            assert!(network.contains(first), "{text} is without {first}");
            let _ = network.contains(address);
        }
        if let Ok(matcher) = text.parse::<Matcher>() {
            assert!(!matcher.to_string().is_empty());
        }
    });
}

/// A header is awaited to its last byte, and then nothing behind it changes what it says.
#[test]
fn proxy_headers_are_whole_or_awaited() {
    let examples: &[&[u8]] = &[
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n",
        b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbbGET / HTTP/1.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2400000000000000000000000000000000\0\x01\0\x02",
    ];
    fuzz("PROXY headers", examples, WORDS, |bytes, knob| {
        let Ok(Some(Told { client, length })) = proxy_header::read(bytes) else { return };
        assert!(length <= bytes.len().min(proxy_header::BYTES_MAX));
        assert_eq!(proxy_header::read(&bytes[..length]), Ok(Some(Told { client, length })));
        assert_eq!(proxy_header::read(&bytes[..knob % length]), Ok(None));
    });
}
