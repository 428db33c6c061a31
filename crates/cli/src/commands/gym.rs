//! `autoscale gym`: scaling as a game, one JSON object a line, for agents in any language.

use std::io::BufRead;

use control::Observation;
use serde::Deserialize;
use serde_json::json;
use simulator::gym::{self, Turn};
use simulator::{Contestant, Load};

use super::simulate::{one_scenario, read};
use crate::args::GymArgs;
use crate::failure::{Hint, USAGE, coded};
use crate::output;

/// What an agent answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    replicas: Option<u32>,
    change: Option<i32>,
}

/// Runs the command, until the load ends or the agent stops answering.
pub(crate) fn run(args: &GymArgs) -> anyhow::Result<()> {
    let trace = read(&args.trace, &args.scenario, true)?;
    let scenario = one_scenario(&args.scenario)?;
    let load = Load::new(&trace, &scenario).hint("`autoscale gym --help` lists each setting")?;
    let mut lines = std::io::stdin().lock().lines();
    let mut wrong = None;
    let mut gone = false;
    let mut agent = |_: &Observation, turn: &Turn| {
        if gone {
            return turn.desired;
        }
        let told = serde_json::to_string(turn).map(|text| output::line(&text));
        let answer = if matches!(told, Ok(true)) { lines.next() } else { None };
        let Some(Ok(line)) = answer else {
            gone = true;
            return turn.desired;
        };
        match serde_json::from_str::<Answer>(&line) {
            Ok(Answer { replicas: Some(replicas), change: None }) => replicas,
            Ok(Answer { replicas: None, change: Some(change) }) => turn.desired.saturating_add_signed(change),
            Ok(_) => {
                (wrong, gone) = (Some("an action is either replicas or change".to_owned()), true);
                turn.desired
            }
            Err(error) => {
                (wrong, gone) = (Some(format!("`{line}` is no action: {error}")), true);
                turn.desired
            }
        }
    };
    let played = gym::play(&load, &scenario, &mut agent);
    if let Some(wrong) = wrong {
        return Err(coded(anyhow::Error::msg(wrong), "{\"replicas\":4} or {\"change\":-1}", USAGE));
    }
    if gone {
        // Nobody is there to be told the end.
        return Ok(());
    }
    let optimal = gym::optimal_cost(&load, &scenario);
    let tally = &played.tally;
    let cost = tally.cost(scenario.kappa);
    output::line(
        &json!({"done": true, "reward": played.last_reward, "score": {
            "cost": cost, "optimal_cost": optimal, "cost_ratio": cost / optimal,
            "worker_seconds": tally.billed, "late_worker_seconds": tally.late, "reward": -cost,
            "scale_outs": tally.scale_outs, "scale_ins": tally.scale_ins,
        }})
        .to_string(),
    );
    Ok(())
}

/// Policies by name, as yardsticks of what was learnt.
pub(super) fn named(names: &[&str]) -> anyhow::Result<Vec<Contestant>> {
    names.iter().map(|name| Contestant::parse(name).map_err(crate::config::refused)).collect()
}
