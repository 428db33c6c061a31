//! What may pass: hop-by-hop fields go, forwarding fields come, the rest is kept.

use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, MAX_FORWARDS, UPGRADE, VIA,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::lines::put_field;
use crate::refusal::Refusal;

mod answer;

pub(crate) use answer::{Fields, answer, interim};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most requests' fields fit, ours included.
const LINES_BYTES_EXPECTED: usize = 1_024;
/// A client's own request id is kept up to this length; longer ones are noise in logs.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What forwarding a request needs besides its headers.
pub(crate) struct Hop<'a> {
    pub(crate) client: &'a HeaderValue,
    /// The client as `Forwarded` names it: `for=` and its address.
    pub(crate) forwarded_for: &'a str,
    /// Whether what the client says of those before it is believed.
    pub(crate) is_trusted: bool,
    /// By which the client asked: `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Stands in for the `Host` that HTTP/1.0 clients need not send.
    pub(crate) own_host: &'a HeaderValue,
    pub(crate) new_request_id: HeaderValue,
}

/// A request's head, ready for a worker.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// The fields' lines, each with its end.
    pub(crate) fields: Vec<u8>,
    /// How long the body is, as the fields say.
    pub(crate) framing: Framing,
    /// The protocol that the client wants to change to.
    pub(crate) upgrade: Option<HeaderValue>,
    pub(crate) request_id: HeaderValue,
}

/// What a head says of its body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing: there is none, unless the client came by HTTP/2.
    Unsaid,
    Length,
    Chunked,
}

impl Head {
    /// A `GET` that no client asked for.
    pub(crate) fn of_our_own(uri: Uri, fields: &[(&str, &str)]) -> Self {
        let mut lines = Lines(Vec::new());
        fields.iter().for_each(|(name, value)| lines.put(name, value.as_bytes()));
        let request_id = HeaderValue::from_static("");
        Self {
            method: Method::GET,
            uri,
            fields: lines.0,
            framing: Framing::Unsaid,
            upgrade: None,
            request_id,
        }
    }

    /// Whether sending it twice does no more than sending it once (RFC 9110, 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        self.upgrade.is_none() && self.method.is_idempotent()
    }
}

/// Makes the head that a worker sees of the one that a client sent.
pub(crate) fn forward(parts: http::request::Parts, hop: Hop<'_>) -> Result<Head, Refusal> {
    let http::request::Parts { method, uri, version, headers, .. } = parts;
    if method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "connect", "CONNECT is for forward proxies"));
    }
    let host = host_of(&uri, version, &headers)?;
    let host = host.as_ref().unwrap_or(hop.own_host);
    let uri = origin_form(&method, uri)?;
    let upgrade = wanted_upgrade(version, &headers);
    let hops_left = last_hop(&method, &headers)?;
    let nominated = nominated(&headers);
    let mut lines = Lines(Vec::with_capacity(LINES_BYTES_EXPECTED));
    lines.put("host", host.as_bytes());
    let Carried { framing, takes_trailers, has_proto, has_host, own_id } =
        carry_over(&mut lines, &headers, &nominated, &hop, hops_left.is_some());
    if let Some(hops) = hops_left {
        lines.put("max-forwards", hops.to_string().as_bytes());
    }
    if framing == Framing::Chunked {
        lines.put("transfer-encoding", b"chunked");
    }
    if let Some(protocol) = &upgrade {
        lines.put("connection", b"upgrade");
        lines.put("upgrade", protocol.as_bytes());
    } else if takes_trailers {
        lines.put("connection", b"te");
        lines.put("te", b"trailers");
    }
    let earlier = |name: HeaderName, is_believed: bool| {
        (is_believed && !nominated.contains(&name)).then(|| headers.get_all(name)).into_iter().flatten()
    };
    lines.put_list("x-forwarded-for", earlier(X_FORWARDED_FOR, true), &[hop.client.as_bytes()]);
    if !has_proto {
        lines.put("x-forwarded-proto", hop.scheme.as_bytes());
    }
    if !has_host {
        lines.put("x-forwarded-host", host.as_bytes());
    }
    // A host may hold what is special here, so it is always quoted; it never holds a quote.
    let (who, scheme) = (hop.forwarded_for.as_bytes(), hop.scheme.as_bytes());
    let element = [who, b";host=\"", host.as_bytes(), b"\";proto=", scheme];
    lines.put_list("forwarded", earlier(FORWARDED, hop.is_trusted), &element);
    let received_by: &[u8] = match version {
        Version::HTTP_2 => b"2.0 autoscale",
        Version::HTTP_10 => b"1.0 autoscale",
        _ => b"1.1 autoscale",
    };
    lines.put_list("via", earlier(VIA, true), &[received_by]);
    let request_id = own_id.cloned().unwrap_or(hop.new_request_id);
    lines.put("x-request-id", request_id.as_bytes());
    Ok(Head { method, uri, fields: lines.0, framing, upgrade, request_id })
}

/// What was seen of a client's fields while they were carried over.
struct Carried<'a> {
    framing: Framing,
    takes_trailers: bool,
    has_proto: bool,
    has_host: bool,
    own_id: Option<&'a HeaderValue>,
}

/// Writes the fields that pass as they came.
fn carry_over<'a>(
    lines: &mut Lines,
    headers: &'a HeaderMap,
    nominated: &[HeaderName],
    hop: &Hop<'_>,
    counts_hops: bool,
) -> Carried<'a> {
    let mut seen = Carried {
        framing: Framing::Unsaid,
        takes_trailers: false,
        has_proto: false,
        has_host: false,
        own_id: None,
    };
    for (name, value) in headers {
        // Framing is ours to say, whatever `Connection` says of it.
        match name.as_str() {
            "transfer-encoding" => seen.framing = Framing::Chunked,
            "te" => {
                seen.takes_trailers |= tokens(value).any(|coding| coding.eq_ignore_ascii_case("trailers"));
            }
            _ => {}
        }
        if nominated.contains(name) {
            continue;
        }
        match name.as_str() {
            // The server side has already said `100 Continue`, or will when the body is first read.
            "expect" => continue,
            // Written by us.
            "host" | "via" | "x-forwarded-for" | "forwarded" => continue,
            "max-forwards" if counts_hops => continue,
            name if is_hop_by_hop(name.as_bytes()) => continue,
            "content-length" if seen.framing == Framing::Unsaid => seen.framing = Framing::Length,
            "x-forwarded-proto" if hop.is_trusted => seen.has_proto = true,
            "x-forwarded-host" if hop.is_trusted => seen.has_host = true,
            "x-forwarded-proto" | "x-forwarded-host" => continue,
            "x-request-id" => {
                seen.own_id = seen.own_id.or_else(|| Some(value).filter(|id| is_request_id(id)));
                continue;
            }
            _ => {}
        }
        lines.put(name.as_str(), value.as_bytes());
    }
    seen
}

/// Fields as they are written.
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn put(&mut self, name: &str, value: &[u8]) {
        put_field(&mut self.0, name, value);
    }

    /// One line of all values that came and one of ours, which is given in pieces.
    fn put_list<'a>(&mut self, name: &str, earlier: impl Iterator<Item = &'a HeaderValue>, last: &[&[u8]]) {
        self.add(name.as_bytes());
        self.add(b": ");
        for value in earlier {
            self.add(value.as_bytes());
            self.add(b", ");
        }
        last.iter().for_each(|piece| self.add(piece));
        self.add(b"\r\n");
    }
}

/// Whether a field concerns one connection (RFC 9110, 7.6.1). Most are known by their length not to.
fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 => is("te"),
        // No field's name (RFC 9112, 9.6): one that is called so may be taken for the option.
        5 => is("close"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        25 => is("proxy-authentication-info"),
        _ => false,
    }
}

/// The fields that `Connection` names as such, besides those that always are. Naming the host or
/// the length would change what the message is and whom it is for.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).iter().flat_map(tokens);
    let is_usual = |option: &&str| {
        ["keep-alive", "close", "upgrade"].iter().any(|usual| usual.eq_ignore_ascii_case(option))
    };
    options
        .filter(|option| !is_usual(option))
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect()
}

/// RFC 9110, 7.6.2: counts hops down, and answers in place of whoever is beyond the last.
fn last_hop(method: &Method, headers: &HeaderMap) -> Result<Option<u32>, Refusal> {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Ok(None);
    }
    let Some(left) = headers.get(MAX_FORWARDS).and_then(|hops| hops.to_str().ok()?.parse::<u32>().ok())
    else {
        return Ok(None);
    };
    let Some(fewer) = left.checked_sub(1) else {
        let text = "no further hop is allowed, and this one has no more to say";
        return Err(if *method == Method::OPTIONS {
            Refusal::new(StatusCode::OK, "last_hop", text)
        } else {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "last_hop", text)
        });
    };
    Ok(Some(fewer))
}

fn is_request_id(id: &HeaderValue) -> bool {
    id.to_str().is_ok_and(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX)
}

/// The host that the request is for: an absolute URI's, else the one `Host` field's.
fn host_of(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::bad_request("several_hosts", "more than one Host field"));
    }
    if host.is_none() && version >= Version::HTTP_11 {
        return Err(Refusal::bad_request("no_host", "HTTP/1.1 wants a Host field"));
    }
    let Some(authority) = uri.authority() else { return Ok(host.cloned()) };
    HeaderValue::from_str(authority.as_str()).map(Some).map_err(|_| bad_target())
}

/// The target as a worker expects it: a path and a query, or `*`.
fn origin_form(method: &Method, uri: Uri) -> Result<Uri, Refusal> {
    let absolute = uri.scheme().is_some();
    let path = uri.into_parts().path_and_query;
    match path {
        Some(path) if path.as_str().starts_with('/') => Ok(Uri::from(path)),
        Some(path) if path == "*" && *method == Method::OPTIONS => Ok(Uri::from(path)),
        // An absolute URI may have a query and no path; shown, it has one.
        Some(path) if absolute && path.as_str().starts_with('?') => {
            PathAndQuery::try_from(path.to_string()).map(Uri::from).map_err(|_| bad_target())
        }
        None if absolute => Ok(Uri::from(PathAndQuery::from_static("/"))),
        _ => Err(bad_target()),
    }
}

fn bad_target() -> Refusal {
    Refusal::bad_request("bad_target", "the request's target is neither a path nor an absolute URI")
}

/// The protocol of a valid wish to change it. `h2c` is not passed on: its upgrade would carry
/// requests past this proxy unseen.
fn wanted_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    let wanted = version == Version::HTTP_11
        && headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| tokens(value).any(|t| t.eq_ignore_ascii_case("upgrade")));
    let is_h2c = tokens(protocol).any(|token| token.eq_ignore_ascii_case("h2c"));
    (wanted && !is_h2c).then(|| protocol.clone())
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: http::request::Builder) -> Result<Head, Refusal> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let client = HeaderValue::from_static("10.0.0.9");
        let own_host = HeaderValue::from_static("127.0.0.1:8000");
        forward(
            parts,
            Hop {
                client: &client,
                forwarded_for: "for=10.0.0.9",
                is_trusted: false,
                scheme: "http",
                own_host: &own_host,
                new_request_id: HeaderValue::from_static("new"),
            },
        )
    }

    fn get(target: &str) -> http::request::Builder {
        http::Request::builder().uri(target).header("host", "shop.test")
    }

    /// A field's value, which must be there once.
    fn value(head: &Head, name: &str) -> Option<String> {
        let text = std::str::from_utf8(&head.fields).unwrap();
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let found = values.next().map(str::to_owned);
        assert_eq!(values.next(), None, "{name} is there twice");
        found
    }

    /// Whether a field's value is this.
    fn says(head: &Head, name: &str, expected: &str) -> bool {
        value(head, name).as_deref() == Some(expected)
    }

    #[test]
    fn fields_of_one_connection_go_and_forwarding_fields_come() {
        let request = get("/a?b=c")
            .header("connection", "keep-alive, X-Secret, host")
            .header("keep-alive", "timeout=5")
            .header("x-secret", "1")
            .header("te", "trailers")
            .header("proxy-authorization", "x")
            .header("x-forwarded-for", "1.1.1.1")
            .header("x-forwarded-for", "2.2.2.2")
            .header("x-forwarded-host", "forged.test")
            .header("accept", "*/*");
        let head = head(request).unwrap();
        for gone in ["keep-alive", "x-secret", "proxy-authorization"] {
            assert_eq!(value(&head, gone), None, "{gone}");
        }
        assert!(says(&head, "host", "shop.test"), "cannot be named away");
        assert!(says(&head, "accept", "*/*"));
        assert!(says(&head, "x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.9"));
        assert!(says(&head, "x-forwarded-host", "shop.test"));
        assert!(says(&head, "x-forwarded-proto", "http"));
        assert!(says(&head, "x-request-id", "new"));
        assert!(says(&head, "forwarded", "for=10.0.0.9;host=\"shop.test\";proto=http"));
        assert!(says(&head, "te", "trailers") && says(&head, "connection", "te"));
        assert!(says(&head, "via", "1.1 autoscale"));
    }

    #[test]
    fn hops_are_counted_down() {
        let hops = |method: &str, hops: &str| head(get("/").method(method).header("max-forwards", hops));
        assert!(says(&hops("TRACE", "2").unwrap(), "max-forwards", "1"));
        assert_eq!(hops("TRACE", "0").unwrap_err().status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(hops("OPTIONS", "0").unwrap_err().status, StatusCode::OK);
        assert!(says(&hops("GET", "0").unwrap(), "max-forwards", "0"));
    }

    #[test]
    fn request_id_of_the_client_is_kept_unless_absurd() {
        let id = |id: &str| head(get("/").header("x-request-id", id)).unwrap().request_id;
        assert_eq!(id("abc"), "abc");
        assert_eq!(id(&"a".repeat(129)), "new");
    }

    #[test]
    fn target_becomes_a_path_and_its_host_counts() {
        let absolute = head(get("http://other.test:81/x?y")).unwrap();
        assert_eq!(absolute.uri, "/x?y");
        assert!(says(&absolute, "host", "other.test:81"));
        assert_eq!(head(get("http://other.test")).unwrap().uri, "/");
        assert_eq!(head(get("*").method("OPTIONS")).unwrap().uri, "*");
        assert_eq!(head(get("*")).unwrap_err().code, "bad_target");
        assert_eq!(head(get("a.test:80").method("CONNECT")).unwrap_err().status, StatusCode::NOT_IMPLEMENTED);
    }

    #[test]
    fn host_is_one_and_only_http_1_0_may_leave_it_out() {
        assert_eq!(head(get("/").header("host", "b.test")).unwrap_err().code, "several_hosts");
        let bare = || http::Request::builder().uri("/");
        assert_eq!(head(bare()).unwrap_err().code, "no_host");
        let old = head(bare().version(Version::HTTP_10)).unwrap();
        assert!(says(&old, "host", "127.0.0.1:8000"));
    }

    #[test]
    fn upgrade_passes_unless_it_is_h2c_or_not_meant() {
        let with = |connection: &str, protocol: &str| {
            head(get("/").header("connection", connection).header("upgrade", protocol)).unwrap()
        };
        let websocket = with("keep-alive, Upgrade", "websocket");
        assert!(says(&websocket, "upgrade", "websocket"));
        assert!(says(&websocket, "connection", "upgrade"));
        assert!(!websocket.is_idempotent());
        for (connection, protocol) in [("close", "websocket"), ("Upgrade", "h2c")] {
            let plain = with(connection, protocol);
            assert_eq!((plain.upgrade.clone(), value(&plain, "upgrade")), (None, None));
        }
    }
}
