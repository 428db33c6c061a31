//! `autoscale simulate`: policies on recorded load, in virtual time, against the best possible.

pub(crate) mod contestants;
mod costs;
mod page;
mod print;
pub(crate) mod progress;
pub(crate) mod recording;
mod told;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use simulator::des::{Des, Faults};
use simulator::trace::{Kind, Told};
use simulator::{Contest, ContestError, Contestant, Engine, Scenario, Size, Trace};

use super::play;
use crate::args::{EngineArgs, EngineName, Print, ScenarioArgs, SimulateArgs, ValueKind};
use crate::failure::{Hint, hint, read_text};
use crate::output;
use progress::Progress;

/// Runs the command.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    if args.chaos {
        return told::chaos(args.engine.des.seed, args.engine.des.seeds);
    }
    if let Some(path) = &args.file {
        return told::file(path);
    }
    let drawn = args.html.is_some() || args.output == Print::Html;
    let mut contestants = contestants::parse(&args.policies)?;
    let traces = read_all(args)?;
    if args.record.is_some() {
        recording::only_one(&contestants, &traces)?;
    }
    // After that: a run file may be written beside a page.
    if drawn {
        page::add_optimum(&mut contestants);
    }
    let prices = args.costs.as_deref().map(costs::read).transpose()?;
    let scenario = Scenario { prices, ..scenario(&args.scenario) };
    if let Some(path) = &args.record {
        recording::record(path, &traces[0], &contestants[0], &scenario, &engine(&args.engine))?;
    }
    if args.watch {
        watch(args, &traces[0], &contestants[0], &scenario)?;
    }
    let start_ups = start_ups(&args.scenario);
    let engine = engine(&args.engine);
    let contest = Contest {
        traces: &traces,
        contestants: &contestants,
        start_ups: &start_ups,
        scenario: &scenario,
        engine: &engine,
        columns: Some(page::COLUMNS),
    };
    if args.engine.name == EngineName::Fluid && args.engine.des.seeds > 1 && !args.quiet {
        output::complain(
            "there is no chance in the fluid engine: one seed stands for all (see --engine des)",
        );
    }
    let progress = Progress::new(contest.size(), args.quiet);
    let threads = args.threads.unwrap_or_else(cores);
    let scores = contest.run(threads, &|| progress.one_more()).map_err(refused)?;
    progress.clear();
    if let Some(path) = &args.html {
        let text = page::of(&scores, &scenario, &traces);
        fs_err::write(path, text).hint("name a file that can be written with --html")?;
    }
    match args.output {
        Print::Html => drop(output::line(page::of(&scores, &scenario, &traces).trim_end())),
        Print::Table => print::table(&scores, traces.len(), args.ledger),
        Print::Json => output::value(&scores, false)?,
        Print::Csv => print::csv(&scores)?,
    }
    Ok(())
}

/// The first policy on the first trace, on the dashboard.
fn watch(
    args: &SimulateArgs,
    trace: &Trace,
    contestant: &Contestant,
    scenario: &Scenario,
) -> anyhow::Result<()> {
    let run = recording::Run::new(trace, contestant, scenario, &engine(&args.engine))?;
    let warp = args.warp.unwrap_or_else(|| play::pace(run.length()));
    let name = format!("on {}", trace.name);
    // What the engine refuses it refuses before the first turn: the scores say so.
    let source: play::Source = Arc::new(move |show| drop(run.turns(show)));
    play::show(play::Show { name, source, warp })
}

/// As many threads as can run at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The scenario that the arguments describe, with the first of its start-up delays.
fn scenario(args: &ScenarioArgs) -> Scenario {
    Scenario {
        size: args.worker_rate.map_or(Size::PeakWorkers(args.peak_workers), Size::WorkerRate),
        compress: args.compress,
        decide_every: args.decide_every,
        slo_utilisation: args.slo_utilisation,
        kappa: args.kappa,
        start_up: args.start_up.first().copied().unwrap_or_default(),
        min: args.min,
        max: args.max,
        service_time: args.service_time,
        patience: args.patience,
        metric_delay: args.metric_delay,
        drain: args.drain,
        outages: Vec::new(),
        prices: None,
    }
}

/// The same for commands that run one start-up delay at a time.
pub(crate) fn one_scenario(args: &ScenarioArgs) -> anyhow::Result<Scenario> {
    if start_ups(args).len() > 1 {
        let advice = "name one with --start-up; `simulate` runs several side by side";
        return Err(hint(anyhow::anyhow!("only one start-up delay can be looked at here"), advice));
    }
    Ok(scenario(args))
}

/// The engine that the arguments describe.
pub(crate) fn engine(args: &EngineArgs) -> Engine {
    let wanted = &args.des;
    match args.name {
        EngineName::Fluid => Engine::Fluid,
        EngineName::Des => Engine::Des {
            des: Des {
                seed: wanted.seed,
                service: wanted.service_law.clone(),
                start_up: wanted.start_up_law.clone(),
                algorithm: wanted.algorithm.clone(),
                in_flight_max: (wanted.max_in_flight > 0).then_some(wanted.max_in_flight),
                threads: None,
                credits: wanted.worker_model.0,
                faults: Faults {
                    crashes_per_hour: wanted.crashes,
                    hangs_per_hour: wanted.hangs,
                    metric_loss: wanted.metric_loss,
                    warm_up: wanted.warm_up,
                    warm_up_speed: wanted.warm_up_speed,
                    interruptions_per_hour: wanted.interruptions,
                    notice: wanted.notice,
                    regions: wanted.regions,
                    region_losses: wanted.lose_region.clone(),
                },
            },
            seeds: wanted.seeds,
        },
    }
}

/// Each start-up delay once, in the order given.
fn start_ups(args: &ScenarioArgs) -> Vec<Duration> {
    let mut all: Vec<Duration> = Vec::new();
    for start_up in &args.start_up {
        if !all.contains(start_up) {
            all.push(*start_up);
        }
    }
    all
}

fn read_all(args: &SimulateArgs) -> anyhow::Result<Vec<Trace>> {
    args.trace.iter().map(|path| read(path, &args.scenario, args.quiet)).collect()
}

/// Reads a trace, and says on stderr what is odd about it.
pub(crate) fn read(path: &Path, args: &ScenarioArgs, quiet: bool) -> anyhow::Result<Trace> {
    read_as(path, args.bucket, args.kind, quiet)
}

/// Reads a trace of which the user told these things.
pub(crate) fn read_as(
    path: &Path,
    bucket: Option<Duration>,
    kind: Option<ValueKind>,
    quiet: bool,
) -> anyhow::Result<Trace> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    if recording::is_run(path) {
        return Ok(recording::as_trace(path, &name)?.0);
    }
    let text =
        read_text(path, "name a file with --trace: CSV, JSON of CloudWatch or Prometheus, an access log")?;
    let told = Told {
        format: None,
        bucket,
        kind: kind.map(|kind| match kind {
            ValueKind::RequestsPerBucket => Kind::RequestsPerBucket,
            ValueKind::Rate => Kind::Rate,
            ValueKind::CpuPercent => Kind::CpuPercent,
            ValueKind::Other => Kind::Other,
        }),
    };
    let trace = Trace::read(&name, &text, &told)
        .map_err(|error| anyhow::Error::from(error).context(path.display().to_string()))
        .hint("a trace is CSV with the header time_s,value (or time_s: one row a request)")?;
    if !quiet {
        complain(path, &trace);
    }
    Ok(trace)
}

fn complain(path: &Path, trace: &Trace) {
    let found = &trace.hygiene;
    let path = path.display();
    if found.broken_total > 0 {
        output::complain(&format!("{path}: {} of {} rows cannot be used", found.broken_total, found.rows));
        for broken in &found.broken {
            output::complain(&format!("{path}: line {}: {}", broken.line, broken.because));
        }
    }
    if found.repeated > 0 {
        output::complain(&format!("{path}: {} rows repeat a time; the first of each stands", found.repeated));
    }
    for note in &found.notes {
        output::complain(&format!("{path}: {note}"));
    }
}

/// An error of the simulator, with advice.
pub(crate) fn refused(error: ContestError) -> anyhow::Error {
    match error {
        ContestError::Scenario(error) => hint(error.into(), "`autoscale simulate --help` lists each setting"),
        ContestError::Policy(error) => crate::config::refused(error),
    }
}
