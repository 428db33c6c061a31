//! When an answer was made, as HTTP writes it (RFC 9110, 5.6.7).

use std::cell::RefCell;

use jiff::Timestamp;

thread_local! {
    /// The second it was made for, and the text.
    static DATE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Tells the date to `take`; made anew each second.
pub(crate) fn with<R>(now: Timestamp, take: impl FnOnce(&str) -> R) -> R {
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        }
        take(text)
    })
}

/// The same as a text.
pub(crate) fn text(now: Timestamp) -> String {
    with(now, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        let at = |text: &str| self::text(text.parse().unwrap());
        assert_eq!(at("1994-11-06T08:49:37Z"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at("1994-11-06T08:49:38.9Z"), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
