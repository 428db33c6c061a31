//! Who may talk to the admin API. Any web page can make a browser send requests to loopback:
//! a foreign `Host` gives away DNS rebinding, a foreign `Origin` a forged request.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::failure::Failure;

/// Paths that may be asked without a token: a probe has none, and the page itself holds no
/// data; it asks with the token that its own address brings along.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/"];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Decides which requests are let in.
#[derive(Clone)]
pub(crate) struct Guard {
    token: Option<String>,
    bound: IpAddr,
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) fn new(token: Option<String>, bound: SocketAddr, hosts: &[String]) -> Self {
        let hosts = hosts.iter().map(|host| plain(host)).collect();
        Self { token, bound: bound.ip(), hosts }
    }

    /// Passes a request on or refuses it, and keeps answers out of caches and frames.
    pub(crate) async fn watch(self, request: Request, next: Next) -> Response {
        let checked = self.check(request.uri(), request.headers());
        let mut response = match checked {
            Ok(()) => next.run(request).await,
            Err(failure) => failure.into_response(),
        };
        let headers = response.headers_mut();
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let host = self.check_host(uri, headers)?;
        self.check_origin(&host, headers)?;
        self.check_token(uri.path(), headers)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, Failure> {
        let host = only(headers, &header::HOST)?
            .and_then(|text| Authority::from_str(text).ok())
            .ok_or_else(|| Failure::bad_request("the request has no usable `Host` header"))?;
        for named in std::iter::once(&host).chain(uri.authority()) {
            if !self.is_ours(named) {
                let error = format!("`Host: {named}` is not this server");
                let hint = "use 127.0.0.1 or localhost; this guards against DNS rebinding";
                return Err(Failure::new(StatusCode::FORBIDDEN, error).hint(hint));
            }
        }
        Ok(host)
    }

    fn check_origin(&self, host: &Authority, headers: &HeaderMap) -> Result<(), Failure> {
        let foreign = |error: String| {
            let hint = "pages of other servers may not use the admin API";
            Err(Failure::new(StatusCode::FORBIDDEN, error).hint(hint))
        };
        if let Some(origin) = only(headers, &header::ORIGIN)? {
            // Another port of this machine is another server: perhaps the scaled app itself.
            let ours = origin
                .split_once("://")
                .and_then(|(_, authority)| Authority::from_str(authority).ok())
                .is_some_and(|from| self.is_ours(&from) && from.port_u16() == host.port_u16());
            if !ours {
                return foreign(format!("`Origin: {origin}` is not this server"));
            }
        }
        match headers.get(SEC_FETCH_SITE) {
            Some(site) if site == "cross-site" => foreign("the request comes from another site".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_token(&self, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(token) = &self.token else { return Ok(()) };
        if OPEN_PATHS.contains(&path) {
            return Ok(());
        }
        let given = only(headers, &header::AUTHORIZATION)?.and_then(|text| {
            let (scheme, given) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
        });
        match given {
            Some(given) if equal(given.as_bytes(), token.as_bytes()) => Ok(()),
            Some(_) => Err(Failure::new(StatusCode::UNAUTHORIZED, "the token is wrong")),
            None => Err(Failure::new(StatusCode::UNAUTHORIZED, "a token is needed")
                .hint("send `Authorization: Bearer TOKEN`; commands take `--admin-token`")),
        }
    }

    fn is_ours(&self, named: &Authority) -> bool {
        if named.as_str().contains('@') {
            return false;
        }
        let host = plain(named.host());
        match IpAddr::from_str(&host) {
            // Rebinding needs a name, so where we listen on every address any number will do.
            Ok(ip) => ip.is_loopback() || ip == self.bound || self.bound.is_unspecified(),
            Err(_) => host == "localhost" || self.hosts.contains(&host),
        }
    }
}

/// A host's name without case, brackets and the dot of the root.
fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The only value of a header; several would leave open which one counts.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Failure::bad_request(format!("the request has several `{name}` headers")));
    }
    let text = first.map(HeaderValue::to_str).transpose();
    text.map_err(|_| Failure::bad_request(format!("the `{name}` header is no text")))
}

/// Compares in a time that tells nothing of where the two differ; only the length shows.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| black_box(differing | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(guard: &Guard, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match guard.check(&path.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(failure) => failure.into_response().status().as_u16(),
        }
    }

    #[test]
    fn only_our_own_names_are_let_in() {
        let loopback = Guard::new(None, "127.0.0.1:9900".parse().unwrap(), &[]);
        let cases = [
            ("127.0.0.1:9900", 200),
            ("localhost:9900", 200),
            ("LocalHost.", 200),
            ("localhost:1", 200),
            ("[::1]:9900", 200),
            ("127.0.0.2", 200),
            ("evil.example:9900", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost@evil.example", 403),
            ("evil@localhost", 403),
            ("192.168.0.7:9900", 403),
            ("", 400),
            ("a b", 400),
        ];
        for (host, status) in cases {
            assert_eq!(verdict(&loopback, "/", &[("host", host)]), status, "{host}");
        }
        assert_eq!(verdict(&loopback, "/", &[]), 400);
        assert_eq!(verdict(&loopback, "/", &[("host", "localhost"), ("host", "evil.example")]), 400);
        assert_eq!(verdict(&loopback, "http://evil.example/", &[("host", "localhost")]), 403);

        let everywhere = Guard::new(None, "0.0.0.0:9900".parse().unwrap(), &["Pool.example".to_owned()]);
        let cases = [("192.168.0.7:9900", 200), ("pool.example", 200), ("evil.example", 403)];
        for (host, status) in cases {
            assert_eq!(verdict(&everywhere, "/", &[("host", host)]), status, "{host}");
        }
    }

    #[test]
    fn pages_of_other_servers_are_kept_out() {
        let guard = Guard::new(None, "127.0.0.1:9900".parse().unwrap(), &[]);
        let cases = [
            ("origin", "http://127.0.0.1:9900", 200),
            ("origin", "http://localhost:9900", 200),
            ("origin", "http://127.0.0.1:8000", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "http://evil.example:9900", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
        ];
        for (name, value, status) in cases {
            let headers = [("host", "127.0.0.1:9900"), (name, value)];
            assert_eq!(verdict(&guard, "/api/v1/stop", &headers), status, "{name}: {value}");
        }
    }

    #[test]
    fn a_token_is_asked_for_everywhere_but_at_the_probe_and_the_page() {
        let guard = Guard::new(Some("secret".to_owned()), "0.0.0.0:9900".parse().unwrap(), &[]);
        let host = ("host", "10.0.0.1:9900");
        assert_eq!(verdict(&guard, "/api/v1/status", &[host]), 401);
        assert_eq!(verdict(&guard, "/", &[host]), 200);
        assert_eq!(verdict(&guard, "/healthz", &[host]), 200);
        let cases = [
            ("Bearer secret", 200),
            ("bearer  secret", 200),
            ("Bearer secre", 401),
            ("Bearer secres", 401),
            ("Bearer", 401),
            ("Basic secret", 401),
        ];
        for (value, status) in cases {
            assert_eq!(verdict(&guard, "/metrics", &[host, ("authorization", value)]), status, "{value}");
        }
    }
}
