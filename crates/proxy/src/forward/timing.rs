//! `Server-Timing`: how long a request waited, and how long its worker took to begin its answer.

use std::time::Duration;

use crate::headers::Fields;

/// Both parts with a few digits each.
const TEXT_BYTES_EXPECTED: usize = 48;
/// Of the longest `u64`.
const MICROS_DIGITS_MAX: usize = 20;

/// Adds the field behind those that the worker may have set.
pub(super) fn say(fields: &mut Fields, total: Duration, queue: Duration) {
    let upstream = total.saturating_sub(queue);
    let mut text = Vec::with_capacity(TEXT_BYTES_EXPECTED);
    text.extend_from_slice(b"queue;dur=");
    put_millis(&mut text, queue);
    text.extend_from_slice(b", upstream;dur=");
    put_millis(&mut text, upstream);
    fields.put("server-timing", &text);
}

/// Writes milliseconds with three places. This is in every answer, and formatting by way of
/// `Display` cost four times as much.
fn put_millis(text: &mut Vec<u8>, length: Duration) {
    // Half a million years; and 128 bits take many times as long to divide.
    let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
    let mut digits = [0; MICROS_DIGITS_MAX];
    let mut at = digits.len();
    let mut rest = micros;
    // Three places, and at least one digit before them.
    while rest > 0 || digits.len() - at < 4 {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    let (whole, places) = digits[at..].split_at(digits.len() - at - 3);
    text.extend_from_slice(whole);
    text.push(b'.');
    text.extend_from_slice(places);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_places() {
        let millis = |length| {
            let mut text = Vec::new();
            put_millis(&mut text, length);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(millis(Duration::ZERO), "0.000");
        assert_eq!(millis(Duration::from_micros(7)), "0.007");
        assert_eq!(millis(Duration::from_micros(12_345_678)), "12345.678");
        assert!(millis(Duration::MAX).ends_with(".615"));
    }
}
