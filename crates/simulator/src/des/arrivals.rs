//! When requests come: as recorded, or by chance at the rate of the load.
//!
//! The load is constant within a bucket, so the gaps there are exponential; at its end the next
//! gap is drawn anew, which changes nothing, as an exponential time has no memory. That is what
//! thinning would give, without draws that are thrown away.

use crate::load::Load;
use crate::number::count;

use super::chance::{Chance, Law};
use super::schedule::NEVER;

/// Requests that are drawn at a time, before they come: their logarithms and divisions overlap then,
/// instead of each having everything that follows wait for it.
const AHEAD: usize = 32;

/// A request that will come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) at_ns: u64,
    /// CPU time that it takes.
    pub(super) service_s: f64,
}

/// The requests of a run, one after another.
#[derive(Debug)]
pub(super) struct Coming<'a> {
    arrivals: Arrivals<'a>,
    law: &'a Law,
    mean_s: f64,
    chance: Chance,
    ahead: [Next; AHEAD],
    /// How many of those have come.
    come: usize,
}

impl<'a> Coming<'a> {
    /// The service times follow `law` around `mean_s`.
    pub(super) fn new(arrivals: Arrivals<'a>, law: &'a Law, mean_s: f64, chance: Chance) -> Self {
        let ahead = [Next { at_ns: NEVER, service_s: 0.0 }; AHEAD];
        Self { arrivals, law, mean_s, chance, ahead, come: AHEAD }
    }

    /// The next request.
    #[inline]
    pub(super) fn next(&mut self) -> Next {
        if self.come >= AHEAD {
            self.draw();
        }
        let next = self.ahead[self.come];
        self.come += 1;
        next
    }

    fn draw(&mut self) {
        for next in &mut self.ahead {
            next.at_ns = self.arrivals.next_ns();
            next.service_s = self.law.draw(self.mean_s, &mut self.chance);
        }
        self.come = 0;
    }
}

/// The times of requests, one after another.
#[derive(Debug)]
pub(super) enum Arrivals<'a> {
    /// Recorded stamps in seconds, each played at this many times its pace.
    Recorded { times: &'a [f64], next: usize, pace: f64 },
    /// By chance.
    Poisson(Poisson<'a>),
}

/// Requests by chance.
#[derive(Debug)]
pub(super) struct Poisson<'a> {
    load: &'a Load,
    chance: Chance,
    requests_per_load: f64,
    now_ns: f64,
    /// The bucket after the present one, when the present one ends, and requests a second in it.
    next: usize,
    bucket_end_ns: f64,
    rate: f64,
}

impl<'a> Poisson<'a> {
    pub(super) fn new(load: &'a Load, chance: Chance, requests_per_load: f64) -> Self {
        Self { load, chance, requests_per_load, now_ns: 0.0, next: 0, bucket_end_ns: 0.0, rate: 0.0 }
    }

    fn next_ns(&mut self) -> u64 {
        loop {
            if self.rate > 0.0 {
                let at_ns = self.now_ns + self.chance.exponential() / self.rate * 1e9;
                if at_ns < self.bucket_end_ns {
                    self.now_ns = at_ns;
                    return count(at_ns);
                }
            }
            self.now_ns = self.bucket_end_ns;
            if self.next >= self.load.buckets() {
                return NEVER;
            }
            self.rate = self.load.bucket(self.next) * self.requests_per_load;
            self.next += 1;
            self.bucket_end_ns = self.load.bucket_ms() as f64 * 1e6 * self.next as f64;
        }
    }
}

impl Arrivals<'_> {
    /// The time of the next request.
    pub(super) fn next_ns(&mut self) -> u64 {
        match self {
            Self::Recorded { times, next, pace } => {
                let Some(time) = times.get(*next) else { return NEVER };
                *next += 1;
                count(time / *pace * 1e9)
            }
            Self::Poisson(poisson) => poisson.next_ns(),
        }
    }
}
