//! What may pass: hop-by-hop fields go, forwarding fields come, the rest is kept.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, MAX_FORWARDS,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::refusal::Refusal;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that concern one connection (RFC 9110, 7.6.1), and what goes with an upgrade to h2c,
/// which is not passed on.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
];

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
    pub(crate) headers: HeaderMap,
    /// The protocol that the client wants to change to.
    pub(crate) upgrade: Option<HeaderValue>,
    pub(crate) request_id: HeaderValue,
}

impl Head {
    /// A `GET` that no client asked for.
    pub(crate) fn of_our_own(uri: Uri, headers: HeaderMap) -> Self {
        let request_id = HeaderValue::from_static("");
        Self { method: Method::GET, uri, headers, upgrade: None, request_id }
    }

    /// Whether sending it twice does no more than sending it once (RFC 9110, 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        self.upgrade.is_none() && self.method.is_idempotent()
    }
}

/// Makes the head that a worker sees of the one that a client sent.
pub(crate) fn forward(parts: http::request::Parts, hop: Hop<'_>) -> Result<Head, Refusal> {
    let http::request::Parts { method, uri, version, mut headers, .. } = parts;
    if method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "connect", "CONNECT is for forward proxies"));
    }
    let host = host_of(&uri, version, &headers)?.unwrap_or_else(|| hop.own_host.clone());
    let uri = origin_form(&method, uri)?;
    let upgrade = wanted_upgrade(version, &headers);
    last_hop(&method, &mut headers)?;
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let takes_trailers = wants_trailers(&headers);
    strip(&mut headers);
    // The server side has already said `100 Continue`, or will when the body is first read.
    headers.remove(EXPECT);
    if chunked {
        // A body of unknown length is dropped from methods that seldom have one, unless it is said.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Some(protocol) = &upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    } else if takes_trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    say_who_asked(&mut headers, &hop, &host);
    let received_by = match version {
        Version::HTTP_2 => "2.0 autoscale",
        Version::HTTP_10 => "1.0 autoscale",
        _ => "1.1 autoscale",
    };
    let via = append(&headers, &VIA, &HeaderValue::from_static(received_by));
    headers.insert(VIA, via);
    headers.insert(HOST, host);
    let own_id = headers.get(X_REQUEST_ID).filter(|id| id.to_str().is_ok_and(is_request_id)).cloned();
    let request_id = own_id.unwrap_or(hop.new_request_id);
    headers.insert(X_REQUEST_ID, request_id.clone());
    Ok(Head { method, uri, headers, upgrade, request_id })
}

/// Makes the headers that a client sees of those that a worker sent.
pub(crate) fn answer(headers: &mut HeaderMap, status: StatusCode, request_id: &HeaderValue) {
    let protocol = headers.get(UPGRADE).cloned();
    if headers.contains_key(TRANSFER_ENCODING) {
        // Its length was how the worker framed it; ours is another connection's framing.
        headers.remove(CONTENT_LENGTH);
    }
    strip(headers);
    if status == StatusCode::NO_CONTENT {
        // RFC 9110, 8.6: must not be there.
        headers.remove(CONTENT_LENGTH);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            headers.insert(UPGRADE, protocol);
        }
    }
    headers.entry(X_REQUEST_ID).or_insert_with(|| request_id.clone());
}

/// Names the client, and those before it, to the worker.
fn say_who_asked(headers: &mut HeaderMap, hop: &Hop<'_>, host: &HeaderValue) {
    let list = append(headers, &X_FORWARDED_FOR, hop.client);
    headers.insert(X_FORWARDED_FOR, list);
    let keep = |headers: &HeaderMap, name: &HeaderName| hop.is_trusted && headers.contains_key(name);
    if !keep(headers, &X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(hop.scheme));
    }
    if !keep(headers, &X_FORWARDED_HOST) {
        headers.insert(X_FORWARDED_HOST, host.clone());
    }
    // A host may hold what is special here, so it is always quoted; it never holds a quote.
    let host = host.to_str().unwrap_or_default();
    let element = format!("{};host=\"{host}\";proto={}", hop.forwarded_for, hop.scheme);
    let Ok(element) = HeaderValue::try_from(element) else { return };
    let list = if hop.is_trusted { append(headers, &FORWARDED, &element) } else { element };
    headers.insert(FORWARDED, list);
}

/// RFC 9110, 7.6.2: counts hops down, and answers in place of whoever is beyond the last.
fn last_hop(method: &Method, headers: &mut HeaderMap) -> Result<(), Refusal> {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Ok(());
    }
    let Some(left) = headers.get(MAX_FORWARDS).and_then(|hops| hops.to_str().ok()?.parse::<u32>().ok())
    else {
        return Ok(());
    };
    let Some(fewer) = left.checked_sub(1) else {
        let text = "no further hop is allowed, and this one has no more to say";
        return Err(if *method == Method::OPTIONS {
            Refusal::new(StatusCode::OK, "last_hop", text)
        } else {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "last_hop", text)
        });
    };
    headers.insert(MAX_FORWARDS, HeaderValue::from(fewer));
    Ok(())
}

/// Whether the client understands trailers.
fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().flat_map(tokens).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

fn is_request_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX
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

/// Removes the fields of one connection: those known, and those that `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // Naming these would change what the message is and whom it is for.
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH);
    // Few fields came, and fewer of them go: to compare names costs less than to look for each.
    let known = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned();
    let gone: Vec<HeaderName> = named.chain(known).collect();
    for name in gone {
        headers.remove(name);
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// All values of `name` with `last` at the end, as one list.
fn append(headers: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> HeaderValue {
    let mut list = Vec::new();
    for value in headers.get_all(name).iter().chain([last]) {
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&list).unwrap_or_else(|_| last.clone())
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

    fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().unwrap())
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
        let headers = head(request).unwrap().headers;
        for gone in ["keep-alive", "x-secret", "proxy-authorization"] {
            assert_eq!(value(&headers, gone), None, "{gone}");
        }
        assert_eq!(value(&headers, "host"), Some("shop.test"), "cannot be named away");
        assert_eq!(value(&headers, "accept"), Some("*/*"));
        assert_eq!(value(&headers, "x-forwarded-for"), Some("1.1.1.1, 2.2.2.2, 10.0.0.9"));
        assert_eq!(value(&headers, "x-forwarded-host"), Some("shop.test"));
        assert_eq!(value(&headers, "x-forwarded-proto"), Some("http"));
        assert_eq!(value(&headers, "x-request-id"), Some("new"));
        assert_eq!(value(&headers, "forwarded"), Some("for=10.0.0.9;host=\"shop.test\";proto=http"));
        assert_eq!((value(&headers, "te"), value(&headers, "connection")), (Some("trailers"), Some("te")));
        assert_eq!(value(&headers, "via"), Some("1.1 autoscale"));
    }

    #[test]
    fn hops_are_counted_down() {
        let hops = |method: &str, hops: &str| head(get("/").method(method).header("max-forwards", hops));
        assert_eq!(value(&hops("TRACE", "2").unwrap().headers, "max-forwards"), Some("1"));
        assert_eq!(hops("TRACE", "0").unwrap_err().status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(hops("OPTIONS", "0").unwrap_err().status, StatusCode::OK);
        assert_eq!(value(&hops("GET", "0").unwrap().headers, "max-forwards"), Some("0"));
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
        assert_eq!(
            (absolute.uri.to_string(), value(&absolute.headers, "host")),
            ("/x?y".into(), Some("other.test:81"))
        );
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
        assert_eq!(value(&old.headers, "host"), Some("127.0.0.1:8000"));
    }

    #[test]
    fn upgrade_passes_unless_it_is_h2c_or_not_meant() {
        let with = |connection: &str, protocol: &str| {
            head(get("/").header("connection", connection).header("upgrade", protocol)).unwrap()
        };
        let websocket = with("keep-alive, Upgrade", "websocket");
        assert_eq!(value(&websocket.headers, "upgrade"), Some("websocket"));
        assert_eq!(value(&websocket.headers, "connection"), Some("upgrade"));
        assert!(!websocket.is_idempotent());
        for (connection, protocol) in [("close", "websocket"), ("Upgrade", "h2c")] {
            let plain = with(connection, protocol);
            assert_eq!((plain.upgrade.clone(), value(&plain.headers, "upgrade")), (None, None));
        }
    }

    #[test]
    fn answers_framing_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        answer(&mut headers, StatusCode::OK, &HeaderValue::from_static("id"));
        assert_eq!(headers.len(), 1);
        assert_eq!(value(&headers, "x-request-id"), Some("id"));
    }
}
