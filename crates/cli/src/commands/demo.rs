//! `autoscale demo`: pool, balancer, scaling, dashboard and a scripted load that takes it from
//! one worker to five and back, or in waves for a policy that plans.

mod script;
mod waves;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use control::Cycle;
use dashboard::terminal::screen::Update;
use futures_util::stream;
use loadgen::{LoadConfig, Report, Target, Trust};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::script::Script;
use self::waves::Waves;
use super::run::{announce, show};
use super::summary;
use crate::args::DemoArgs;
use crate::config::resolve;
use crate::failure::{FAILED, Hint};
use crate::output;
use crate::wiring::{self, Running, Taken};

/// Progress of the load under way to the screen; more than this is dropped.
const PROGRESS_MAX: usize = 8;

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let script = Script::of(args)?;
    let settings = script::settings(args)?;
    let config = resolve(&settings)?.config;
    let (min, max) = (config.control.min, config.control.max);
    let running = wiring::start(config, settings, Taken::Next).await?;
    announce(&running);
    let (progress, shown) = mpsc::channel(PROGRESS_MAX);
    let stop_load = running.stop.child_token();
    let scheme = wiring::tls::scheme(&running.config().balancer.transport);
    let url = format!("{scheme}://{}/", running.listen);
    let load = start_load(&url, &script, stop_load.clone(), progress)?;
    let watched = Watched::of(&running);
    let watching = if script.waves {
        tokio::spawn(through_waves(watched, script.length))
    } else {
        tokio::spawn(until_back(watched, script.clone(), max, min))
    };

    let updates = stream::unfold(shown, async |mut shown| Some((shown.recv().await?, shown)));
    let face = show(&running, None, updates).await;

    let end = watching.await.unwrap_or(End::Early);
    stop_load.cancel();
    let report = tokio::task::spawn_blocking(move || load.join()).await?;
    let ledger = summary::ledger(&running.board);
    running.finish().await?;
    face?;
    let report = report.map_err(|_| anyhow::anyhow!("the load generator panicked"))??;
    conclude(&report, &ledger, &end, (min, max))
}

/// Runs the script on a thread and a runtime of its own, so that it is disturbed as little as
/// one machine allows; the last rate goes on until stopped.
fn start_load(
    to: &str,
    script: &Script,
    stop: CancellationToken,
    progress: mpsc::Sender<Update>,
) -> anyhow::Result<JoinHandle<anyhow::Result<Report>>> {
    let mut config = LoadConfig::new(to.parse::<Target>()?);
    // It is our own balancer, whatever its certificate.
    config.trust = Trust::Anyone;
    config.shape = script.shape.clone();
    config.duration = Some(script.longest);
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

/// How the demo ended.
enum End {
    /// Before it was over: by hand, or because it took too long.
    Early,
    /// The pool went all the way and back.
    Back,
    /// All waves were played.
    Waves(Waves),
}

/// Stops the demo when its waves are over.
async fn through_waves(watched: Watched, length: Duration) -> End {
    let mut cycles = watched.board.subscribe();
    let mut waves = Waves::new(watched.clock.now());
    loop {
        let cycle = tokio::select! {
            () = watched.stop.cancelled() => return End::Waves(waves),
            cycle = cycles.recv() => cycle,
        };
        let Ok(cycle) = cycle else { continue };
        waves.see(&cycle);
        if Duration::try_from(cycle.at().duration_since(waves.begun())).is_ok_and(|elapsed| elapsed > length)
        {
            watched.stop.cancel();
        }
    }
}

/// Stops the demo when the pool has been at its largest and is back at its smallest, or when it
/// takes too long.
async fn until_back(watched: Watched, script: Script, max: u32, min: u32) -> End {
    let mut cycles = watched.board.subscribe();
    let started = watched.clock.now();
    let mut was_full = false;
    loop {
        let cycle = tokio::select! {
            () = watched.stop.cancelled() => return End::Early,
            cycle = cycles.recv() => cycle,
        };
        let Ok(cycle) = cycle else { continue };
        let Cycle::Decided { seen, .. } = cycle.as_ref() else { continue };
        was_full |= seen.fleet.ready == max;
        let elapsed = Duration::try_from(seen.at.duration_since(started)).unwrap_or_default();
        let at_rest = seen.fleet.ready == min && seen.fleet.desired == min && seen.fleet.draining == 0;
        let whole = was_full && at_rest;
        if (whole && elapsed > script.length) || elapsed > script.longest {
            watched.stop.cancel();
            return if whole { End::Back } else { End::Early };
        }
    }
}

fn conclude(
    report: &Report,
    ledger: &control::ledger::Ledger,
    end: &End,
    (min, max): (u32, u32),
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
    if let End::Waves(waves) = end {
        for line in waves.told() {
            output::line(&line);
        }
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
    if matches!(end, End::Early) {
        output::line(&format!("note      ended before the pool had gone {min} → {max} → {min}"));
    }
    Ok(())
}
