//! The exact engine: every request by itself, through the live system's balancers, meter,
//! fleet and controller, on virtual time.

mod arrivals;
mod chance;
pub mod chaos;
mod credits;
mod schedule;
mod site;
mod slab;
mod station;

use std::time::Duration;

use crate::fluid::{Driver, Watch};
use crate::load::Load;
use crate::scenario::{Scenario, ScenarioError};
use crate::tally::Tally;
pub use chance::Law;
pub use credits::Credits;
use site::Site;

/// What the discrete-event engine assumes beyond the scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Des {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// How a request's CPU time varies around the scenario's.
    pub service: Law,
    /// How the start-up delay varies around the scenario's.
    pub start_up: Law,
    /// The balancer, by its name in `traffic::BALANCERS`.
    pub algorithm: String,
    /// Requests that a worker is given at most; others wait for room. `None`: no limit.
    pub in_flight_max: Option<u32>,
    /// Requests that a worker serves at a time; others stand in line there. `None`: all.
    pub threads: Option<u32>,
    /// Workers that work on credit; `None`: at full speed all the time.
    pub credits: Option<Credits>,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong, and how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// A worker's process ends by itself so many times an hour.
    pub crashes_per_hour: f64,
    /// A worker stops answering so many times an hour, until it is killed.
    pub hangs_per_hour: f64,
    /// A worker is taken back by its provider so many times an hour, as spot instances are.
    pub interruptions_per_hour: f64,
    /// So long before, that is announced: the worker is drained, and its successor starts.
    pub notice: Duration,
    /// Share of the readings that are lost.
    pub metric_loss: f64,
    /// For so long after it became ready a worker is slow.
    pub warm_up: Duration,
    /// How slow: its share of the full speed.
    pub warm_up_speed: f64,
    /// Regions that workers are spread over, slot by slot; 0 and 1: one.
    pub regions: u32,
    /// When a region is lost with all workers in it, after the start; one region after another.
    pub region_losses: Vec<Duration>,
}

impl Default for Des {
    fn default() -> Self {
        Self {
            seed: 1,
            service: Law::Exponential,
            start_up: Law::Constant,
            algorithm: traffic::balance::DEFAULT.to_owned(),
            in_flight_max: Some(8),
            threads: None,
            credits: None,
            faults: Faults::default(),
        }
    }
}

impl Des {
    /// Refuses values that make no sense.
    fn check(&self, load: &Load, scenario: &Scenario) -> Result<(), ScenarioError> {
        let faults = &self.faults;
        let rates = [
            ("crashes", faults.crashes_per_hour),
            ("hangs", faults.hangs_per_hour),
            ("interruptions", faults.interruptions_per_hour),
        ];
        for (name, per_hour) in rates {
            if !(0.0..=PER_HOUR_MAX).contains(&per_hour) {
                let because = format!("{name} must be 0 to {PER_HOUR_MAX} an hour, not {per_hour}");
                return Err(ScenarioError::new(because));
            }
        }
        if !(0.0..=1.0).contains(&faults.metric_loss) {
            let because = format!("metric_loss must be a share from 0 to 1, not {}", faults.metric_loss);
            return Err(ScenarioError::new(because));
        }
        if !(faults.warm_up.is_zero() || (faults.warm_up_speed > 0.0 && faults.warm_up_speed <= 1.0)) {
            let because =
                format!("warm_up_speed must be above 0 and at most 1, not {}", faults.warm_up_speed);
            return Err(ScenarioError::new(because));
        }
        if faults.regions > WORKERS_MAX {
            let because = format!("{} regions are more than workers can be ({WORKERS_MAX})", faults.regions);
            return Err(ScenarioError::new(because));
        }
        if let Some(late) = faults.region_losses.iter().find(|at| **at >= load.length()) {
            let because =
                format!("a region is lost at {late:?}, but the load ends after {:?}", load.length());
            return Err(ScenarioError::new(because));
        }
        few_enough(load.most_workers(scenario).max(scenario.min))
    }
}

/// Refuses more workers than the live system's fleet knows: it would leave the rest out silently.
fn few_enough(workers: u32) -> Result<(), ScenarioError> {
    if workers > WORKERS_MAX {
        return Err(ScenarioError::new(format!(
            "{workers} workers are too many for single requests (at most {WORKERS_MAX}): state a max, or use \
             the fluid engine"
        )));
    }
    Ok(())
}

/// Workers that the live system's fleet knows at most.
const WORKERS_MAX: u32 = control::fleet::WORKERS_MAX;
/// Mishaps of a worker an hour: one a second.
const PER_HOUR_MAX: f64 = 3_600.0;

/// What became of the requests of the scored time.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Requests {
    /// That came in.
    pub arrived: u64,
    /// That were answered.
    pub completed: u64,
    /// That gave up waiting.
    pub dropped: u64,
    /// That were lost with their worker.
    pub failed: u64,
    /// Sum of the answers' times, in seconds.
    pub response_s: f64,
    /// Sum of the times in which they waited for a worker, in seconds.
    pub wait_s: f64,
    /// Requests in the system, summed over time, in request-seconds.
    pub present_s: f64,
}

/// The books and the requests of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As the fluid engine keeps them; its latencies are those of single requests.
    pub tally: Tally,
    /// Single requests.
    pub requests: Requests,
}

/// Runs the whole load with requests that come by chance at its rate.
///
/// # Errors
/// When the balancer is unknown, or the driver is a plan: that one knows loads, not requests.
pub fn run(
    load: &Load,
    scenario: &Scenario,
    des: &Des,
    driver: Driver,
    watch: Option<&mut Watch>,
) -> Result<Outcome, ScenarioError> {
    let arrivals = site::poisson(load, scenario, des);
    Site::new(load, scenario, des, arrivals)?.run(driver, watch)
}

/// The same with requests at their recorded times, in seconds since the start.
///
/// # Errors
/// As for [`run`].
pub fn replay(
    load: &Load,
    scenario: &Scenario,
    des: &Des,
    times: &[f64],
    driver: Driver,
    watch: Option<&mut Watch>,
) -> Result<Outcome, ScenarioError> {
    let arrivals = arrivals::Arrivals::Recorded { times, next: 0, pace: scenario.compress };
    Site::new(load, scenario, des, arrivals)?.run(driver, watch)
}

#[cfg(test)]
#[path = "des/tests.rs"]
mod tests;
