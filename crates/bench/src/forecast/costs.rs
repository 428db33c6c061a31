//! Cost over that of the clairvoyant optimum, for each price and start-up.

use simulator::{Contest, Contestant, Engine, Scenario, Score};

use super::chance::{Estimate, mean_of};
use super::{KAPPAS, START_UPS, Trace};

/// Who runs; the first two are ours, the third is what nobody may be much worse than.
pub(super) const POLICIES: [&str; 4] = ["auto", "predictive", "hpa", "threshold"];
/// Columns that runs are summed up in, from whose blocks intervals are drawn.
const COLUMNS: usize = 240;
/// The place of the HPA at 70 % among them.
pub(super) const HPA: usize = 2;

/// One price and one start-up.
pub(super) struct Cell {
    pub(super) kappa: f64,
    pub(super) start_up_s: f64,
    /// One a policy.
    pub(super) ratios: Vec<Estimate>,
    /// For each policy the worst cost over the HPA's, and where.
    pub(super) worst: Vec<(f64, String)>,
    /// For each policy means over the traces.
    pub(super) means: Vec<Means>,
}

/// Plain means over the traces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Means {
    /// Requests that were late, in percent.
    pub(super) late: f64,
    /// Worker time that was paid for beyond what was used, in percent of what was used.
    pub(super) over: f64,
    /// Workers started or stopped an hour.
    pub(super) changes: f64,
}

pub(super) fn measure(traces: &[Trace]) -> anyhow::Result<Vec<Cell>> {
    let contestants = POLICIES.map(|name| Contestant::parse(name).expect("these policies are known"));
    let mut cells = Vec::new();
    for kappa in KAPPAS {
        eprintln!("policies at κ {kappa}");
        let scenario = Scenario { kappa, ..Scenario::default() };
        let contest = Contest {
            traces,
            contestants: &contestants,
            start_ups: &START_UPS,
            scenario: &scenario,
            engine: &Engine::Fluid,
            columns: Some(COLUMNS),
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let scores = contest.run(threads, &|| {})?;
        for start_up in START_UPS {
            let start_up_s = start_up.as_secs_f64();
            let here = |name: &str| -> Vec<&Score> {
                let fits =
                    |score: &&Score| score.policy == name && (score.start_up_s - start_up_s).abs() < 1e-9;
                scores.iter().filter(fits).collect()
            };
            let all: Vec<Vec<&Score>> = POLICIES.iter().map(|name| here(name)).collect();
            cells.push(cell(kappa, start_up_s, &all));
        }
    }
    Ok(cells)
}

fn cell(kappa: f64, start_up_s: f64, all: &[Vec<&Score>]) -> Cell {
    let ratio = |scores: &Vec<&Score>| {
        let interval = |score: &Score| score.cost_ratio_interval.map(|own| (own.low, own.high));
        let known: Vec<_> = scores.iter().map(|score| (score.cost_ratio, interval(score))).collect();
        mean_of(&known)
    };
    let worst = |scores: &Vec<&Score>| {
        let pairs = scores.iter().zip(&all[HPA]);
        let over = pairs.map(|(own, hpa)| (own.cost / hpa.cost, own.trace.clone()));
        over.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, String::new()))
    };
    let means = |scores: &Vec<&Score>| {
        let mean =
            |of: &dyn Fn(&Score) -> f64| scores.iter().map(|own| of(own)).sum::<f64>() / scores.len() as f64;
        Means {
            late: mean(&|own| 100.0 * own.late_request_share),
            over: mean(&|own| 100.0 * own.slack / (1.0 - own.slack)),
            // Who is started is stopped again, in the long run.
            changes: mean(&|own| 2.0 * own.starts as f64 / own.scored_s * 3_600.0),
        }
    };
    Cell {
        kappa,
        start_up_s,
        ratios: all.iter().map(ratio).collect(),
        worst: all.iter().map(worst).collect(),
        means: all.iter().map(means).collect(),
    }
}
