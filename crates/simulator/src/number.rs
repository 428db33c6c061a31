//! The few places where a float becomes a whole number.

use std::time::Duration;

/// Largest number of workers that a simulation knows: each costs time at every turn, and with more a run
/// would not end.
pub(crate) const WORKERS_MAX: u32 = 10_000;

/// A load that passes a whole number by less than this, in workers, only does so by rounding.
pub(crate) const ROUNDING: f64 = 1e-9;

/// Smallest number of workers that carries `load`, which is in workers.
///
/// A load that passes a whole number only by rounding in the last digits is that whole number.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
pub(crate) fn workers_for(load: f64) -> u32 {
    count_up(load - ROUNDING).min(u64::from(WORKERS_MAX)) as u32
}

/// Seconds as a length of time, to the nearest nanosecond; what is none is zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
#[inline]
pub(crate) fn length(seconds: f64) -> Duration {
    // Exact in the same way, but for what lies next to the middle of two nanoseconds: below a
    // thousand seconds the product is off by less than a ten-thousandth of one.
    if (0.0..1e3).contains(&seconds) {
        let nanos = seconds * 1e9;
        let below = nanos as i64;
        let rest = nanos - below as f64;
        if (rest - 0.5).abs() > 1e-3 {
            return Duration::from_nanos(below as u64 + u64::from(rest > 0.5));
        }
    }
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Seconds as whole milliseconds; `None` for what is negative, no number or beyond 100,000 years.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
pub(crate) fn millis(seconds: f64) -> Option<u64> {
    let millis = (seconds * 1e3).round();
    (0.0..=3.2e15).contains(&millis).then_some(millis as u64)
}

/// A count that was computed as a float.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range before")]
pub(crate) fn count(value: f64) -> u64 {
    // Much of what is counted is mostly nothing.
    if value == 0.0 {
        return 0;
    }
    let value = value.clamp(0.0, 9e15);
    // As `round`, which is a call on processors without an instruction for it.
    let below = value as i64;
    let up = value - below as f64 >= 0.5;
    below as u64 + u64::from(up)
}

/// The same, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range before")]
pub(crate) fn count_up(value: f64) -> u64 {
    let value = value.clamp(0.0, 9e15);
    let below = value as i64;
    below as u64 + u64::from(value > below as f64)
}

/// A count that was computed as a float, where 32 bits must do.
pub(crate) fn count_u32(value: f64) -> u32 {
    u32::try_from(count(value)).unwrap_or(u32::MAX)
}

/// A place in a list in memory.
pub(crate) fn index(value: u64) -> usize {
    usize::try_from(value).expect("lists in memory are shorter than the address space")
}

/// Nanoseconds as seconds; all that are beyond 292 years are as many.
pub(crate) fn seconds_of(nanos: u64) -> f64 {
    // With a sign, as processors convert them: without one it takes them five steps.
    i64::try_from(nanos).unwrap_or(i64::MAX) as f64 / 1e9
}

/// Milliseconds as seconds; all that are beyond 292 million years are as many.
pub(crate) fn seconds(millis: u64) -> f64 {
    // With a sign, as above.
    i64::try_from(millis).unwrap_or(i64::MAX) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lengths_are_those_of_the_library(bits in any::<u64>(), near in 0.0..1_001.0_f64, half in 0_u32..4_000_000) {
            let halves = (f64::from(half) + 0.5) / 1e9;
            for seconds in [f64::from_bits(bits), near, halves, f64::from(half) / 1e3, 1e3, 0.999_999_999_9, -0.0] {
                let library = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                prop_assert_eq!(length(seconds), library, "{}", seconds);
            }
        }
    }
}
