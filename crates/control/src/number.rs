//! The one place where floating-point numbers become counts, and where they go into records.

/// The count nearest below; not a number and negative ones are 0, too large ones the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates and takes NaN to 0, which is what is wanted"
)]
pub(crate) fn count(value: f64) -> u32 {
    value as u32
}

/// `value` rounded up to a count.
pub(crate) fn count_up(value: f64) -> u32 {
    // As `ceil`, which is a call on processors without an instruction for it.
    let below = count(value);
    below.saturating_add(u32::from(value > f64::from(below)))
}

/// The whole number nearest to zero; saturating, not a number is 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates and takes NaN to 0, which is what is wanted"
)]
pub(crate) fn whole(value: f64) -> i64 {
    value as i64
}

/// `value` rounded up, where it is more than this above a whole number; saturating, not a number
/// is 0.
pub(crate) fn whole_up(value: f64, dust: f64) -> i64 {
    /// From here on every float is a whole number.
    const WHOLE_FROM: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() || value.abs() >= WHOLE_FROM {
        return whole(value);
    }
    // As `floor`, which is a call on processors without an instruction for it.
    let nearer_zero = whole(value);
    let below = nearer_zero - i64::from(value < nearer_zero as f64);
    below + i64::from(value - below as f64 >= dust)
}

/// A quotient of whole numbers, rounded towards zero to a whole one; `None` by 0.
pub(crate) fn quotient(value: i128, by: i128) -> Option<f64> {
    // All that is done with 128 bits is a call, and nearly all numbers have fewer.
    if let (Ok(value), Ok(by)) = (i64::try_from(value), i64::try_from(by))
        && let Some(quotient) = value.checked_div(by)
    {
        return Some(quotient as f64);
    }
    value.checked_div(by).map(|quotient| quotient as f64)
}

/// `count` plus a change, never below 0.
pub(crate) fn changed(count: u32, change: i64) -> u32 {
    u32::try_from((i64::from(count)).saturating_add(change).max(0)).unwrap_or(u32::MAX)
}

/// A count as a place in a list.
pub(crate) fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Length of a list as a count.
pub(crate) fn len(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// For `#[serde(with = …)]`: JSON has no NaN, so a number that is none is null, both ways.
pub(crate) mod or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes a number, or null.
    pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| value.is_finite()).serialize(to)
    }

    /// Reads a number; null is NaN.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounding_up_is_that_of_the_library(bits in any::<u64>(), near in -1e6_f64..1e6, thousandth in -2_000_000_i32..2_000_000) {
            let by_hand = |scaled: f64| {
                let nearest = scaled.round();
                whole(if (scaled - nearest).abs() < 1e-6 { nearest } else { scaled.ceil() })
            };
            let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_992.5, -0.0, 4_294_967_295.5];
            for value in special.into_iter().chain([f64::from_bits(bits), near, f64::from(thousandth) / 1e3 * 1e3]) {
                prop_assert_eq!(count_up(value), count(value.ceil()), "{}", value);
                prop_assert_eq!(whole_up(value, 1e-6), by_hand(value), "{}", value);
            }
        }

        #[test]
        fn short_division_is_long_division(value in any::<i128>(), by in any::<i128>(), shift in 0_u32..127) {
            for (value, by) in [(value, by), (value >> shift, by >> shift), (i64::MIN.into(), -1), (value, 0)] {
                let long = value.checked_div(by).map(|quotient| quotient as f64);
                prop_assert_eq!(quotient(value, by), long);
            }
        }
    }
}
