//! What bad forecasts cost at worst: models beside the loop that are wrong in every way, put to the
//! policy that would act on them.

use control::{Controller, ForecastSeen, Observation, PolicySpec};
use jiff::Timestamp;
use simulator::contest::spread;
use simulator::fluid::{self, Driver};
use simulator::{Load, Scenario, Tally};

use super::Trace;

/// Time of each trace that is run.
const LENGTH_S: f64 = 14.0 * 86_400.0;
/// Steps that each bad forecast reaches.
const STEPS: usize = 64;
/// Levels that it gives.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

/// How a forecast is bad: from the rates so far, what will be.
type Bend = fn(&[f64]) -> f64;

/// All of them.
const BENDS: [(&str, Bend); 6] = [
    ("shuffled", |past| past[(past.len().wrapping_mul(2_654_435_761) >> 7) % past.len()]),
    ("half", |past| 0.5 * last(past)),
    ("twice", |past| 2.0 * last(past)),
    ("ten times", |past| 10.0 * last(past)),
    ("constant", |past| past[0]),
    ("not a number", |_| f64::NAN),
];

/// One bad forecast at one price and start-up.
pub(super) struct Worst {
    pub(super) name: &'static str,
    pub(super) kappa: f64,
    pub(super) start_up_s: f64,
    /// The worst cost over that of the HPA at 70 %, and on which trace.
    pub(super) ratio: f64,
    pub(super) on: String,
    /// Decisions below what the reactive rule would have had, while the bad forecast led.
    pub(super) below: u64,
}

fn last(past: &[f64]) -> f64 {
    past.last().copied().unwrap_or(0.0)
}

/// At the middle price and start-up, and at the highest.
pub(super) fn measure(traces: &[Trace]) -> anyhow::Result<Vec<Worst>> {
    let mut all = Vec::new();
    for (kappa, start_up_s) in [(10.0, 30_u64), (100.0, 120)] {
        let start_up = std::time::Duration::from_secs(start_up_s);
        let scenario = Scenario { kappa, start_up, ..Scenario::default() };
        let mut loads = Vec::new();
        for trace in traces {
            let load = Load::new(trace, &scenario)?;
            let share = (LENGTH_S / load.scored_s()).min(1.0);
            let load = load.until(share);
            let hpa = fluid::controller(PolicySpec::parse("hpa")?.config, &scenario)?;
            let hpa = fluid::run(&load, &scenario, Driver::Controller(Box::new(hpa)), None);
            loads.push((load, hpa));
        }
        for (name, bend) in BENDS {
            eprintln!("forecasts that are bad: {name}, κ {kappa}");
            let start_up_s = start_up.as_secs_f64();
            let mut worst = Worst { name, kappa, start_up_s, ratio: 0.0, on: String::new(), below: 0 };
            let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
            let runs = spread(&loads, threads, |(load, _)| run(load, &scenario, name, bend));
            for ((load, hpa), ran) in loads.iter().zip(runs) {
                let (own, below) = ran?;
                let ratio = own.cost(kappa) / hpa.cost(kappa);
                worst.below += below;
                if ratio > worst.ratio {
                    (worst.ratio, worst.on) = (ratio, load.name.clone());
                }
            }
            all.push(worst);
        }
    }
    Ok(all)
}

/// `predictive` with a model of its own that nobody trusts, so that only the bad one could lead.
fn run(load: &Load, scenario: &Scenario, name: &str, bend: Bend) -> anyhow::Result<(Tally, u64)> {
    let mut controller: Controller =
        fluid::controller(PolicySpec::parse("predictive:model=naive")?.config, scenario)?;
    let (mut past, mut below) = (Vec::new(), 0);
    let mut decide = |seen: &Observation, _: &Tally| -> u32 {
        let mut seen = seen.clone();
        if let Some(window) = &seen.traffic {
            past.push(window.rate_per_second());
            seen.slow.forecast = Some(Box::new(bad(name, seen.at, bend(&past), scenario)));
        }
        let decision = controller.decide(&seen);
        let foresight = decision.foresight.as_ref().filter(|foresight| foresight.model == name);
        below +=
            u64::from(foresight.is_some_and(|foresight| decision.recommended.replicas < foresight.reactive));
        decision.desired()
    };
    let tally = fluid::run(load, scenario, Driver::Agent(&mut decide), None);
    Ok((tally, below))
}

fn bad(name: &str, at: Timestamp, rate: f64, scenario: &Scenario) -> ForecastSeen {
    ForecastSeen {
        model: name.to_owned(),
        made_at: at,
        step_s: scenario.decide_every.as_secs_f64(),
        levels: LEVELS.to_vec(),
        rates: vec![vec![rate; LEVELS.len()]; STEPS],
    }
}
