//! Where the load goes: an `http://` or `https://` URL, taken apart once.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// A URL to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address to connect to, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
    /// The `Host` header.
    pub(crate) host_header: HeaderValue,
    /// What follows the host.
    pub(crate) path: PathAndQuery,
}

/// Why a text is not a URL that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no scheme.
    #[error("`{0}` is not a URL: did you mean http://{0}?")]
    NoScheme(String),
    /// Another scheme.
    #[error("`{0}`: only http:// and https:// URLs can be loaded")]
    Scheme(String),
    /// Not a URL, or one with a user name.
    #[error("`{0}` is not a URL such as http://127.0.0.1:8000/path")]
    Form(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        let form = || TargetError::Form(text.to_owned());
        if text.is_empty() {
            return Err(form());
        }
        if !text.contains("://") {
            return Err(TargetError::NoScheme(text.to_owned()));
        }
        // A fragment is the browser's affair and never sent.
        let sent = text.split('#').next().unwrap_or(text);
        let parts = sent.parse::<Uri>().map_err(|_| form())?.into_parts();
        let is_tls = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP => false,
            Some(scheme) if scheme == Scheme::HTTPS => true,
            _ => return Err(TargetError::Scheme(text.to_owned())),
        };
        let authority: Authority = parts.authority.ok_or_else(form)?;
        let named_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if authority.as_str().contains('@') || (named_port && authority.port_u16().is_none()) {
            return Err(form());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(form());
        }
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| form())?,
            path: parts.path_and_query.unwrap_or(PathAndQuery::from_static("/")),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host_header.to_str().unwrap_or(&self.host), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("http://127.0.0.1:8000", "127.0.0.1", 8000, "http://127.0.0.1:8000/"),
            ("http://localhost/a?b=c", "localhost", 80, "http://localhost/a?b=c"),
            ("http://[::1]:81/?cpu_ms=5#top", "::1", 81, "http://[::1]:81/?cpu_ms=5"),
            ("http://[::1]", "::1", 80, "http://[::1]/"),
            ("HTTP://host?x", "host", 80, "http://host/?x"),
            ("https://host", "host", 443, "https://host/"),
        ];
        for (text, host, port, shown) in cases {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
            assert_eq!(target.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn wrong_urls_say_what_was_expected() {
        let cases = [
            ("localhost:8000", "`localhost:8000` is not a URL: did you mean http://localhost:8000?"),
            ("ftp://host", "`ftp://host`: only http://"),
            ("http://", "`http://` is not a URL such as"),
            ("http://user@host", "`http://user@host` is not a URL such as"),
            ("http://host:99999", "`http://host:99999` is not a URL such as"),
            ("http://host:", "`http://host:` is not a URL such as"),
            ("http://a b", "`http://a b` is not a URL such as"),
            ("", "`` is not a URL such as"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
