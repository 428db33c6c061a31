//! Values as users write them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `35`, `35%` or `35.5`.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("`{text}` is no number (try 35 or 35%)")),
    }
}

/// A share of a whole: `0.85` or `85%`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let value = percent(text)?;
    Ok(if text.trim().ends_with('%') { value / 100.0 } else { value })
}

/// `127.0.0.1:8000`, `:8000`, `8000` or `localhost:8000`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim().trim_start_matches("http://").trim_end_matches('/');
    let wrong = || format!("`{text}` is no address (try 127.0.0.1:8000, or port 0 for any free one)");
    let port = text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")).unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| wrong())
}

/// A length of time; a bare number is seconds.
pub(crate) fn span_or_seconds(text: &str) -> Result<Duration, String> {
    control::span::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!(percent("35"), Ok(35.0));
        assert_eq!(percent("35 %"), Ok(35.0));
        assert_eq!(percent("12.5%"), Ok(12.5));
        assert_eq!((share("0.85"), share("85%")), (Ok(0.85), Ok(0.85)));
        assert!(percent("many").is_err());
        assert!(percent("NaN").is_err());
    }

    #[test]
    fn addresses() {
        for text in ["127.0.0.1:8000", ":8000", "8000", "localhost:8000", "http://127.0.0.1:8000/"] {
            assert_eq!(address(text), Ok("127.0.0.1:8000".parse().unwrap()), "{text}");
        }
        assert_eq!(address("[::1]:80"), Ok("[::1]:80".parse().unwrap()));
        for bad in ["", "nowhere", "1.2.3.4", "70000", "example.org:80"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
