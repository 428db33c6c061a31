//! `autoscale tune`: a policy's settings for a load, searched on its beginning, judged on the rest.

use simulator::Bound;
use simulator::tune::space::{SPACES, Space};
use simulator::tune::{Least, Tuned, Tuning};

use super::simulate::progress::Progress;
use super::simulate::{cores, one_scenario, read, refused};
use crate::args::{Output, TuneArgs};
use crate::failure::Hint;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &TuneArgs) -> anyhow::Result<()> {
    let known = SPACES.iter().map(|space| space.policy).collect::<Vec<_>>().join(", ");
    let space = Space::of(&args.policy)
        .ok_or_else(|| anyhow::anyhow!("there is nothing to search for policy `{}`", args.policy))
        .hint(format!("--policy takes {known}"))?;
    let objective = bounds(&args.slo)?;
    let scenario = one_scenario(&args.scenario)?;
    let evaluations = usize::try_from(args.evaluations).unwrap_or(usize::MAX);
    let progress = Progress::new(evaluations * args.trace.len(), args.quiet);
    let mut all = Vec::new();
    for path in &args.trace {
        let trace = read(path, &args.scenario, args.quiet)?;
        let tuning = Tuning {
            trace: &trace,
            space,
            objective: &objective,
            least: if objective.is_empty() { Least::Cost } else { Least::WorkerSeconds },
            evaluations,
            seen: args.seen,
            seed: args.seed,
            scenario: &scenario,
        };
        all.push(tuning.run(args.threads.unwrap_or_else(cores), &|| progress.one_more()).map_err(refused)?);
    }
    progress.clear();
    match args.output {
        Output::Table => all.iter().for_each(table),
        Output::Json => output::value(&all, false)?,
        Output::Yaml => output::value(&all, true)?,
    }
    Ok(())
}

/// Bounds as typed.
pub(crate) fn bounds(texts: &[String]) -> anyhow::Result<Vec<Bound>> {
    let read = texts.iter().map(|text| Bound::parse(text).map_err(anyhow::Error::msg));
    read.collect::<anyhow::Result<_>>().hint("as in late<1%, violated<5%, p99<2s or cost_ratio<=1.5")
}

fn table(found: &Tuned) {
    output::line(&format!("{} after {} runs:", found.trace, found.evaluations));
    output::line(&format!("  {}", found.spelled));
    output::line("");
    output::line("                        cost/opt  worker-seconds  late req  violated   p99 s  flaps/h");
    let rows = [
        ("searched part", &found.seen),
        ("held-out part", &found.held_out),
        ("… with the defaults", &found.held_out_default),
    ];
    for (name, score) in rows {
        output::line(&format!(
            "  {name:20}  {:8.3}  {:14.0}  {:7.3}%  {:7.3}%  {:>6}  {:7.2}",
            score.cost_ratio,
            score.worker_seconds,
            100.0 * score.late_request_share,
            100.0 * score.violation_time_share,
            score.p99_s.map_or("-".to_owned(), |p99| format!("{p99:.2}")),
            score.flaps_per_hour,
        ));
    }
    if let Some(interval) = found.held_out.cost_ratio_interval {
        output::line(&format!(
            "  cost/opt on the held-out part lies between {:.3} and {:.3} with 90 % confidence",
            interval.low, interval.high
        ));
    }
    if found.objective.is_empty() && found.held_out.cost_ratio > found.held_out_default.cost_ratio {
        output::line("  there the defaults are cheaper: what paid on the searched part does not last");
    }
    for verdict in &found.objective {
        let sure =
            verdict.sure.map_or(String::new(), |sure| format!(", in {:.0} % of redrawn parts", 100.0 * sure));
        let value = verdict.value.map_or("none".to_owned(), |value| format!("{value:.4}"));
        let holds = if verdict.holds { "holds" } else { "is BROKEN" };
        output::line(&format!("  {} {holds} on the held-out part: {value}{sure}", verdict.bound));
    }
    output::line("");
}
