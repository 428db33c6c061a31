//! Plain HTTP where TLS is spoken: the same address, to be asked in TLS.

use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Uri};

use crate::answer::Reply;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::serve::Thread;
use crate::strict::Fault;

/// The port of `https` addresses that name none.
const HTTPS_PORT: u16 = 443;

/// Tells where the answer is. No worker sees the request, and it is not counted.
pub(crate) fn answer(thread: &Thread, request: &Request) -> Reply {
    let mut reply = moved(&request.method).into_reply();
    let location = location(&request.uri, request.fields.get("host"), thread.tls_port);
    if let Some(location) = location.filter(|_| reply.status == StatusCode::PERMANENT_REDIRECT) {
        reply.fields.put("location", location.as_bytes());
    }
    reply
}

/// Answers what is no proper request.
pub(crate) fn refuse(fault: Fault) -> Reply {
    Refusal::from(fault).into_reply()
}

/// Only what has not carried anything yet is sent elsewhere: a form that has come in the clear is
/// no secret any more, and whoever sent it should know.
fn moved(method: &Method) -> Refusal {
    if method.is_safe() {
        let text = "only https is spoken here; the Location is the same address with https";
        return Refusal::new(StatusCode::PERMANENT_REDIRECT, "https_only", text);
    }
    Refusal::bad_request("https_only", "only https is spoken here; send this to the same address with https")
}

fn location(uri: &Uri, host: Option<&[u8]>, port: u16) -> Option<HeaderValue> {
    let host = host.and_then(|host| Authority::try_from(host).ok());
    let authority = uri.authority().or(host.as_ref())?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = authority.host();
    let text = match port {
        HTTPS_PORT => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_with_another_scheme() {
        let at = |uri: &str, host: &'static str, port| {
            location(&uri.parse().unwrap(), Some(host.as_bytes()), port)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(at("/a?b", "shop.test:8080", 443), Some("https://shop.test/a?b".into()));
        assert_eq!(at("/", "[::1]:80", 8443), Some("https://[::1]:8443/".into()));
        assert_eq!(at("http://other.test/x", "shop.test", 8443), Some("https://other.test:8443/x".into()));
        assert_eq!(location(&"/".parse().unwrap(), None, 443), None);
    }
}
