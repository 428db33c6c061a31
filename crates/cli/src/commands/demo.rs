//! `autoscale demo`: pool, balancer, scaling, dashboard and a scripted load that takes it from
//! one worker to five and back.

use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use control::Cycle;
use dashboard::terminal::screen::Update;
use futures_util::stream;
use loadgen::plan::Stages;
use loadgen::{LoadConfig, Rate, Report, Shape, Target, Trust};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::{announce, show};
use super::summary;
use crate::args::{DemoArgs, RunArgs};
use crate::config::resolve;
use crate::failure::{FAILED, Hint};
use crate::output;
use crate::wiring::{self, Running, Taken};

/// The load: a quiet start, a rise to three workers' worth, a while there, and quiet again until
/// the pool is back at its smallest.
const SCRIPT: &str = "4s:4,8s:150,14s:hold,3s:3";
/// The same, in a hurry.
const QUICK_SCRIPT: &str = "1s:4,2s:150,5s:hold,1s:3";
/// Longest demo; a machine too slow for this is told so.
const LONGEST: Duration = Duration::from_secs(88);
/// Progress of the load under way to the screen; more than this is dropped.
const PROGRESS_MAX: usize = 8;

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let settings = settings(args);
    let config = resolve(&settings)?.config;
    let (min, max) = (config.control.min, config.control.max);
    let running = wiring::start(config, settings, Taken::Next).await?;
    announce(&running);
    let (progress, shown) = mpsc::channel(PROGRESS_MAX);
    let stop_load = running.stop.child_token();
    let script = if args.quick { QUICK_SCRIPT } else { SCRIPT };
    let scheme = wiring::tls::scheme(&running.config().balancer.transport);
    let url = format!("{scheme}://{}/", running.listen);
    let load = start_load(&url, script, stop_load.clone(), progress)?;
    let watching = tokio::spawn(until_back(Watched::of(&running), script_length(script)?, max, min));

    let updates = stream::unfold(shown, async |mut shown| Some((shown.recv().await?, shown)));
    let face = show(&running, None, updates).await;

    let whole = running.stop.is_cancelled() && watching.await.unwrap_or(false);
    stop_load.cancel();
    let report = tokio::task::spawn_blocking(move || load.join()).await?;
    let ledger = summary::ledger(&running.board);
    running.finish().await?;
    face?;
    let report = report.map_err(|_| anyhow::anyhow!("the load generator panicked"))??;
    conclude(&report, &ledger, whole, min, max)
}

/// What the user gave, and the demo's own pace where nothing was given.
fn settings(args: &DemoArgs) -> RunArgs {
    let mut settings = args.run.clone();
    if args.quick {
        settings.interval.get_or_insert(Duration::from_millis(500));
        settings.cooldown_up.get_or_insert(Duration::from_millis(500));
        settings.cooldown_down.get_or_insert(Duration::from_secs(1));
        settings.warm_up.get_or_insert(Duration::from_millis(500));
    }
    settings
}

fn script_length(script: &str) -> anyhow::Result<Duration> {
    let stages = script.split(',').filter_map(|stage| stage.split_once(':'));
    stages.map(|(length, _)| control::span::parse(length).map_err(anyhow::Error::msg)).sum()
}

/// Runs the script on a thread and a runtime of its own, so that it is disturbed as little as
/// one machine allows; the last rate goes on until stopped.
fn start_load(
    to: &str,
    script: &str,
    stop: CancellationToken,
    progress: mpsc::Sender<Update>,
) -> anyhow::Result<JoinHandle<anyhow::Result<Report>>> {
    let mut config = LoadConfig::new(to.parse::<Target>()?);
    // It is our own balancer, whatever its certificate.
    config.trust = Trust::Anyone;
    let start = Rate::per_second(4.0).unwrap_or(Rate::ZERO);
    config.shape = Shape::Stages { start, stages: Stages::from_str(script)? };
    config.duration = Some(LONGEST);
    config.timeout = Duration::from_secs(30);
    config.grace = Duration::from_secs(30);
    let drive = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(loadgen::run(config, Clock::start(), stop, |now| {
            let text = format!("{:.0}/s, {} sent, {} failed", now.rate_per_second, now.sent, now.failed);
            // Dropped when nobody looks.
            let _ = progress.try_send(Update::Load(Some(text)));
        }))?;
        Ok(report)
    };
    Ok(std::thread::Builder::new().name("demo-load".to_owned()).spawn(drive)?)
}

/// What the end of the demo is read from.
struct Watched {
    board: Arc<admin::Board>,
    stop: CancellationToken,
    clock: Clock,
}

impl Watched {
    fn of(running: &Running) -> Self {
        Self { board: Arc::clone(&running.board), stop: running.stop.clone(), clock: running.clock }
    }
}

/// Stops the demo when the pool has been at its largest and is back at its smallest, or when it
/// takes too long. True: it went the whole way.
async fn until_back(watched: Watched, script: Duration, max: u32, min: u32) -> bool {
    let mut cycles = watched.board.subscribe();
    let started = watched.clock.now();
    let mut was_full = false;
    loop {
        let cycle = tokio::select! {
            () = watched.stop.cancelled() => return false,
            cycle = cycles.recv() => cycle,
        };
        let Ok(cycle) = cycle else { continue };
        let Cycle::Decided { seen, .. } = cycle.as_ref() else { continue };
        was_full |= seen.fleet.ready == max;
        let elapsed = Duration::try_from(seen.at.duration_since(started)).unwrap_or_default();
        let at_rest = seen.fleet.ready == min && seen.fleet.desired == min && seen.fleet.draining == 0;
        if (was_full && at_rest && elapsed > script) || elapsed > LONGEST {
            watched.stop.cancel();
            return was_full && at_rest;
        }
    }
}

fn conclude(
    report: &Report,
    ledger: &control::ledger::Ledger,
    whole: bool,
    min: u32,
    max: u32,
) -> anyhow::Result<()> {
    output::line("");
    output::line(&format!("requests  {} sent, {} failed", report.sent, report.failed + report.dropped));
    if let Some(latency) = &report.latency_ms {
        output::line(&format!(
            "latency   p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, from the moment each was due",
            latency.p50, latency.p95, latency.p99
        ));
    }
    for line in summary::reactions(ledger) {
        output::line(&line);
    }
    output::line(&summary::costs(ledger, max));
    if report.failed + report.dropped > 0 {
        let kinds: Vec<String> =
            report.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        return Err(anyhow::anyhow!(
            "{} requests failed: {}",
            report.failed + report.dropped,
            kinds.join(", ")
        ))
        .coded("`autoscale demo --plain --record demo.db` keeps every turn for a look", FAILED);
    }
    if !whole {
        output::line(&format!("note      ended before the pool had gone {min} → {max} → {min}"));
    }
    Ok(())
}
