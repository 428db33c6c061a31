//! When requests come: as recorded, or by chance at the rate of the load.
//!
//! The load is constant within a bucket, so the gaps there are exponential; at its end the next
//! gap is drawn anew, which changes nothing, as an exponential time has no memory. That is what
//! thinning would give, without draws that are thrown away.

use crate::load::Load;
use crate::number::{count, index};

use super::chance::Chance;
use super::schedule::NEVER;

/// The times of requests, one after another.
#[derive(Debug)]
pub(super) enum Arrivals<'a> {
    /// Recorded stamps in seconds, each played at this many times its pace.
    Recorded { times: &'a [f64], next: usize, pace: f64 },
    /// By chance.
    Poisson { load: &'a Load, chance: Chance, requests_per_load: f64, now_ns: f64 },
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
            Self::Poisson { load, chance, requests_per_load, now_ns } => {
                let bucket_ns = load.bucket_ms() as f64 * 1e6;
                let end_ns = load.length_ms() as f64 * 1e6;
                while *now_ns < end_ns {
                    let place = index(count((*now_ns / bucket_ns).floor()));
                    let bucket_end_ns = bucket_ns * (place as f64 + 1.0);
                    let rate = load.bucket(place) * *requests_per_load;
                    if rate > 0.0 {
                        let at_ns = *now_ns + chance.exponential() / rate * 1e9;
                        if at_ns < bucket_end_ns {
                            *now_ns = at_ns;
                            return count(at_ns);
                        }
                    }
                    *now_ns = bucket_end_ns;
                }
                NEVER
            }
        }
    }
}
