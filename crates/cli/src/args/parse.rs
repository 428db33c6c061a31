//! Values as users write them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use traffic::Version;

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

/// How many times: `1440x` or `1440`.
pub(crate) fn times(text: &str) -> Result<f64, String> {
    match text.trim().trim_end_matches(['x', '×']).parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(format!("`{text}` is no pace (try 60x or 1440x)")),
    }
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

/// Shares by version: `1=90,2=10`.
pub(crate) fn split(text: &str) -> Result<Vec<(Version, u32)>, String> {
    let share = |word: &str| {
        let (version, share) = word.split_once('=')?;
        Some((Version(version.trim().parse().ok()?), share.trim().parse().ok()?))
    };
    let shares: Option<Vec<(Version, u32)>> = text.split(',').map(share).collect();
    let shares = shares.ok_or("needs a version and a number each, as in 1=90,2=10")?;
    if shares.iter().all(|(_, share)| *share == 0) {
        return Err("gives no version a share".to_owned());
    }
    Ok(shares)
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
    fn splits() {
        assert_eq!(split("1=90, 2=10"), Ok(vec![(Version(1), 90), (Version(2), 10)]));
        for bad in ["", "1", "1=", "=3", "1=x", "1=0", "1=90;2=10"] {
            assert!(split(bad).is_err(), "{bad}");
        }
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
