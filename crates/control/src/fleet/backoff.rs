//! How long a crash loop waits: exponential, with jitter so that slots do not fall in step.

use std::time::Duration;

use rand_core::Rng;

use super::config::FleetConfig;

/// A wait never shrinks below this share of its full length.
const JITTER_FLOOR: f64 = 0.75;
/// Doubling more often than this changes nothing: the longest wait is reached long before.
const DOUBLINGS_MAX: u32 = 20;

/// The wait before the next try after `strikes` crashes in a row; zero after the first.
pub(super) fn delay(strikes: u32, config: &FleetConfig, random: &mut impl Rng) -> Duration {
    let Some(doublings) = strikes.checked_sub(2) else { return Duration::ZERO };
    let full = config.backoff_base.saturating_mul(1 << doublings.min(DOUBLINGS_MAX)).min(config.backoff_max);
    let share = f64::from(random.next_u32()) / f64::from(u32::MAX);
    full.mul_f64(JITTER_FLOOR + (1.0 - JITTER_FLOOR) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_differ() {
        let config = FleetConfig::default();
        let mut random = rand_pcg::Pcg32::new(7, 1);
        for (strikes, full) in [(2, 1.0), (3, 2.0), (4, 4.0), (6, 16.0), (7, 30.0), (1_000_000, 30.0)] {
            let waits: Vec<f64> =
                (0..50).map(|_| delay(strikes, &config, &mut random).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (full * 0.749..=full).contains(wait)), "{strikes}: {waits:?}");
            assert!(waits.iter().any(|wait| (wait - waits[0]).abs() > 0.01), "{strikes}: no jitter");
        }
        assert_eq!(delay(0, &config, &mut random), Duration::ZERO);
        assert_eq!(delay(1, &config, &mut random), Duration::ZERO);
    }
}
