//! Limits that are learned, against servers whose capacity is known.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use traffic::adaptive::{ADAPTIVE_LIMITS, AdaptiveRule, TOO_SLOW};
use traffic::{Draw, Lease, Outcome, Pool};

use crate::support::{at, draw, pool, route};

const MILLI: Duration = Duration::from_millis(1);

/// Workers that share out what they can do among all requests that they have.
struct Servers {
    pool: Arc<Pool>,
    now: Timestamp,
    /// Requests that each works on at full speed at once.
    capacity: f64,
    /// Milliseconds of a request's own work, on the average.
    work_ms: f64,
    requests: Vec<(Lease, f64)>,
    lots: u64,
}

/// What came of a time.
struct Told {
    /// Requests ended, of those that could have been.
    use_of_capacity: f64,
    /// Requests at one worker on the average.
    in_flight: f64,
}

impl Servers {
    const WORKERS: u32 = 2;

    fn new(algorithm: &str, too_slow: Duration) -> Self {
        let pool = pool("least_connections", None);
        pool.replace(&[1, 2].map(route));
        let rule = AdaptiveRule { algorithm: algorithm.to_owned(), too_slow };
        pool.set_adaptive_limit(Some(&rule));
        Self { pool, now: at(0), capacity: 8.0, work_ms: 20.0, requests: Vec::new(), lots: 1 }
    }

    /// Lets seconds pass in which there are always so many requests, here or waiting.
    fn pass(&mut self, seconds: u32, requests: usize) -> Told {
        self.steps(seconds * 1_000, requests)
    }

    /// The same in milliseconds.
    fn steps(&mut self, steps: u32, requests: usize) -> Told {
        let (mut ended, mut in_flight) = (0.0, 0.0);
        for step in 0..steps {
            while self.requests.len() < requests {
                let draw = Draw { at: self.now, ..draw(0) };
                let Some(lease) = self.pool.lease(draw, None) else { break };
                self.lots = self.lots.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let lot = (self.lots >> 40) as f64 / f64::from(1 << 24);
                self.requests.push((lease, self.work_ms * (0.5 + lot)));
            }
            self.now += MILLI;
            let capacity = self.capacity;
            for (lease, left) in &mut self.requests {
                *left -= (capacity / f64::from(lease.backend().in_flight())).min(1.0);
            }
            in_flight += self.requests.len() as f64;
            let (done, open) = self.requests.drain(..).partition::<Vec<_>, _>(|(_, left)| *left <= 0.0);
            self.requests = open;
            ended += done.len() as f64;
            done.into_iter().for_each(|(lease, _)| lease.finish(self.now, Outcome::Answered(200)));
            if step.is_multiple_of(250) {
                self.pool.learn(self.now);
            }
        }
        let most = f64::from(steps * Self::WORKERS) * self.capacity / self.work_ms;
        let per_worker = in_flight / f64::from(steps * Self::WORKERS);
        Told { use_of_capacity: ended / most, in_flight: per_worker }
    }

    fn limit(&self) -> u32 {
        self.pool.in_flight_max().unwrap()
    }
}

/// Twice what a request takes alone: then `aimd` rests at twice the capacity.
const TWICE: Duration = Duration::from_millis(40);
/// More than any limit here.
const MANY: usize = 500;

#[test]
fn under_overload_each_settles_near_the_capacity() {
    for entry in ADAPTIVE_LIMITS {
        let mut servers = Servers::new(entry.name, TWICE);
        servers.pass(20, MANY);
        let told = servers.pass(20, MANY);
        assert!(told.use_of_capacity > 0.93, "{}: {}", entry.name, told.use_of_capacity);
        assert!((8.0..24.0).contains(&told.in_flight), "{}: {} at once", entry.name, told.in_flight);
    }
}

#[test]
fn each_follows_a_capacity_that_falls_and_comes_back() {
    for entry in ADAPTIVE_LIMITS {
        let mut servers = Servers::new(entry.name, TWICE);
        servers.pass(20, MANY);
        servers.capacity = 2.0;
        servers.pass(20, MANY);
        let told = servers.pass(10, MANY);
        assert!(told.in_flight < 10.0 && told.use_of_capacity > 0.93, "{}: {}", entry.name, told.in_flight);
        servers.capacity = 8.0;
        servers.pass(20, MANY);
        let told = servers.pass(10, MANY);
        assert!(told.use_of_capacity > 0.93, "{}: {} back", entry.name, told.use_of_capacity);
    }
}

#[test]
fn a_service_that_became_slower_for_good_gets_its_requests_back() {
    let mut servers = Servers::new("gradient", TOO_SLOW);
    servers.pass(20, MANY);
    servers.work_ms = 80.0;
    servers.pass(80, MANY);
    let told = servers.pass(20, MANY);
    assert!(told.use_of_capacity > 0.9 && told.in_flight < 30.0, "{}", told.in_flight);
}

/// What was measured under overload is not believed for ever.
#[test]
fn one_that_begins_in_the_middle_of_overload_is_not_misled() {
    let mut servers = Servers::new("gradient", TOO_SLOW);
    servers.pool.set_adaptive_limit(None);
    servers.pass(5, MANY);
    assert_eq!(servers.pool.in_flight_max(), None);
    let rule = AdaptiveRule { algorithm: "gradient".to_owned(), too_slow: TOO_SLOW };
    servers.pool.set_adaptive_limit(Some(&rule));
    servers.pass(20, MANY);
    let told = servers.pass(20, MANY);
    assert!((8.0..24.0).contains(&told.in_flight), "{}", told.in_flight);
}

/// The first requests of a burst are many at once, however few they are over the time before.
#[test]
fn a_burst_after_idleness_does_not_mislead() {
    for idle in [3_000, 3_100, 3_200] {
        let mut servers = Servers::new("gradient", TOO_SLOW);
        servers.steps(idle, 0);
        servers.pass(15, MANY);
        let told = servers.pass(15, MANY);
        assert!((8.0..24.0).contains(&told.in_flight), "{} after {idle} ms", told.in_flight);
    }
}

#[test]
fn a_limit_that_nobody_meets_stays_and_one_set_by_hand_is_the_most() {
    for entry in ADAPTIVE_LIMITS {
        let mut servers = Servers::new(entry.name, TWICE);
        servers.pass(30, 4);
        assert_eq!(servers.limit(), 20, "{}", entry.name);
        servers.pool.set_in_flight_max(std::num::NonZeroU32::new(3));
        assert_eq!(servers.limit(), 3);
        servers.pass(10, MANY);
        assert!(servers.limit() <= 3);
        servers.pool.set_adaptive_limit(None);
        servers.pool.set_in_flight_max(None);
        assert_eq!(servers.pool.in_flight_max(), None);
    }
}
