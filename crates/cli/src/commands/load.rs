//! `autoscale load`: the load generator.

use std::io::IsTerminal;
use std::str::FromStr;
use std::time::Duration;

use clock::Clock;
use loadgen::plan::{Pattern, Spacing, Stages, Trace};
use loadgen::{LoadConfig, Progress, Rate, Report, Shape, Target, Thresholds, Trust, Verdict};
use tokio_util::sync::CancellationToken;

use crate::args::{LoadArgs, Output};
use crate::failure::{BREACHED, FAILED, Hint, INVALID};
use crate::{output, shutdown};

/// Runs the command; the exit code tells whether the numbers are good.
pub(crate) async fn run(args: &LoadArgs) -> anyhow::Result<()> {
    let config = config(args)?;
    let thresholds = thresholds(&args.fail_if)?;
    let stop = CancellationToken::new();
    shutdown::listen(stop.clone())?;
    let quiet = args.quiet || !std::io::stderr().is_terminal();
    let progress = |progress: Progress| {
        if !quiet {
            output::complain(&line(&progress));
        }
    };
    let report = loadgen::run(config, Clock::start(), stop, progress)
        .await
        .hint("`autoscale load --help` shows examples")?;
    print(&report, args)?;
    judge(&report, &thresholds)
}

fn thresholds(typed: &[String]) -> anyhow::Result<Thresholds> {
    let parsed = typed.iter().map(|text| Thresholds::from_str(text));
    let all: Vec<Thresholds> =
        parsed.collect::<Result<_, _>>().hint("try p99>200ms, failed>1% or rate<50")?;
    Ok(Thresholds(all.into_iter().flat_map(|some| some.0).collect()))
}

fn config(args: &LoadArgs) -> anyhow::Result<LoadConfig> {
    let url = args.target.as_ref().or(args.url.as_ref()).map_or("", String::as_str);
    let target = Target::from_str(url).hint("as in http://127.0.0.1:8000/")?;
    let mut config = LoadConfig::new(target);
    config.shape = shape(args)?;
    // In the open loop clients come as they are needed: a number given is a number meant.
    config.connections = args.threads.or((config.shape == Shape::Closed).then_some(CLOSED_LOOP));
    config.duration = args.duration;
    config.requests = args.requests;
    config.trust = trust(args)?;
    config.timeout = args.timeout;
    config.method = args
        .method
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| anyhow::anyhow!("`{}` is no method", args.method))
        .hint("try GET or POST")?;
    if let Some(seed) = args.poisson {
        config.spacing = Spacing::Poisson { seed };
    }
    Ok(config)
}

fn trust(args: &LoadArgs) -> anyhow::Result<Trust> {
    match &args.cacert {
        Some(path) => {
            Ok(Trust::Authorities(fs_err::read(path).hint("`autoscale tls init` makes one: ca.pem")?))
        }
        None if args.insecure => Ok(Trust::Anyone),
        None => Ok(Trust::Loopback),
    }
}

/// Clients of a closed loop that was not given a number.
const CLOSED_LOOP: u32 = 20;

fn shape(args: &LoadArgs) -> anyhow::Result<Shape> {
    let rate =
        args.rate.as_deref().map(Rate::from_str).transpose().hint("requests a second, as in 200 or 50/s")?;
    if let Some(path) = &args.trace {
        let trace = Trace::read(path).coded("a trace is a CSV with the columns time_s,value", FAILED)?;
        return Ok(Shape::Trace(trace));
    }
    if let Some(stages) = &args.stages {
        let stages = Stages::from_str(stages).hint("as in 10s:50,20s:400,10s:hold")?;
        return Ok(Shape::Stages { start: rate.unwrap_or(Rate::ZERO), stages });
    }
    if let Some(pattern) = &args.pattern {
        let pattern = Pattern::from_str(pattern).hint("try constant, ramp, sine, step or burst")?;
        let rate =
            rate.ok_or_else(|| anyhow::anyhow!("a pattern needs its highest rate")).hint("add --rate 200")?;
        return Ok(Shape::Pattern { pattern, rate });
    }
    Ok(rate.map_or(Shape::Closed, Shape::Rate))
}

fn line(progress: &Progress) -> String {
    let latency = progress.latency_ms.as_ref().map_or("no answer yet".to_owned(), |latency| {
        format!("p50 {:.1} ms  p99 {:.1} ms", latency.p50, latency.p99)
    });
    let elapsed = Duration::from_secs(progress.elapsed.as_secs());
    format!(
        "{:>5}  {:>7} sent  {:>6.0}/s  {latency}  {} in flight  {} failed",
        control::span::format(elapsed),
        progress.sent,
        progress.rate_per_second,
        progress.in_flight,
        progress.failed,
    )
}

fn print(report: &Report, args: &LoadArgs) -> anyhow::Result<()> {
    match args.output {
        Output::Yaml => output::value(report, true),
        Output::Json => output::value(report, false),
        Output::Table if args.json => output::value(report, false),
        Output::Table => {
            output::line(report.to_string().trim_end());
            Ok(())
        }
    }
}

fn judge(report: &Report, thresholds: &Thresholds) -> anyhow::Result<()> {
    if report.verdict == Verdict::Invalid {
        return Err(anyhow::anyhow!("the measurement is invalid: {}", report.reasons.join("; ")))
            .coded("ask for less, or give the generator a machine of its own", INVALID);
    }
    let breaches: Vec<String> = thresholds.check(report).iter().map(ToString::to_string).collect();
    if !breaches.is_empty() {
        return Err(anyhow::anyhow!("{}", breaches.join("; "))).coded("asked for with --fail-if", BREACHED);
    }
    if report.sent > 0 && report.succeeded == 0 {
        return Err(anyhow::anyhow!("no request succeeded"))
            .coded("does anything listen there? try it with curl", FAILED);
    }
    Ok(())
}
