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
    count(value.ceil())
}

/// The whole number nearest to zero; saturating, not a number is 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates and takes NaN to 0, which is what is wanted"
)]
pub(crate) fn whole(value: f64) -> i64 {
    value as i64
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
