//! Latency at a constant rate, from the moment each request was due: our own open-loop generator.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use loadgen::plan::Spacing;
use loadgen::{LoadConfig, Shape};
use tokio_util::sync::CancellationToken;

/// Milliseconds within which 99 of 100 requests were answered, at `rate` a second.
pub(crate) fn p99_ms(peer: SocketAddr, rate: u32, seconds: u32) -> anyhow::Result<f64> {
    let mut config = LoadConfig::new(format!("http://{peer}/128").parse()?);
    config.shape = Shape::Rate(format!("{rate}/s").parse()?);
    config.spacing = Spacing::Poisson { seed: 1 };
    config.duration = Some(Duration::from_secs(seconds.into()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let run = loadgen::run(config, Clock::start(), CancellationToken::new(), |_| {});
    let report = runtime.block_on(run)?;
    anyhow::ensure!(report.failed == 0, "{} of {} requests failed", report.failed, report.sent);
    Ok(report.latency_ms.context("no request was answered")?.p99)
}
