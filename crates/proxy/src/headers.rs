//! What may pass: hop-by-hop fields go, forwarding fields come, the rest is kept.

use crate::fields::FieldLines;

mod answer;
mod request;
mod target;

pub(crate) use answer::{Fields, answer, interim};
pub(crate) use request::{Framing, Head, Hop, forward};

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
fn nominated(fields: &FieldLines) -> Vec<&[u8]> {
    let is_one_of =
        |option: &[u8], names: &[&str]| names.iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes()));
    let options = fields.get_all("connection").flat_map(tokens);
    options
        .filter(|option| !is_one_of(option, &["keep-alive", "close", "upgrade", "host", "content-length"]))
        .collect()
}

/// Whether a name is one of those.
fn is_nominated(nominated: &[&[u8]], name: &[u8]) -> bool {
    nominated.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The members of a list.
fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

fn has_token(list: &[u8], token: &str) -> bool {
    tokens(list).any(|other| other.eq_ignore_ascii_case(token.as_bytes()))
}
