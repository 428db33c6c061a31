//! `autoscale doctor signal`: whether a signal does what every scaling rule takes for granted, that
//! it falls when a worker is added.

mod elasticity;

use std::time::Duration;

use admin::Client;
use clock::Clock;
use control::policy::signal::Signal;
use control::{Cycle, ScaleTo, State};
use jiff::Timestamp;

use self::elasticity::{Finding, Reading, Step, Verdict};
use super::reach::{connect, failed};
use crate::args::{DoctorArgs, DoctorCommand, DoctorSignalArgs, Output};
use crate::failure::{FAILED, Hint, INVALID};
use crate::output;

/// Time that a step has to become ready: start-up deadlines are shorter.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at the pool.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Turns read after a step: a turn takes a tenth of a second at least in pools that are watched.
const TURNS_MAX: usize = 1_000;
/// Readings a step, without which its mean means nothing.
const READINGS_MIN: usize = 3;

/// Runs the command.
pub(crate) async fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let DoctorCommand::Signal(args) = &args.command;
    let client = connect(&args.ask.pool)?;
    let status = client.status().await.map_err(failed)?;
    let name = args.signal.clone().unwrap_or_else(|| status.signal.clone());
    let named = |name: String| serde_json::from_value::<Signal>(name.into());
    let signal = named(name.clone())
        // A policy that follows a named reading tells its bare name.
        .or_else(|error| if args.signal.is_some() { Err(error) } else { named(format!("custom:{name}")) })
        .map_err(|error| anyhow::anyhow!("`{name}` is no signal: {error}"))
        .hint("worker_cpu, host_cpu, rps, in_flight, latency_p95, queue_wait, or custom:NAME")?;
    let from = args.from.unwrap_or(status.min.max(1));
    let to = args.to.unwrap_or(status.max);
    if from >= to || to > status.max || from < status.min {
        return Err(anyhow::anyhow!(
            "no steps from {from} to {to} in a pool of {} to {}",
            status.min,
            status.max
        ))
        .hint("--from and --to lie within the pool's bounds; two numbers of workers are needed at least");
    }
    let clock = Clock::start();
    let measured = steps(&client, &signal, from..=to, args, clock).await;
    // Whatever came of it, the policy decides again; were this lost, the hold ends by itself.
    let resumed = client.resume().await.map_err(failed);
    let finding = Finding::of(&name, signal.unit(), measured?);
    resumed?;
    match args.ask.output {
        Output::Json => output::value(&finding, false)?,
        Output::Yaml => output::value(&finding, true)?,
        Output::Table => {
            output::line(finding.to_string().trim_end());
        }
    }
    if finding.verdict == Verdict::Invalid {
        return Err(anyhow::anyhow!("the measurement is invalid: {}", finding.warnings.join("; ")))
            .coded("put constant load on it: autoscale load URL --rate 30 -d 5m", INVALID);
    }
    Ok(())
}

async fn steps(
    client: &Client,
    signal: &Signal,
    numbers: std::ops::RangeInclusive<u32>,
    args: &DoctorSignalArgs,
    clock: Clock,
) -> anyhow::Result<Vec<Step>> {
    let mut all = Vec::new();
    for workers in numbers {
        let hold = READY_WITHIN + args.settle + args.measure;
        client.scale(ScaleTo::Exactly(workers), Some(hold)).await.map_err(failed)?;
        ready(client, workers, clock).await?;
        output::complain(&format!("{workers} ready; settling, then measuring"));
        clock.sleep(args.settle).await;
        let since = client.status().await.map_err(failed)?.at;
        clock.sleep(args.measure).await;
        let cycles = client.cycles(TURNS_MAX).await.map_err(failed)?;
        let readings: Vec<Reading> =
            cycles.iter().filter_map(|cycle| reading(cycle, signal, since)).collect();
        if readings.len() < READINGS_MIN {
            return Err(anyhow::anyhow!(
                "only {} readings of {signal} with {workers} workers",
                readings.len()
            ))
            .coded("a longer --measure, or another --signal: see `autoscale why`", INVALID);
        }
        all.push(Step::of(workers, &readings));
    }
    Ok(all)
}

fn reading(cycle: &Cycle, signal: &Signal, since: Timestamp) -> Option<Reading> {
    let Cycle::Decided { seen, .. } = cycle else { return None };
    let window = seen.traffic.as_ref().filter(|window| seen.at > since && !window.length.is_zero())?;
    Some(Reading {
        value: signal.value(seen)?,
        rate_per_second: window.rate_per_second(),
        queued: window.queued,
    })
}

async fn ready(client: &Client, workers: u32, clock: Clock) -> anyhow::Result<()> {
    let started = clock.uptime();
    loop {
        let status = client.status().await.map_err(failed)?;
        let all_ready = status.workers.iter().all(|worker| worker.state == State::Ready);
        if status.ready == workers && status.desired == workers && all_ready {
            return Ok(());
        }
        if clock.uptime().saturating_sub(started) > READY_WITHIN {
            return Err(anyhow::anyhow!("{workers} workers were not ready within {READY_WITHIN:?}"))
                .coded("`autoscale ps` and `autoscale events` show what they do", FAILED);
        }
        clock.sleep(LOOK_AGAIN).await;
    }
}
