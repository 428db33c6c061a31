//! Arguments for when there is more to do than workers can do, or they fail.

use std::time::Duration;

use clap::Args;
use control::span;
use traffic::HedgeAfter;

use super::parse;

/// What switches an option off that a file has switched on.
pub(crate) const OFF: &str = "off";

/// What learns, refuses or tries twice by itself; all of it off by default.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Overload")]
pub(crate) struct OverloadArgs {
    /// Learn from how long requests take how many one worker may have: gradient, aimd or off
    /// [default: off]
    #[arg(long, value_name = "NAME|off")]
    pub(crate) adaptive_limit: Option<String>,
    /// Median time at a worker that aimd takes for too slow [default: 1s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) adaptive_latency: Option<Duration>,
    /// Share of failed requests at which none is sent for a while, as in 0.5 or 50%; they get 503
    /// [default: never]
    #[arg(long, value_parser = parse::share, value_name = "SHARE")]
    pub(crate) circuit_breaker: Option<f64>,
    /// When a GET that is not answered is tried at a second worker too: after a time, as in 50ms, or
    /// when it takes longer than most, as in p95 [default: off]
    #[arg(long, value_name = "TIME|p95|off")]
    pub(crate) hedge_after: Option<String>,
}

/// `50ms`, `p95`, `p99.9` or `off`.
///
/// # Errors
/// What is wrong with it, as an end of a sentence.
pub(crate) fn hedge_after(text: &str) -> Result<Option<HedgeAfter>, String> {
    if text == OFF || text.is_empty() {
        return Ok(None);
    }
    if let Some(percent) = text.strip_prefix('p').and_then(|number| number.parse::<f64>().ok()) {
        if !(percent > 0.0 && percent < 100.0) {
            return Err("must be above p0 and below p100".to_owned());
        }
        return Ok(Some(HedgeAfter::Quantile(percent / 100.0)));
    }
    let time = span::parse(text).map_err(|_| "is neither a time nor a percentile".to_owned())?;
    if time.is_zero() {
        return Err("would send every request twice".to_owned());
    }
    Ok(Some(HedgeAfter::Time(time)))
}

/// As it was written.
pub(crate) fn hedge_text(after: Option<HedgeAfter>) -> String {
    match after {
        None => String::new(),
        Some(HedgeAfter::Time(time)) => span::format(time),
        Some(HedgeAfter::Quantile(share)) => format!("p{}", (share * 1e5).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_percentiles_are_read_and_written_alike() {
        for text in ["50ms", "2s", "p95", "p99.9", "p50"] {
            assert_eq!(hedge_text(hedge_after(text).unwrap()), text);
        }
        assert_eq!((hedge_after("off"), hedge_after("")), (Ok(None), Ok(None)));
        for bad in ["0s", "p0", "p100", "p-5", "pNaN", "often", "95%"] {
            assert!(hedge_after(bad).is_err(), "{bad}");
        }
    }
}
