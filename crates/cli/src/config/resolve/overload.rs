//! What learns, refuses or tries twice by itself, settled.

use std::time::Duration;

use traffic::adaptive::TOO_SLOW;
use traffic::{AdaptiveRule, HedgeAfter};

use super::picker::Picker;
use crate::args::{OFF, OverloadArgs};
use crate::config::file;
use crate::config::file::balancer::ProxyTable;

/// How the limit of requests at a worker is learned; `None`: it is not.
pub(super) fn adaptive(
    args: &OverloadArgs,
    table: &ProxyTable,
    picker: &mut Picker,
) -> anyhow::Result<Option<AdaptiveRule>> {
    let key = "proxy.adaptive_limit";
    let (flag, file) = (args.adaptive_limit.clone(), table.adaptive_limit.clone());
    let algorithm = picker.plain(key, flag, file, OFF.to_owned());
    let key_latency = "proxy.adaptive_latency";
    let latency = args.adaptive_latency.or(table.adaptive_latency.map(|span| span.0));
    if algorithm == OFF {
        if latency.is_some() {
            picker.span(key_latency, args.adaptive_latency, table.adaptive_latency, Duration::ZERO);
            return Err(picker.refuse(
                key_latency,
                "means nothing without adaptive_limit",
                "try adaptive_limit aimd",
            ));
        }
        return Ok(None);
    }
    let names = || traffic::ADAPTIVE_LIMITS.iter().map(|entry| entry.name);
    if !names().any(|name| name == algorithm) {
        let advice = match file::nearest(&algorithm, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}, and {OFF}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(picker.refuse(key, "learns no limit", advice));
    }
    let too_slow = picker.some_time(key_latency, args.adaptive_latency, table.adaptive_latency, TOO_SLOW)?;
    Ok(Some(AdaptiveRule { algorithm, too_slow }))
}

/// Share of failed requests at which none is sent for a while.
pub(super) fn breaker(
    args: &OverloadArgs,
    table: &ProxyTable,
    picker: &mut Picker,
) -> anyhow::Result<Option<f64>> {
    let key = "proxy.circuit_breaker";
    let share = picker.optional(key, args.circuit_breaker, table.circuit_breaker, "never");
    if share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        return Err(picker.refuse(key, "must be above 0 and at most 1", "try 0.5, or leave it out"));
    }
    Ok(share)
}

/// When a second worker is asked too.
pub(super) fn hedge(
    args: &OverloadArgs,
    table: &ProxyTable,
    picker: &mut Picker,
) -> anyhow::Result<Option<HedgeAfter>> {
    let key = "proxy.hedge_after";
    let text = picker.plain(key, args.hedge_after.clone(), table.hedge_after.clone(), OFF.to_owned());
    crate::args::hedge_after(&text).map_err(|problem| picker.refuse(key, problem, "try p95, 50ms or off"))
}
