//! Receding horizon: at each turn the cheapest plan over the time ahead, of which only the first
//! step is taken. The plan is exact (`Chooser`), the future is a forecaster's.

use std::time::Duration;

use serde::Deserialize;

use super::choice::{Chooser, Prices};
use super::outlook::{Outlook, Terms, seasons};
use super::reactive::Reactive;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Measured};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "mpc",
    about: "receding horizon: the cheapest plan over the time ahead, from any forecaster",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        Ok(Built::bare(Mpc::new(own)))
    },
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Who forecasts: a row of the registry of forecasters.
    model: String,
    /// Price of a worker-second of missing capacity, in worker-seconds.
    kappa: f64,
    /// Highest utilisation that still meets the latency objective, 0 to 1.
    slo_utilisation: f64,
    /// From order to ready, until it was measured.
    #[serde(with = "span")]
    start_up: Duration,
    /// After what time the load repeats; 0 s: perhaps after an hour, a day, a week.
    #[serde(with = "span")]
    season: Duration,
    /// Most workers more at one decision.
    up_max: Option<u32>,
    /// Most workers fewer at one decision.
    down_max: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "autoregressive".to_owned(),
            kappa: 10.0,
            slo_utilisation: 0.85,
            start_up: Duration::from_secs(30),
            season: Duration::ZERO,
            up_max: None,
            down_max: None,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        super::outlook::model(&self.model)?;
        super::choice::check(self.kappa, self.slo_utilisation)
    }
}

struct Mpc {
    outlook: Outlook,
    chooser: Chooser,
    /// Until the model knows enough.
    cold: Reactive,
    own: Settings,
}

impl Mpc {
    fn new(own: Settings) -> Self {
        let terms = Terms {
            models: super::outlook::model(&own.model).into_iter().collect(),
            slo_utilisation: own.slo_utilisation,
            start_up: own.start_up,
            seasons: seasons(own.season),
        };
        Self { outlook: Outlook::new(terms), chooser: Chooser::default(), cold: Reactive::default(), own }
    }
}

impl Policy for Mpc {
    fn observe(&mut self, seen: &Observation) {
        self.outlook.observe(seen);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let current = seen.fleet.desired;
        let (ahead, load) = match self.outlook.open(seen) {
            Ok(open) => open,
            Err(said) => return *said,
        };
        let cold = self.cold.wish(seen.at, load * self.own.slo_utilisation, current);
        let seer = self.outlook.seers().first().filter(|seer| seer.is_ready());
        let mut said = match (seer, ahead) {
            (Some(seer), Some(ahead)) => {
                let needs = seer.needs(&ahead);
                let planned = self.chooser.choose(current, &ahead, &needs, Prices { kappa: self.own.kappa });
                let most = current.saturating_add(self.own.up_max.unwrap_or(u32::MAX));
                let least = current.saturating_sub(self.own.down_max.unwrap_or(u32::MAX));
                let numbers = [
                    ("load", load),
                    ("lead", ahead.start_up_s + ahead.interval_s),
                    ("next", needs.expected(ahead.lead_stage())),
                    ("planned", f64::from(planned)),
                ];
                let sentence =
                    "load {load} workers, {next} expected in {lead} s: the cheapest plan has {planned}";
                Recommendation::hold(planned.clamp(least, most), "plan", Because::new(sentence, numbers))
            }
            _ => {
                let sentence = "load {load} workers, and no forecast yet: {cold} by Kubernetes' rule at 70 %";
                let numbers = [("load", load), ("cold", f64::from(cold))];
                Recommendation::hold(cold, "no_forecast", Because::new(sentence, numbers))
            }
        };
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        Some(super::outlook::measured(self.outlook.load()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::made_up::wave;
    use crate::policy::build;

    #[test]
    fn it_plans_for_what_is_coming_and_within_its_rates() {
        let config = crate::made_up::config("mpc", json!({"down_max": 1, "up_max": 2})).policy;
        let mut policy = build(&config).unwrap().policy;
        let mut rules = std::collections::BTreeSet::new();
        let (mut early, mut outs) = (0, 0);
        wave(1_000, |seen, load_next| {
            policy.observe(seen);
            let said = policy.recommend(seen);
            let current = seen.fleet.desired;
            assert!(said.step.replicas <= current + 2 && said.step.replicas + 1 >= current);
            rules.insert(said.step.rule.to_string());
            if said.step.rule == "plan" && said.step.replicas > current {
                outs += 1;
                // When the worker helps, hardly anything was missing yet.
                early += u32::from(load_next - f64::from(current) < 0.4);
            }
            said.step.replicas
        });
        assert_eq!(Vec::from_iter(rules), ["no_forecast", "plan"]);
        assert!(outs > 10 && early * 10 >= outs * 8, "{early} of {outs} before the load came");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for bad in [json!({"model": "oracle"}), json!({"kappa": 0}), json!({"slo_utilisation": 1.5})] {
            let config = crate::made_up::config("mpc", bad.clone()).policy;
            assert!(build(&config).is_err(), "{bad}");
        }
    }
}
