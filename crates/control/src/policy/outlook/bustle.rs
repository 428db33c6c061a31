//! How uneven load is within a slot: a mean over a quarter of a minute hides the second in which
//! twice as much came, and that second's requests are late all the same.
//!
//! By Little's law the requests in flight, over the time each takes, are the rate at this moment.
//! Its deviations from the slot's mean are kept, less what chance alone would make of so few
//! requests; a source that says one value for minutes has none.

use std::collections::VecDeque;

use traffic::Window;

use crate::number;

/// Deviations kept: the last hour of 15 s slots.
const KEPT: usize = 240;
/// Deviations below which nothing is said.
const KEPT_MIN: usize = 20;
/// Requests in flight that a slot's mean makes likely, below which their number is too coarse to tell a
/// rate. Not those that are: of a pool that has hardly one in flight only the stalls would be counted.
const IN_FLIGHT_MIN: f64 = 3.0;
/// Points that stand for the distribution, each for the same share.
const POINTS: usize = 7;
/// Share of the chance that is left out: half of it is felt by those who wait.
const CHANCE: f64 = 0.5;
/// Relative deviation that is not worth reckoning with.
const NEGLIGIBLE: f64 = 0.02;
/// The 95th percentile of response times over the median, at most: an exponential law has 4.3. What is
/// far above is a machine that stalls, and then requests in flight tell of that and not of arrivals.
const TAIL_MAX: f64 = 10.0;

/// Rates of moments over the mean of their slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Bustle {
    ratios: VecDeque<f64>,
    in_flight: VecDeque<f64>,
    /// The last ratio and its requests in flight, until the next window tells how they fared.
    held: Option<(f64, f64)>,
    factors: Vec<f64>,
}

impl Bustle {
    pub(super) fn observe(&mut self, window: &Window) {
        let Some(latency) = window.latency else { return };
        let held = self.held.take();
        if latency.p95.as_secs_f64() > TAIL_MAX * latency.p50.as_secs_f64() {
            return;
        }
        if let Some((ratio, in_flight)) = held {
            self.keep(ratio, in_flight);
        }
        let rate = window.rate_per_second();
        // Time in the queue is not time at a worker.
        let served = latency.p50.saturating_sub(window.queue_wait_max);
        let response_s = served.as_secs_f64() / std::f64::consts::LN_2;
        if rate * response_s < IN_FLIGHT_MIN || window.in_flight == 0 {
            return;
        }
        let in_flight = f64::from(window.in_flight);
        self.held = Some((in_flight / response_s / rate, in_flight));
    }

    fn keep(&mut self, ratio: f64, in_flight: f64) {
        self.ratios.push_back(ratio);
        self.in_flight.push_back(in_flight);
        if self.ratios.len() > KEPT {
            self.ratios.pop_front();
            self.in_flight.pop_front();
        }
    }

    /// Brings the factors up to date; called once a slot.
    pub(super) fn settle(&mut self) {
        self.factors.clear();
        self.factors.push(1.0);
        if self.ratios.len() < KEPT_MIN {
            return;
        }
        let mut sorted: Vec<f64> = self.ratios.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        // However long requests take in truth: on the mean a moment is like its slot.
        let mean = sorted.iter().sum::<f64>() / count;
        let variance = sorted.iter().map(|ratio| (ratio / mean - 1.0).powi(2)).sum::<f64>() / count;
        let chance = self.in_flight.iter().map(|one| one.recip()).sum::<f64>() / count;
        let beyond = (variance - chance * CHANCE).max(0.0);
        if beyond.sqrt() < NEGLIGIBLE {
            return;
        }
        let kept = (beyond / variance).sqrt();
        let factor = |point: usize| {
            let rank = (point as f64 + 0.5) / POINTS as f64 * count;
            let place = number::index(number::count(rank).into()).min(sorted.len() - 1);
            (1.0 + kept * (sorted[place] / mean - 1.0)).max(0.0)
        };
        self.factors.clear();
        self.factors.extend((0..POINTS).map(factor));
    }

    /// Factors on a slot's mean, equally likely; just 1 where load is even.
    pub(super) fn factors(&self) -> &[f64] {
        &self.factors
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A slot of 100 requests a second that take 0.2 s, at whose end the rate was `factor` of that.
    fn slot(factor: f64) -> Window {
        let served = Duration::from_secs_f64(0.2 * std::f64::consts::LN_2);
        let latency = traffic::Latency { p50: served, p95: served, p99: served };
        let arrivals = 100;
        Window {
            length: Duration::from_secs(1),
            arrivals,
            completions: arrivals,
            failures: 0,
            in_flight: number::count(20.0 * factor),
            queued: 0,
            latency: Some(latency),
            queue_wait_max: Duration::ZERO,
        }
    }

    #[test]
    fn even_load_has_no_factors_and_bursts_have() {
        let mut bustle = Bustle::default();
        for _ in 0..100 {
            bustle.observe(&slot(1.0));
        }
        bustle.settle();
        assert_eq!(bustle.factors(), [1.0]);
        for index in 0..240 {
            bustle.observe(&slot(if index % 4 == 0 { 2.5 } else { 0.5 }));
        }
        bustle.settle();
        let factors = bustle.factors();
        assert!((factors.iter().sum::<f64>() / factors.len() as f64 - 1.0).abs() < 0.15, "{factors:?}");
        assert!(factors[6] > 2.0 && factors[0] < 0.7, "{factors:?}");
    }

    #[test]
    fn a_pool_that_has_hardly_a_request_in_flight_tells_of_no_bursts() {
        let mut bustle = Bustle::default();
        for index in 0..240 {
            // Half a request at a time; each third window ends in a hiccup of the machine.
            let mut window = slot(1.0);
            window.in_flight = if index % 3 == 0 { 3 + index % 40 } else { 0 };
            if let Some(latency) = &mut window.latency {
                (latency.p50, latency.p95) = (latency.p50 / 40, latency.p95 / 40);
            }
            bustle.observe(&window);
        }
        bustle.settle();
        assert_eq!(bustle.factors(), [1.0]);
    }

    #[test]
    fn a_machine_that_stalls_is_no_burst() {
        let mut bustle = Bustle::default();
        for index in 0..240 {
            // Of four windows one ends in a stall, and the next answers those that waited.
            let mut window = slot(if index % 4 == 0 { 8.0 } else { 1.0 });
            if let Some(latency) = window.latency.as_mut().filter(|_| index % 4 == 1) {
                latency.p95 = latency.p50 * 50;
            }
            bustle.observe(&window);
        }
        bustle.settle();
        assert_eq!(bustle.factors(), [1.0]);
    }
}
