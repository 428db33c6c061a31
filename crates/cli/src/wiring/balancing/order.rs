//! Orders to a running balancer, taken into its settings.

use std::num::{NonZeroU32, NonZeroUsize};

use admin::BalancerOrder;
use proxy::Rate;
use traffic::AdaptiveRule;
use traffic::adaptive::TOO_SLOW;

use crate::args;
use crate::config::Balancer;

/// Takes an order into the settings; says what in it cannot be.
pub(super) fn take(next: &mut Balancer, order: &BalancerOrder) -> Result<(), String> {
    let some = |length: std::time::Duration| (!length.is_zero()).then_some(length);
    if let Some(algorithm) = &order.algorithm {
        next.algorithm.clone_from(algorithm);
    }
    if let Some(split) = &order.split {
        next.split = if split.trim().is_empty() {
            Vec::new()
        } else {
            args::parse::split(split).map_err(|problem| format!("split `{split}` {problem}"))?
        };
    }
    if let Some(slow_start) = order.slow_start {
        next.slow_start = slow_start.0;
    }
    if let Some(max) = order.max_in_flight {
        next.max_in_flight = NonZeroU32::new(max);
    }
    learned(next, order)?;
    guarded(next, order)?;
    let proxy = &mut next.proxy;
    if let Some(queue) = order.queue {
        proxy.queue_max = usize::try_from(queue).unwrap_or(usize::MAX);
    }
    if let Some(timeout) = order.queue_timeout {
        proxy.queue_timeout = timeout.0;
    }
    if let Some(timeout) = order.request_timeout {
        proxy.request_timeout = some(timeout.0);
    }
    if let Some(max) = order.max_connections {
        let max = usize::try_from(max).ok().and_then(NonZeroUsize::new);
        proxy.connections_max = max.ok_or("max_connections must be at least 1")?.get();
    }
    if let Some(max) = order.max_body {
        proxy.body_bytes_max = Some(max).filter(|max| *max > 0);
    }
    match (order.rate_limit, order.rate_burst) {
        (Some(rate), burst) => proxy.rate_limit = rate_of(rate, burst)?,
        (None, Some(burst)) => {
            let rate = proxy.rate_limit.ok_or("rate_burst means nothing without rate_limit")?;
            proxy.rate_limit = rate_of(rate.per_second, Some(burst))?;
        }
        (None, None) => {}
    }
    Ok(())
}

/// How the limit of requests is learned from now on.
fn learned(next: &mut Balancer, order: &BalancerOrder) -> Result<(), String> {
    match order.adaptive_limit.as_deref() {
        Some("" | args::OFF) => next.adaptive = None,
        Some(name) if traffic::ADAPTIVE_LIMITS.iter().any(|entry| entry.name == name) => {
            let too_slow = next.adaptive.as_ref().map_or(TOO_SLOW, |rule| rule.too_slow);
            next.adaptive = Some(AdaptiveRule { algorithm: name.to_owned(), too_slow });
        }
        Some(name) => {
            let names: Vec<&str> = traffic::ADAPTIVE_LIMITS.iter().map(|entry| entry.name).collect();
            return Err(format!("`{name}` learns no limit (there are {}; or off)", names.join(", ")));
        }
        None => {}
    }
    if let Some(length) = order.adaptive_latency {
        let rule = next.adaptive.as_mut().ok_or("adaptive_latency means nothing without adaptive_limit")?;
        rule.too_slow = length.0;
    }
    Ok(())
}

/// When requests are refused, and when they are sent twice, from now on.
fn guarded(next: &mut Balancer, order: &BalancerOrder) -> Result<(), String> {
    if let Some(share) = order.circuit_breaker {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("circuit_breaker {share} is no share (try 0.5, or 0 for never)"));
        }
        next.circuit_breaker = Some(share).filter(|share| *share > 0.0);
    }
    if let Some(text) = &order.hedge_after {
        let after = args::hedge_after(text);
        next.hedge_after = after.map_err(|problem| format!("hedge_after `{text}` {problem}"))?;
    }
    Ok(())
}

fn rate_of(per_second: f64, burst: Option<f64>) -> Result<Option<Rate>, String> {
    let burst = burst.unwrap_or(per_second * 2.0).max(1.0);
    if !per_second.is_finite() || per_second < 0.0 || !burst.is_finite() {
        return Err(format!("rate_limit {per_second} is no rate (try 100, or 0 for no limit)"));
    }
    Ok((per_second > 0.0).then_some(Rate { per_second, burst }))
}
