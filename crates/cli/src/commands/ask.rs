//! Commands that ask a running pool: `status ps events logs why why-not`.

use std::collections::VecDeque;

use admin::{Event, LogLine, Record, Status};
use control::Cycle;
use dashboard::{text, why};
use futures_util::StreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::reach::{connect, failed};
use crate::args::{AskArgs, EventsArgs, LogsArgs, Output, WhyArgs};
use crate::failure::{Hint, NOT_FOUND};
use crate::output;

/// `autoscale status`.
pub(crate) async fn status(args: &AskArgs) -> anyhow::Result<()> {
    let status = connect(&args.pool)?.status().await.map_err(failed)?;
    match args.output {
        Output::Json => output::value(&status, false),
        Output::Yaml => output::value(&status, true),
        Output::Table => {
            summary(&status);
            workers(&status);
            Ok(())
        }
    }
}

/// `autoscale ps`.
pub(crate) async fn ps(args: &AskArgs) -> anyhow::Result<()> {
    let status = connect(&args.pool)?.status().await.map_err(failed)?;
    match args.output {
        Output::Json => output::value(&status.workers, false),
        Output::Yaml => output::value(&status.workers, true),
        Output::Table => {
            workers(&status);
            Ok(())
        }
    }
}

fn summary(status: &Status) {
    let millis = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1} ms"));
    let requests = &status.requests;
    output::line(&format!(
        "workers   {} desired, {} ready ({} to {}), policy {} on {}",
        status.desired, status.ready, status.min, status.max, status.policy, status.signal
    ));
    output::line(&format!(
        "cpu       workers {}, host {}",
        text::percent(status.cpu.workers_percent),
        text::percent(status.cpu.host_percent)
    ));
    output::line(&format!(
        "requests  {} ended, {} failed, {} in flight, {} waiting, {:.0} a minute",
        requests.total, requests.failed, requests.in_flight, requests.queued, requests.per_minute
    ));
    output::line(&format!(
        "latency   p50 {}, p95 {}, p99 {}",
        millis(requests.latency_ms.p50),
        millis(requests.latency_ms.p95),
        millis(requests.latency_ms.p99)
    ));
    if let Some(held) = status.held {
        let until = status.held_until.map_or("resumed".to_owned(), |until| until.to_string());
        output::line(&format!("held      at {held} until {until}"));
    }
    if status.paused {
        let until = status.paused_until.map_or("resumed".to_owned(), |until| until.to_string());
        output::line(&format!("paused    until {until}"));
    }
    if status.scale_in_paused {
        let until = status.paused_until.map_or("resumed".to_owned(), |until| until.to_string());
        output::line(&format!("scale-in  paused until {until}"));
    }
    if let Some(boost) = status.boost {
        output::line(&format!("boost     to {} or more until {}", boost.min, boost.until));
    }
    for shadow in &status.shadows {
        output::line(&format!(
            "shadow    {}: {} desired, {} ready, {} busy, {:.0} worker-seconds",
            shadow.label,
            shadow.desired,
            shadow.ready,
            text::percent(shadow.busy_percent),
            shadow.worker_seconds
        ));
    }
    for alarm in &status.alarms {
        output::line(&format!("alarm     {alarm}"));
    }
}

fn workers(status: &Status) {
    output::line(
        "ID    PID      STATE      CPU      MEMORY     IN-FLIGHT  RPM     UPTIME   RESTARTS  ADDRESS",
    );
    for worker in &status.workers {
        let missing = || "–".to_owned();
        output::line(&format!(
            "{:<5} {:<8} {:<10} {:<8} {:<10} {:<10} {:<7.0} {:<8} {:<9} {}",
            worker.id,
            worker.pid.map_or_else(missing, |pid| pid.to_string()),
            worker.state.to_string(),
            text::percent(worker.cpu_percent),
            worker.memory_bytes.map_or_else(missing, text::bytes),
            worker.in_flight,
            worker.requests_per_minute,
            format!("{:.0}s", worker.uptime_s),
            worker.restarts,
            worker.address.as_ref().map_or_else(missing, |address| format!("http://{address}"))
                + if worker.protected { " (protected)" } else { "" },
        ));
    }
}

/// `autoscale events`.
pub(crate) async fn events(args: &EventsArgs) -> anyhow::Result<()> {
    let client = connect(&args.ask.pool)?;
    if args.follow {
        let mut feed = client.follow_events(args.last).await.map_err(failed)?;
        while let Some(event) = feed.next().await {
            if !event_line(&event.map_err(failed)?, args.ask.output)? {
                break;
            }
        }
        return Ok(());
    }
    let events = client.events(args.last).await.map_err(failed)?;
    match args.ask.output {
        Output::Table => {
            for event in &events {
                event_line(event, Output::Table)?;
            }
            Ok(())
        }
        other => output::value(&events, other == Output::Yaml),
    }
}

/// One event a line; JSON lines when machines read.
fn event_line(event: &Event, how: Output) -> anyhow::Result<bool> {
    Ok(output::line(&match how {
        Output::Table => {
            let zone = TimeZone::system();
            format!("{}  {:8} {}", text::clock(event.at, &zone), event.kind.name(), event.text)
        }
        _ => serde_json::to_string(event)?,
    }))
}

/// `autoscale logs`.
pub(crate) async fn logs(args: &LogsArgs) -> anyhow::Result<()> {
    let client = connect(&args.pool)?;
    if args.follow {
        let mut feed = client.follow_logs(&args.id, args.last).await.map_err(failed)?;
        while let Some(line) = feed.next().await {
            if !log_line(&line.map_err(failed)?) {
                break;
            }
        }
        return Ok(());
    }
    for line in client.logs(&args.id, args.last).await.map_err(failed)? {
        if !log_line(&line) {
            break;
        }
    }
    Ok(())
}

fn log_line(line: &LogLine) -> bool {
    output::line(&format!("{} {} {}", text::clock(line.at, &TimeZone::system()), line.stream, line.text))
}

/// `autoscale why` and `why-not`.
pub(crate) async fn why(args: &WhyArgs) -> anyhow::Result<()> {
    let cycles = match &args.run {
        Some(path) => recorded(path, args)?,
        None => live(args).await?,
    };
    if cycles.is_empty() {
        return Err(anyhow::anyhow!("no decision has been taken yet"))
            .coded("ask again in a second", NOT_FOUND);
    }
    match args.ask.output {
        Output::Table => {
            let zone = TimeZone::system();
            let texts: Vec<String> = cycles.iter().map(|cycle| why::text(cycle, &zone)).collect();
            output::line(&texts.join("\n\n"));
            Ok(())
        }
        other => {
            let records: Vec<Record> = cycles.iter().map(Record::of).collect();
            output::value(&records, other == Output::Yaml)
        }
    }
}

/// Newest first.
async fn live(args: &WhyArgs) -> anyhow::Result<Vec<Cycle>> {
    let client = connect(&args.ask.pool)?;
    let wanted = if args.at.is_some() { usize::MAX } else { args.last.get() };
    let kept = client.cycles(wanted.min(admin::board::CYCLES_KEPT)).await.map_err(failed)?;
    select(kept, args)
}

fn recorded(path: &std::path::Path, args: &WhyArgs) -> anyhow::Result<Vec<Cycle>> {
    let reader = super::replay::open(path)?;
    let sessions = reader.sessions()?;
    super::replay::tell_of_no_end(path, &sessions);
    let mut tail = VecDeque::new();
    let mut nearest: Option<Cycle> = None;
    // A bare time is of the day on which the run began, not of today.
    let day = sessions.first().map_or_else(now, |session| session.header.started_at);
    let at = args.at.as_deref().map(|text| time(text, day)).transpose()?;
    for session in sessions {
        for recorded in reader.cycles(session.id)? {
            let cycle = recorded?.cycle;
            match at {
                Some(at) if nearest.as_ref().is_none_or(|old| distance(&cycle, at) < distance(old, at)) => {
                    nearest = Some(cycle);
                }
                Some(_) => {}
                None => {
                    if tail.len() >= args.last.get() {
                        tail.pop_front();
                    }
                    tail.push_back(cycle);
                }
            }
        }
    }
    Ok(nearest.map_or_else(|| tail.into_iter().rev().collect(), |one| vec![one]))
}

fn select(kept: Vec<Cycle>, args: &WhyArgs) -> anyhow::Result<Vec<Cycle>> {
    Ok(match args.at.as_deref().map(|text| time(text, now())).transpose()? {
        Some(at) => kept.into_iter().min_by_key(|cycle| distance(cycle, at)).into_iter().collect(),
        None => kept.into_iter().rev().take(args.last.get()).collect(),
    })
}

fn distance(cycle: &Cycle, at: Timestamp) -> jiff::SignedDuration {
    cycle.at().duration_since(at).abs()
}

fn now() -> Timestamp {
    clock::Clock::start().now()
}

/// `2026-01-31T12:03:15Z`, or a time of the day of `day` as in `12:03:15`.
fn time(text: &str, day: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day = day.to_zoned(TimeZone::system());
    text.parse::<jiff::civil::Time>()
        .map_err(anyhow::Error::from)
        .and_then(|time| Ok(day.with().time(time).build()?.timestamp()))
        .map_err(|_| anyhow::anyhow!("`{text}` is no time"))
        .hint("try 12:03:15, or 2026-01-31T12:03:15Z")
}
