//! `autoscale advise`: what kind of load it is, which policy won in simulation, and why.

use serde_json::json;
use simulator::advise::{Character, Workload, character};
use simulator::{Contest, Score};

use super::gym::named;
use super::simulate::{cores, one_scenario, read, refused};
use crate::args::{AdviseArgs, Output};
use crate::failure::Hint;
use crate::output;

/// Who is tried; the last is a yardstick.
const TRIED: [&str; 9] = [
    "threshold",
    "threshold:up=70,down=40",
    "hpa:target=50",
    "hpa",
    "hpa:target=85",
    "target_tracking:target=70",
    "kpa",
    "auto",
    YARDSTICK,
];
const YARDSTICK: &str = "best_static";
/// A number that never changes is advised if a policy saves less than this.
const WORTH_IT: f64 = 1.03;

/// Runs the command.
pub(crate) fn run(args: &AdviseArgs) -> anyhow::Result<()> {
    let trace = read(&args.trace, &args.scenario, false)?;
    let found =
        character(&trace).ok_or_else(|| anyhow::anyhow!("there is no load in it")).hint("is it a trace?")?;
    let scenario = one_scenario(&args.scenario)?;
    let contestants = named(&TRIED)?;
    let traces = [trace];
    let contest = Contest::of(&traces, &contestants, &scenario);
    let mut scores = contest.run(cores(), &|| ()).map_err(refused)?;
    scores.sort_by(|one, other| one.cost_ratio.total_cmp(&other.cost_ratio));
    let best = scores.iter().find(|score| score.policy != YARDSTICK);
    let fixed = scores.iter().find(|score| score.policy == YARDSTICK);
    let (Some(best), Some(fixed)) = (best, fixed) else { return Ok(()) };
    let keep_fixed = fixed.cost_ratio < WORTH_IT * best.cost_ratio;
    let winner = if keep_fixed { fixed } else { best };
    let why = why(&found, winner, &scores, keep_fixed);
    let advice = if keep_fixed { fixed.chosen.clone().unwrap_or_default() } else { winner.policy.clone() };
    let value =
        json!({"trace": winner.trace, "character": found, "advice": advice, "why": why, "scores": scores});
    match args.output {
        Output::Json => return output::value(&value, false),
        Output::Yaml => return output::value(&value, true),
        Output::Table => {}
    }
    output::line(&format!("{}: {}", winner.trace, kind(&found)));
    output::line("");
    output::line("policy                     cost/opt  waste   late  churn  flaps/h");
    for score in &scores {
        let parts = score.cost_parts;
        output::line(&format!(
            "{:26} {:8.3}  {:5.3}  {:5.3}  {:5.3}  {:7.2}",
            score.policy, score.cost_ratio, parts.waste, parts.lateness, parts.churn, score.flaps_per_hour
        ));
    }
    output::line("");
    output::line(&format!("advice: {advice}"));
    for reason in &why {
        output::line(&format!("  {reason}"));
    }
    output::line("  `autoscale tune` finds its settings under an objective");
    Ok(())
}

fn kind(found: &Character) -> String {
    match found.kind {
        Workload::Steady => format!("steady (it varies by {:.0} %)", 100.0 * found.variation),
        Workload::Daily => format!(
            "daily (correlation {:.2} with the day before)",
            found.daily_correlation.unwrap_or_default()
        ),
        Workload::Bursty => format!(
            "bursty (peaks of {:.1} × the mean, {:.0} % change from bucket to bucket)",
            found.peak_over_mean,
            100.0 * found.jumpiness
        ),
        Workload::Intermittent => {
            format!("intermittent (idle {:.0} % of the time)", 100.0 * found.idle_share)
        }
        Workload::Levels => {
            format!("levels (it varies by {:.0} %, seldom and for long)", 100.0 * found.variation)
        }
        Workload::Trend => {
            format!("a trend ({:+.0} % of the mean from beginning to end)", 100.0 * found.trend)
        }
    }
}

/// The load's reason, and that of the numbers.
fn why(found: &Character, winner: &Score, scores: &[Score], keep_fixed: bool) -> Vec<String> {
    let about = match found.kind {
        Workload::Steady => "the load hardly moves: what is ready now is right in a minute too",
        Workload::Daily => {
            "tomorrow is like today: a schedule or a forecast can start workers before they are needed"
        }
        Workload::Bursty => {
            "bursts are over before workers that they call are ready: headroom pays, speed of reaction does not"
        }
        Workload::Intermittent => {
            "much of the time nobody is there: few workers at rest count for more than a close fit"
        }
        Workload::Levels => {
            "the load stays on a level for long: whoever follows the last reading is right most of the time"
        }
        Workload::Trend => {
            "the load drifts: any policy that follows the signal keeps up, fixed numbers do not"
        }
    };
    let mut reasons = vec![about.to_owned()];
    let parts = winner.cost_parts;
    if keep_fixed {
        reasons.push(format!(
            "no policy saves as much as {:.0} % against a fixed number",
            100.0 * (WORTH_IT - 1.0)
        ));
        return reasons;
    }
    let rivals = scores.iter().filter(|score| score.policy != winner.policy && score.policy != YARDSTICK);
    if let Some(next) = rivals.min_by(|one, other| one.cost_ratio.total_cmp(&other.cost_ratio)) {
        let theirs = next.cost_parts;
        let differences = [
            ("idle workers", theirs.waste - parts.waste),
            ("missing workers", theirs.lateness - parts.lateness),
            ("starting and stopping", theirs.churn - parts.churn),
        ];
        let most = differences.iter().max_by(|one, other| one.1.total_cmp(&other.1));
        if let Some((what, more)) = most.filter(|(_, more)| *more > 0.0) {
            reasons.push(format!(
                "next is {} at {:.3}: it pays {more:.3} more for {what}",
                next.policy, next.cost_ratio
            ));
        }
    }
    let worst = [
        ("idle workers", parts.waste),
        ("missing workers", parts.lateness),
        ("starting and stopping", parts.churn),
    ];
    if let Some((what, share)) = worst.iter().max_by(|one, other| one.1.total_cmp(&other.1)) {
        reasons.push(format!("what is left to gain: {share:.3} of the optimum's cost go into {what}"));
    }
    reasons
}
