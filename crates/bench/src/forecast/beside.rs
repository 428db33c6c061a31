//! Bad models on a thread beside the loop: how long a turn takes at most, and whether they ever make the
//! pool smaller than the reactive rule would.

use std::time::Duration;

use ::forecast::{Budget, FitError, FitReport, Forecaster, ModelState, QuantileForecast, Sample, Series};
use clock::Clock;
use control::{Observation, PolicySpec};
use jiff::Timestamp;
use live::forecasting::{Forecasting, Model};
use simulator::fluid::{self, Driver};
use simulator::{Load, Scenario, Tally};

use super::Trace;

/// Time of the trace that is run: some tens of thousands of turns.
const LENGTH_S: f64 = 7.0 * 86_400.0;
/// Steps that each model forecasts.
const STEPS: usize = 64;
/// How long the hanging model hangs: longer than all turns together take.
const HANGS: Duration = Duration::from_secs(3_600);
/// Readings after which a model that is to break does.
const SOUND: u32 = 100;

/// What a planted model says after so many readings, the last of them given.
type Says = fn(f64, u32) -> f64;

/// All of them.
const PLANTED: [(&str, Says); 5] = [
    ("constant", |_, _| 1.0),
    ("ten times", |last, _| 10.0 * last),
    ("not a number", |_, _| f64::NAN),
    ("panics", |last, seen| {
        assert!(seen < SOUND, "planted");
        last
    }),
    ("hangs", |last, seen| {
        if seen >= SOUND {
            std::thread::park_timeout(HANGS);
        }
        last
    }),
];

/// One bad model beside one load.
pub(super) struct Beside {
    pub(super) name: &'static str,
    pub(super) turns: u64,
    /// The longest turn and the 99th percentile, in seconds.
    pub(super) longest_s: f64,
    pub(super) p99_s: f64,
    /// Decisions below what the reactive rule would have had, while the model led.
    pub(super) below: u64,
}

struct Planted {
    says: Says,
    last: f64,
    seen: u32,
}

impl Forecaster for Planted {
    fn fit(&mut self, _: &Series, _: Budget) -> Result<FitReport, FitError> {
        Err(FitError::NoBudget)
    }

    fn update(&mut self, _: Timestamp, sample: &Sample) {
        self.seen += 1;
        self.last = (self.says)(sample.target.unwrap_or(0.0), self.seen);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        Some(QuantileForecast {
            origin: Timestamp::UNIX_EPOCH,
            step: Duration::from_secs(1),
            horizons: horizons.to_vec(),
            quantiles: quantiles.to_vec(),
            values: vec![vec![self.last; quantiles.len()]; horizons.len()],
        })
    }

    fn state(&self) -> ModelState {
        ModelState { model: "planted".to_owned(), ready: true, samples: 0, bytes: Vec::new() }
    }
}

/// Each of them beside `predictive`, on the first trace.
pub(super) fn measure(traces: &[Trace]) -> anyhow::Result<Vec<Beside>> {
    let scenario = Scenario::default();
    let load = Load::new(&traces[0], &scenario)?;
    let load = load.until((LENGTH_S / load.scored_s()).min(1.0));
    PLANTED.iter().map(|(name, says)| beside(&load, &scenario, name, *says)).collect()
}

fn beside(load: &Load, scenario: &Scenario, name: &'static str, says: Says) -> anyhow::Result<Beside> {
    let clock = Clock::start();
    let forecaster = Box::new(Planted { says, last: 0.0, seen: 0 });
    let step = scenario.decide_every;
    let model = Model { id: name.to_owned(), forecaster, step, steps: STEPS };
    let forecasting = Forecasting::start(model)?;
    let mut controller = fluid::controller(PolicySpec::parse("predictive")?.config, scenario)?;
    let (mut turns, mut below) = (Vec::new(), 0);
    let mut decide = |seen: &Observation, _: &Tally| -> u32 {
        let mut seen = seen.clone();
        let begun = clock.uptime();
        forecasting.tell(seen.at, seen.traffic.as_ref().map(traffic::Window::rate_per_second));
        seen.slow.forecast = forecasting.take();
        let decision = controller.decide(&seen);
        turns.push(clock.uptime().saturating_sub(begun).as_secs_f64());
        let led = decision.foresight.as_ref().filter(|foresight| foresight.model == name);
        below += u64::from(led.is_some_and(|led| decision.recommended.replicas < led.reactive));
        decision.desired()
    };
    fluid::run(load, scenario, Driver::Agent(&mut decide), None);
    turns.sort_by(f64::total_cmp);
    let at = |place: usize| turns.get(place).copied().unwrap_or(f64::NAN);
    Ok(Beside {
        name,
        turns: turns.len() as u64,
        longest_s: at(turns.len().saturating_sub(1)),
        p99_s: at(turns.len() * 99 / 100),
        below,
    })
}
