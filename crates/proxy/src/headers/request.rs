//! The head that a worker sees of the one that a client sent.

use http::header::HeaderValue;
use http::{Method, StatusCode, Uri, Version};

use super::target::origin_form;
use super::{has_token, is_hop_by_hop, is_nominated, nominated};
use crate::fields::{Field, FieldLines};
use crate::lines::put_field;
use crate::refusal::Refusal;
use crate::request::Request;

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
pub(crate) fn forward(request: Request, hop: Hop<'_>) -> Result<Head, Refusal> {
    let Request { method, uri, version, fields } = request;
    if method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "connect", "CONNECT is for forward proxies"));
    }
    let said = Said::of(&fields);
    let authority = uri.authority().cloned();
    let host = said.host(version)?.unwrap_or_else(|| hop.own_host.as_bytes());
    let host = authority.as_ref().map_or(host, |authority| authority.as_str().as_bytes());
    let uri = origin_form(&method, uri)?;
    let upgrade = said.wanted_upgrade(version);
    let hops_left = last_hop(&method, &fields)?;
    let mut lines = Lines(Vec::with_capacity(LINES_BYTES_EXPECTED));
    lines.put("host", host);
    let Carried { has_length, has_proto, has_host, own_id } =
        carry_over(&mut lines, &fields, &said, hop.is_trusted, hops_left.is_some());
    if let Some(hops) = hops_left {
        lines.put("max-forwards", hops.to_string().as_bytes());
    }
    let framing = match (said.is_chunked, has_length) {
        (true, _) => Framing::Chunked,
        (false, true) => Framing::Length,
        (false, false) => Framing::Unsaid,
    };
    if said.is_chunked {
        lines.put("transfer-encoding", b"chunked");
    }
    if let Some(protocol) = &upgrade {
        lines.put("connection", b"upgrade");
        lines.put("upgrade", protocol.as_bytes());
    } else if said.takes_trailers {
        lines.put("connection", b"te");
        lines.put("te", b"trailers");
    }
    let earlier = |is_there: bool, name: &'static str| {
        (is_there && !is_nominated(&said.nominated, name.as_bytes()))
            .then(|| fields.get_all(name))
            .into_iter()
            .flatten()
    };
    lines.put_list("x-forwarded-for", earlier(said.has_for, "x-forwarded-for"), &[hop.client.as_bytes()]);
    if !has_proto {
        lines.put("x-forwarded-proto", hop.scheme.as_bytes());
    }
    if !has_host {
        lines.put("x-forwarded-host", host);
    }
    // A host may hold what is special here, so it is always quoted; it never holds a quote.
    let element = [hop.forwarded_for.as_bytes(), b";host=\"", host, b"\";proto=", hop.scheme.as_bytes()];
    lines.put_list("forwarded", earlier(said.has_forwarded && hop.is_trusted, "forwarded"), &element);
    let received_by: &[u8] = match version {
        Version::HTTP_2 => b"2.0 autoscale",
        Version::HTTP_10 => b"1.0 autoscale",
        _ => b"1.1 autoscale",
    };
    lines.put_list("via", earlier(said.has_via, "via"), &[received_by]);
    let request_id = own_id.unwrap_or(hop.new_request_id);
    lines.put("x-request-id", request_id.as_bytes());
    Ok(Head { method, uri, fields: lines.0, framing, upgrade, request_id })
}

/// What a client's fields say to us.
#[derive(Default)]
struct Said<'a> {
    host: Option<&'a [u8]>,
    has_hosts: bool,
    /// Fields that concern this connection only.
    nominated: Vec<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    connection_upgrade: bool,
    takes_trailers: bool,
    is_chunked: bool,
    has_for: bool,
    has_forwarded: bool,
    has_via: bool,
}

impl<'a> Said<'a> {
    fn of(fields: &'a FieldLines) -> Self {
        let mut said = Self::default();
        let mut has_connection = false;
        for field in fields.iter() {
            // Most are known by their length to say nothing.
            match field.name().len() {
                2 if field.is("te") => said.takes_trailers |= has_token(field.value(), "trailers"),
                3 if field.is("via") => said.has_via = true,
                4 if field.is("host") => said.has_hosts = said.host.replace(field.value()).is_some(),
                7 if field.is("upgrade") => said.upgrade = said.upgrade.or(Some(field.value())),
                9 if field.is("forwarded") => said.has_forwarded = true,
                10 if field.is("connection") => {
                    has_connection = true;
                    said.connection_upgrade |= has_token(field.value(), "upgrade");
                }
                15 if field.is("x-forwarded-for") => said.has_for = true,
                17 if field.is("transfer-encoding") => said.is_chunked = true,
                _ => {}
            }
        }
        if has_connection {
            said.nominated = nominated(fields);
        }
        said
    }

    fn host(&self, version: Version) -> Result<Option<&'a [u8]>, Refusal> {
        if self.has_hosts {
            return Err(Refusal::bad_request("several_hosts", "more than one Host field"));
        }
        if self.host.is_none() && version >= Version::HTTP_11 {
            return Err(Refusal::bad_request("no_host", "HTTP/1.1 wants a Host field"));
        }
        Ok(self.host)
    }

    /// The protocol of a valid wish to change it. `h2c` is not passed on: its upgrade would carry
    /// requests past this proxy unseen.
    fn wanted_upgrade(&self, version: Version) -> Option<HeaderValue> {
        let wanted = version == Version::HTTP_11 && self.connection_upgrade;
        let protocol = self.upgrade.filter(|protocol| wanted && !has_token(protocol, "h2c"))?;
        HeaderValue::from_bytes(protocol).ok()
    }
}

/// What was seen of a client's fields while they were carried over.
#[derive(Default)]
struct Carried {
    has_length: bool,
    has_proto: bool,
    has_host: bool,
    own_id: Option<HeaderValue>,
}

/// Writes the fields that pass as they came.
fn carry_over(
    lines: &mut Lines,
    fields: &FieldLines,
    said: &Said<'_>,
    is_trusted: bool,
    counts_hops: bool,
) -> Carried {
    let mut seen = Carried::default();
    for field in fields.iter() {
        if is_nominated(&said.nominated, field.name()) {
            continue;
        }
        match field.name().len() {
            // Written by us.
            3 if field.is("via") => continue,
            4 if field.is("host") => continue,
            9 if field.is("forwarded") => continue,
            15 if field.is("x-forwarded-for") => continue,
            12 if counts_hops && field.is("max-forwards") => continue,
            // The server side has already said `100 Continue`, or will when the body is first read.
            6 if field.is("expect") => continue,
            12 if field.is("x-request-id") => {
                seen.own_id = seen.own_id.or_else(|| request_id(field.value()));
                continue;
            }
            14 if field.is("content-length") => {
                // Framing is ours to say, and once.
                if !std::mem::replace(&mut seen.has_length, true) && !said.is_chunked {
                    lines.put("content-length", field.value());
                }
                continue;
            }
            16 if field.is("x-forwarded-host") && is_trusted => seen.has_host = true,
            17 if field.is("x-forwarded-proto") && is_trusted => seen.has_proto = true,
            16 if field.is("x-forwarded-host") => continue,
            17 if field.is("x-forwarded-proto") => continue,
            _ if is_hop_by_hop(field.name()) => continue,
            _ => {}
        }
        lines.pass(field);
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

    /// In one spelling, so that no worker can read it otherwise than we do.
    fn pass(&mut self, field: Field<'_>) {
        let start = self.0.len();
        self.add(field.name());
        self.0[start..].make_ascii_lowercase();
        [b": ", field.value(), b"\r\n"].into_iter().for_each(|part| self.add(part));
    }

    /// One line of all values that came and one of ours, which is given in pieces.
    fn put_list<'a>(&mut self, name: &str, earlier: impl Iterator<Item = &'a [u8]>, last: &[&[u8]]) {
        self.add(name.as_bytes());
        self.add(b": ");
        for value in earlier {
            self.add(value);
            self.add(b", ");
        }
        last.iter().for_each(|piece| self.add(piece));
        self.add(b"\r\n");
    }
}

/// RFC 9110, 7.6.2: counts hops down, and answers in place of whoever is beyond the last.
fn last_hop(method: &Method, fields: &FieldLines) -> Result<Option<u32>, Refusal> {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Ok(None);
    }
    let left =
        fields.get("max-forwards").and_then(|hops| std::str::from_utf8(hops).ok()?.parse::<u32>().ok());
    let Some(left) = left else { return Ok(None) };
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

/// A client's own request id, if it is one.
fn request_id(id: &[u8]) -> Option<HeaderValue> {
    let is_one = !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(u8::is_ascii_graphic);
    HeaderValue::from_bytes(id).ok().filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: http::request::Builder) -> Result<Head, Refusal> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let request = Request::from(parts);
        let client = HeaderValue::from_static("10.0.0.9");
        let own_host = HeaderValue::from_static("127.0.0.1:8000");
        forward(
            request,
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
