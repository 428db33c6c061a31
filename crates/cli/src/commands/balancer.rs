//! `autoscale balancer` and `targets`: the balancer of a running pool, seen and changed.

use admin::{Accepted, BalancerOrder, Length};

use super::reach::{connect, failed};
use crate::args::{AskArgs, BalancerCommand, BalancerCommandArgs, Output, RequestArgs, SetArgs};
use crate::failure::Hint;
use crate::output;

/// `autoscale balancer`.
pub(crate) async fn balancer(args: &BalancerCommandArgs) -> anyhow::Result<()> {
    match &args.command {
        BalancerCommand::Show(args) => show(args).await,
        BalancerCommand::Set(args) => {
            let order = order(args);
            if order == BalancerOrder::default() {
                return Err(anyhow::anyhow!("nothing was named that is to change"))
                    .hint("as in `autoscale balancer set --max-in-flight 16`");
            }
            said(&connect(&args.pool)?.change_balancer(&order).await.map_err(failed)?)
        }
        BalancerCommand::Weight(args) => {
            let weight = match args.weight.as_str() {
                "own" => None,
                number => Some(number.parse().map_err(|_| anyhow::anyhow!("`{number}` is no weight")))
                    .transpose()
                    .hint("try 3, 0 for no new request, or own")?,
            };
            said(&connect(&args.pool)?.weigh(&args.id, weight).await.map_err(failed)?)
        }
        BalancerCommand::Add(args) => {
            said(&connect(&args.pool)?.add_backend(&args.backend).await.map_err(failed)?)
        }
        BalancerCommand::Remove(args) => {
            said(&connect(&args.pool)?.remove_backend(&args.id).await.map_err(failed)?)
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "each command ends in it")]
fn said(accepted: &Accepted) -> anyhow::Result<()> {
    output::line(&accepted.text);
    Ok(())
}

fn order(args: &SetArgs) -> BalancerOrder {
    BalancerOrder {
        algorithm: args.algorithm.clone(),
        split: args.split.clone(),
        slow_start: args.slow_start.map(Length),
        max_in_flight: args.max_in_flight,
        adaptive_limit: args.adaptive_limit.clone(),
        adaptive_latency: args.adaptive_latency.map(Length),
        circuit_breaker: args.circuit_breaker,
        hedge_after: args.hedge_after.clone(),
        queue: args.queue,
        queue_timeout: args.queue_timeout.map(Length),
        request_timeout: args.request_timeout.map(Length),
        max_connections: args.max_connections,
        max_body: args.max_body,
        rate_limit: args.rate_limit,
        rate_burst: args.rate_burst,
    }
}

async fn show(args: &AskArgs) -> anyhow::Result<()> {
    let settings = connect(&args.pool)?.balancer().await.map_err(failed)?;
    if args.output != Output::Table {
        return output::value(&settings, args.output == Output::Yaml);
    }
    let settings = serde_json::to_value(&settings)?;
    for (key, value) in settings.as_object().into_iter().flatten() {
        let value = match value {
            serde_json::Value::Null if key.starts_with("circuit") || key.starts_with("hedge") => {
                "none".to_owned()
            }
            serde_json::Value::Null => "no limit".to_owned(),
            serde_json::Value::String(text) if text.is_empty() => "none".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        output::line(&format!("{key:18} {value}"));
    }
    Ok(())
}

/// `autoscale targets`.
pub(crate) async fn targets(args: &AskArgs) -> anyhow::Result<()> {
    let targets = connect(&args.pool)?.targets().await.map_err(failed)?;
    if args.output != Output::Table {
        return output::value(&targets, args.output == Output::Yaml);
    }
    output::line("ID    STATE      WEIGHT VERSION IN-FLIGHT REQUESTS FAILED ADDRESS / REASON");
    for target in &targets {
        output::line(&format!(
            "{:<5} {:<10} {:<6} {:<7} {:<9} {:<8} {:<6} {} {}",
            target.id,
            target.state,
            target.weight,
            target.version,
            target.in_flight,
            target.requests,
            target.failures,
            target.address.as_deref().unwrap_or("–"),
            target.reason.as_deref().unwrap_or_default(),
        ));
    }
    Ok(())
}

/// `autoscale request`.
pub(crate) async fn request(args: &RequestArgs) -> anyhow::Result<()> {
    let found = connect(&args.ask.pool)?.requests(&args.id).await.map_err(failed)?;
    if args.ask.output != Output::Table {
        return output::value(&found, args.ask.output == Output::Yaml);
    }
    for request in &found {
        for (key, value) in request.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::line(&format!("{key:14} {value}"));
        }
        output::line("");
    }
    Ok(())
}
