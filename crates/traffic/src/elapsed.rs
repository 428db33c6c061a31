//! The time between two moments, as every request's end asks for it.

use jiff::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Nanoseconds from `earlier` to `later`; 0 where that is not later. By parts: the general
/// difference, whole years and signs and all, takes longer than to count the request.
#[inline]
pub(crate) fn nanos_between(earlier: Timestamp, later: Timestamp) -> u64 {
    let seconds = later.as_second().saturating_sub(earlier.as_second());
    let nanos = i64::from(later.subsec_nanosecond()) - i64::from(earlier.subsec_nanosecond());
    u64::try_from(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_make_the_same_difference(earlier in -4_000_000_000_000_000_000_i64.., later in -4_000_000_000_000_000_000_i64..) {
            let at = |nanos: i64| Timestamp::from_nanosecond(nanos.into()).unwrap();
            let expected = u64::try_from(later.saturating_sub(earlier)).unwrap_or(0);
            prop_assert_eq!(nanos_between(at(earlier), at(later)), expected);
        }
    }
}
