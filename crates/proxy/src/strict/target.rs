//! What a request is for: its target and its host (RFC 9112, 3.2; RFC 3986).

use super::{Fault, bytes};

/// The greatest port has five digits.
const PORT_DIGITS_MAX: usize = 5;

/// The shape of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// A path and perhaps a query.
    #[default]
    Origin,
    /// A whole `http` URI; its host is the request's.
    Absolute,
    /// Host and port, for `CONNECT`.
    Authority,
    /// `*`, for `OPTIONS`.
    Asterisk,
}

pub(crate) const BAD_TARGET: Fault =
    Fault::bad("bad_target", "the request's target is neither a path nor an absolute http URI");

/// Tells a target's form, and refuses what has none.
pub(super) fn form(method: &[u8], target: &[u8]) -> Result<Form, Fault> {
    let form = match (method, target) {
        (b"CONNECT", _) => is_target_authority(target).then_some(Form::Authority),
        (b"OPTIONS", b"*") => Some(Form::Asterisk),
        (_, [b'/', ..]) => is_path_and_query(target).then_some(Form::Origin),
        _ => is_absolute(target).then_some(Form::Absolute),
    };
    form.ok_or(BAD_TARGET)
}

fn is_absolute(target: &[u8]) -> bool {
    let strip = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let Some(rest) = strip(b"http://").or_else(|| strip(b"https://")) else { return false };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    is_target_authority(authority) && is_path_and_query(path)
}

/// The parser behind knows no escapes in a host, and nobody has any.
fn is_target_authority(authority: &[u8]) -> bool {
    is_authority(authority) && !authority.contains(&b'%')
}

fn is_path_and_query(target: &[u8]) -> bool {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(end);
    bytes::all(path, bytes::PATH) && bytes::escapes_are_whole(path) && bytes::all(query, bytes::QUERY)
}

/// Whether this is a host with or without a port. A user's name before it is refused: its one use
/// is to mislead (RFC 9110, 4.2.4).
pub(super) fn is_authority(authority: &[u8]) -> bool {
    let (host, rest) = match authority.iter().position(|&byte| byte == b']') {
        Some(end) => authority.split_at(end + 1),
        None => {
            let end = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
            authority.split_at(end)
        }
    };
    let is_host = match host.strip_prefix(b"[") {
        Some(address) => address.strip_suffix(b"]").is_some_and(is_ip_v6),
        None => !host.is_empty() && bytes::all(host, bytes::HOST) && bytes::escapes_are_whole(host),
    };
    is_host && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

fn is_ip_v6(address: &[u8]) -> bool {
    let text = std::str::from_utf8(address).unwrap_or_default();
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// An empty port is valid (RFC 3986, 3.2.3).
fn is_port(port: &[u8]) -> bool {
    if port.len() > PORT_DIGITS_MAX {
        return false;
    }
    let number = port.iter().try_fold(0_u32, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    });
    number.is_some_and(|number| number <= u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_of_four_forms() {
        let form = |method: &str, target: &str| form(method.as_bytes(), target.as_bytes()).ok();
        for path in ["/", "/a/b?c=d&e", "//a", "/%20?100%", "/a?x={[^`|]}", "/;a=b,c@d:e!$&'()*+"] {
            assert_eq!(form("GET", path), Some(Form::Origin), "{path}");
        }
        for uri in
            ["http://a", "HTTP://a.test:80/x?y", "https://[::1]:8000", "http://a?b", "http://a_b.test:"]
        {
            assert_eq!(form("GET", uri), Some(Form::Absolute), "{uri}");
        }
        assert_eq!(form("OPTIONS", "*"), Some(Form::Asterisk));
        assert_eq!(form("CONNECT", "a.test:443"), Some(Form::Authority));
        for bad in [
            "",
            "*",
            "a",
            "a:80",
            "http://",
            "http:///x",
            "http://u@a/",
            "ftp://a/",
            "http:a",
            "/a#b",
            "/é",
            "/a\"b",
            "/<",
            "/\u{7f}",
            "/%",
            "/%2",
            "/%zz",
            "http://a:b/",
            "http://a:99999/",
            "http://a:18446744073709551616/",
            "http://[::1/",
            "http://%41/",
            "http://[x]/",
            "http://[::1]x/",
            "http://a,b/",
            "http://a\\b/",
        ] {
            assert_eq!(form("GET", bad), None, "{bad}");
        }
    }
}
