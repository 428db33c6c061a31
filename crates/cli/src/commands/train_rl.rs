//! `autoscale train-rl`: the table of the policy `rl`, learnt on a trace's beginning, judged on
//! the rest.

use control::policy::rl;
use serde_json::json;
use simulator::fluid::{self, Driver};
use simulator::{ContestError, Load, optimum, train};

use super::simulate::progress::Progress;
use super::simulate::{one_scenario, read, refused};
use crate::args::{Output, TrainRlArgs};
use crate::failure::Hint;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &TrainRlArgs) -> anyhow::Result<()> {
    let trace = read(&args.trace, &args.scenario, false)?;
    let scenario = one_scenario(&args.scenario)?;
    let load = Load::new(&trace, &scenario).hint("`autoscale train-rl --help` lists each setting")?;
    if !(args.seen > 0.0 && args.seen < 1.0) {
        let because = format!("the part to learn from must be above 0 and below 1, not {}", args.seen);
        return Err(anyhow::anyhow!(because)).hint("as in --seen 70%: it is judged on the rest");
    }
    let episodes = args.episodes;
    let progress = Progress::new(usize::try_from(episodes).unwrap_or(usize::MAX), false);
    let seen = load.until(args.seen);
    let table = train::train(&seen, &scenario, episodes, args.seed, &|| progress.one_more());
    progress.clear();
    let rest = load.scored_after(args.seen);
    let optimal = optimum::solve(&rest, &scenario, false).cost;
    let ratio = |config| -> Result<f64, ContestError> {
        let controller = fluid::controller(config, &scenario)?;
        let tally = fluid::run(&rest, &scenario, Driver::Controller(Box::new(controller)), None);
        Ok(tally.cost(scenario.kappa) / optimal)
    };
    let hpa = control::PolicyConfig { name: "hpa".to_owned(), settings: serde_json::Map::new() };
    let learnt = rl::config(&table);
    let (ours, theirs) = (ratio(learnt.clone()).map_err(refused)?, ratio(hpa).map_err(refused)?);
    let tried = table.iter().filter(|worth| **worth > table.iter().copied().fold(0.0, f64::min)).count();
    if let Some(path) = &args.out {
        let file = json!({"policy": learnt.name, "settings": learnt.settings});
        fs_err::write(path, format!("{file}\n")).hint("name a file that can be written with --out")?;
    }
    let found = json!({
        "trace": trace.name, "episodes": episodes, "seed": args.seed,
        "pairs_tried": tried, "pairs": table.len(),
        "held_out": {"rl_cost_ratio": ours, "hpa_cost_ratio": theirs},
        "table": table,
    });
    match args.output {
        Output::Json => output::value(&found, false)?,
        Output::Yaml => output::value(&found, true)?,
        Output::Table => {
            output::line(&format!(
                "{}: {episodes} episodes, {tried} of {} pairs of state and action tried",
                trace.name, found["pairs"]
            ));
            output::line(&format!(
                "on the part it has not seen: rl {ours:.3} × the optimum, hpa {theirs:.3} ×"
            ));
            if ours > theirs {
                output::line("that is worse than the HPA: more --episodes, or a longer trace");
            }
            match &args.out {
                Some(path) => output::line(&format!("simulate with --policies {}", path.display())),
                None => output::line("nothing is kept: --out FILE writes what was learnt as a policy"),
            };
        }
    }
    Ok(())
}
