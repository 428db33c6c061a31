//! The fleet's deadlines and thresholds.

use std::time::Duration;

use traffic::Version;

use super::victim::Victims;

/// How long each part of a worker's life may take, and what counts as healthy.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetConfig {
    /// A worker that is not ready this long after it was asked for is killed.
    pub startup_deadline: Duration,
    /// Probes in a row that a new worker must pass.
    pub startup_threshold: u32,
    /// Probes in a row that an unhealthy worker must pass to be given requests again.
    pub healthy_threshold: u32,
    /// Probes in a row that a ready worker may fail before it is given none.
    pub unhealthy_threshold: u32,
    /// So long after its start a ready worker's failed probes do not count.
    pub grace_period: Duration,
    /// A worker that stays unhealthy this long is killed and replaced.
    pub unhealthy_deadline: Duration,
    /// A worker that was ready this long is no part of a crash loop.
    pub stable_after: Duration,
    /// First wait of a crash loop; doubles with each further crash.
    pub backoff_base: Duration,
    /// Longest wait of a crash loop.
    pub backoff_max: Duration,
    /// Requests of a worker on its way out get this long to end.
    pub drain_timeout: Duration,
    /// A worker that was told to stop is killed after this long.
    pub kill_deadline: Duration,
    /// How many processes there may be beyond the desired count while old ones stop.
    pub surge: u32,
    /// Who goes when there are too many.
    pub victims: Victims,
    /// App version that new workers run.
    pub version: Version,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            startup_deadline: Duration::from_secs(30),
            startup_threshold: 1,
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            grace_period: Duration::ZERO,
            unhealthy_deadline: Duration::from_secs(10),
            stable_after: Duration::from_secs(10),
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            kill_deadline: Duration::from_secs(10),
            // A default pool of five may be replaced whole while its old workers still stop.
            surge: 5,
            victims: Victims::default(),
            version: Version::default(),
        }
    }
}
