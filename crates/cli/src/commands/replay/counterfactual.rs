//! What other policies would have done: the load of a recorded run, in virtual time.

use simulator::{Contest, ContestantKind, Engine, Scenario, Size};

use crate::args::{Output, ReplayArgs};
use crate::commands::simulate::{contestants, cores, recording, refused};
use crate::failure::{FAILED, Hint};
use crate::output;
use crate::session::Recorded;

/// Runs the recorded load through `policies`, and through the recorded one as a yardstick.
pub(super) fn run(args: &ReplayArgs, policies: &str) -> anyhow::Result<()> {
    let name = args.run.file_stem().unwrap_or(args.run.as_os_str()).to_string_lossy();
    let (trace, measured) = recording::as_trace(&args.run, &name)?;
    let reader = super::open(&args.run)?;
    let session = reader.last_session()?.ok_or_else(|| anyhow::anyhow!("no session in it"));
    let session = session.coded("name a file written by `autoscale run --record FILE`", FAILED)?;
    let recorded: Recorded = serde_json::from_value(session.header.config)?;
    let control = recorded.control;
    let rate = measured.worker_rate.ok_or_else(|| anyhow::anyhow!("no CPU was measured in it"));
    let rate = rate.coded("simulate it with --trace and a size: --peak-workers or --worker-rate", FAILED)?;
    let scenario = Scenario {
        size: Size::WorkerRate(rate),
        decide_every: control.interval,
        start_up: measured.start_up.unwrap_or_default(),
        min: control.min,
        max: Some(control.max),
        ..Scenario::default()
    };
    let mut contestants = contestants::parse(policies)?;
    if let Some(path) = &args.record {
        recording::only_one(&contestants, std::slice::from_ref(&trace))?;
        recording::record(path, &trace, &contestants[0], &scenario, &Engine::Fluid)?;
    }
    contestants.push(simulator::Contestant {
        name: format!("recorded: {}", control.policy.name),
        kind: ContestantKind::Policy(control.policy),
    });
    contestants.push(simulator::Contestant { name: "optimal".to_owned(), kind: ContestantKind::Optimal });
    let traces = [trace];
    let contest = Contest::of(&traces, &contestants, &scenario);
    let scores = contest.run(cores(), &|| ()).map_err(refused)?;
    match args.output {
        Output::Json => return output::value(&scores, false),
        Output::Yaml => return output::value(&scores, true),
        Output::Table => {}
    }
    output::line(&format!(
        "a worker serves {rate:.1} requests/s and is ready after {:.2} s; decisions every {} s, {} to {} workers",
        scenario.start_up.as_secs_f64(),
        scenario.decide_every.as_secs_f64(),
        scenario.min,
        control.max
    ));
    output::line("policy                      cost/opt  worker-s  late req  violated  outs   ins");
    for score in &scores {
        output::line(&format!(
            "{:26}  {:8.3}  {:8.0}  {:7.3}%  {:7.3}%  {:4}  {:4}",
            score.policy,
            score.cost_ratio,
            score.worker_seconds,
            100.0 * score.late_request_share,
            100.0 * score.violation_time_share,
            score.scale_outs,
            score.scale_ins
        ));
    }
    Ok(())
}
