//! The settings that make an HPA cheapest on a load: what a team could have known afterwards.

use control::PolicyConfig;

use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::scenario::Scenario;

/// Targets, in percent of a worker's CPU, that are tried with each window.
const TARGETS: [u32; 6] = [40, 50, 60, 70, 80, 90];
/// Windows before scaling in, in seconds.
const WINDOWS_S: [u32; 4] = [0, 60, 300, 900];
/// How far above and below the best target the next are, with its window: every whole one between two
/// of the above can be reached.
const CLOSER: [u32; 4] = [5, 2, 1, 1];

/// What a pair of settings came to.
struct Tried {
    cost: f64,
    target: u32,
    window_s: u32,
    config: PolicyConfig,
}

/// An HPA with the cheapest target and stabilization window; `None` if none can be built.
pub(crate) fn hpa(load: &Load, scenario: &Scenario) -> Option<PolicyConfig> {
    let run = |target: u32, window_s: u32| {
        let settings = serde_json::json!({
            "target": target,
            "behavior": {"scale_down": {"stabilization_window_seconds": window_s}},
        });
        let settings = settings.as_object().cloned().unwrap_or_default();
        let config = PolicyConfig { name: "hpa".to_owned(), settings };
        let controller = fluid::controller(config.clone(), scenario).ok()?;
        let tally = fluid::run(load, scenario, Driver::Controller(Box::new(controller)), None);
        Some(Tried { cost: tally.cost(scenario.kappa), target, window_s, config })
    };
    let pairs = TARGETS.iter().flat_map(|target| WINDOWS_S.map(|window_s| (*target, window_s)));
    let mut best = cheapest(pairs.filter_map(|(target, window_s)| run(target, window_s)))?;
    for by in CLOSER {
        let near = [best.target.saturating_sub(by), best.target + by];
        let near: Vec<Tried> = near.iter().filter_map(|target| run(*target, best.window_s)).collect();
        best = cheapest(std::iter::once(best).chain(near))?;
    }
    Some(best.config)
}

/// Of equals the first.
fn cheapest(tried: impl Iterator<Item = Tried>) -> Option<Tried> {
    tried.min_by(|one, other| one.cost.total_cmp(&other.cost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Told, Trace};

    #[test]
    fn neither_its_defaults_nor_other_targets_are_cheaper() {
        let value = |at: u32| 500.0 + 400.0 * (f64::from(at) / 40.0).sin() + f64::from(at * 7 % 90);
        let rows: String = (0..600).map(|at| format!("{},{}\n", at * 60, value(at))).collect();
        let trace = Trace::read("wave", &format!("time_s,value\n{rows}"), &Told::default()).unwrap();
        let scenario = Scenario::default();
        let load = Load::new(&trace, &scenario).unwrap();
        let cost = |config: PolicyConfig| {
            let controller = fluid::controller(config, &scenario).unwrap();
            fluid::run(&load, &scenario, Driver::Controller(Box::new(controller)), None).cost(scenario.kappa)
        };
        let best = hpa(&load, &scenario).unwrap();
        let least = cost(best.clone());
        let default = PolicyConfig { name: "hpa".to_owned(), settings: serde_json::Map::new() };
        assert!(cost(default) >= least, "the defaults are cheaper than {best:?}");
        for target in (40..=90).step_by(5) {
            let mut other = best.clone();
            other.settings.insert("target".to_owned(), target.into());
            assert!(cost(other) >= least, "{target} % is cheaper than {best:?}");
        }
    }
}
