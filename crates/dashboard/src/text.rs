//! Numbers as people read them: units, thousands, and a width that fits a column.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Stands where a number is not known.
pub const UNKNOWN: &str = "–";

/// Whole numbers with thousands marked: `1,206`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most five columns: `12345`, `123k`, `12M`.
pub fn narrow_count(number: u64) -> String {
    match number {
        0..=99_999 => number.to_string(),
        100_000..=99_999_999 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// The nearest whole number; below zero and unmeasurable count as zero.
pub fn rounded(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float's cast saturates, and the ends are never shown"
    )]
    let whole = number.round() as u64;
    whole
}

/// A number as the reasons of decisions write it: `35`, `81.3`.
pub fn number(value: f64) -> String {
    control::Because::new("{value}", [("value", value)]).to_string()
}

/// A value with its unit: `81.3 %`, `120`.
pub fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() { number(value) } else { format!("{} {unit}", number(value)) }
}

/// A percentage with one decimal always, so that it does not jump: `81.0 %`.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| format!("{UNKNOWN} %"), |value| format!("{value:.1} %"))
}

/// A latency in milliseconds, without the unit: `2.1`, `20`, `1240`.
pub fn millis(latency: Duration) -> String {
    let millis = latency.as_secs_f64() * 1e3;
    if millis < 9.95 { format!("{millis:.1}") } else { format!("{millis:.0}") }
}

/// Seconds with the decimals that matter, without the unit: `0.03`, `1.2`, `45`.
pub fn seconds(length: Duration) -> String {
    match length.as_secs_f64() {
        0.0 => "0".to_owned(),
        short @ ..0.995 => format!("{short:.2}"),
        middle @ ..99.95 => format!("{middle:.1}"),
        long => format!("{long:.0}"),
    }
}

/// Time left, rounded up so that it ends at 1: `3 s`, `1:40 min`.
pub fn left(length: Duration) -> String {
    let whole = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    if whole < 100 { format!("{whole} s") } else { format!("{}:{:02} min", whole / 60, whole % 60) }
}

/// An age in at most four columns: `59s`, `83m`, `47h`, `12d`.
pub fn age(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}m", seconds / 60),
        seconds @ 6_000..=359_999 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Memory in at most five columns, in powers of 1024: `9.0M`, `123M`, `1.2G`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 99.95);
    format!("{value:.decimals$}{}", UNITS[unit])
}

/// Time of day in `zone`: `12:03:15`.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// How many columns of a terminal `text` takes.
pub fn columns(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}

/// At most `width` columns of `text`, the cut marked.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut kept: String = text
        .chars()
        .take_while(|c| {
            let needs = columns(c.encode_utf8(&mut [0; 4]));
            let fits = needs <= room;
            room = room.saturating_sub(needs);
            fits
        })
        .collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Breaks `line` at spaces into lines of at most `width` columns; all but the first are indented.
/// Words longer than that stay whole.
pub fn wrapped(line: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = line;
    let mut now = String::new();
    loop {
        let room = width.saturating_sub(columns(&now));
        if columns(rest) <= room {
            lines.push(now + rest);
            return lines;
        }
        let end = rest
            .char_indices()
            .filter(|(place, c)| *c == ' ' && !rest[..*place].trim().is_empty())
            .map(|(place, _)| place);
        let fitting = end.clone().take_while(|place| columns(&rest[..*place]) <= room).last();
        let Some(end) = fitting.or_else(|| end.clone().next()) else {
            lines.push(now + rest);
            return lines;
        };
        lines.push(now + &rest[..end]);
        rest = rest[end..].trim_start();
        now = " ".repeat(indent);
    }
}

/// The time from `from` to `to`; zero when they stand the other way round.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_206), "1,206");
        assert_eq!(count(1_234_567), "1,234,567");
        for (number, text) in [(7, "7"), (99_999, "99999"), (100_000, "100k"), (123_456_789, "123M")] {
            assert_eq!(narrow_count(number), text);
        }
        for (size, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1.0K"),
            (9 << 20, "9.0M"),
            (123 << 20, "123M"),
            (1_023 << 20, "1.0G"),
            (u64::MAX, "16777216T"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (secs, text) in [(0, "0s"), (99, "99s"), (100, "1m"), (6_000, "1h"), (360_000, "4d")] {
            assert_eq!(age(Duration::from_secs(secs)), text);
        }
        assert_eq!(rounded(-3.0), 0);
        assert_eq!(rounded(f64::NAN), 0);
        assert_eq!(rounded(2.5), 3);
    }

    #[test]
    fn seconds_keep_the_decimals_that_matter() {
        for (millis, text) in
            [(0, "0"), (4, "0.00"), (32, "0.03"), (994, "0.99"), (995, "1.0"), (99_951, "100")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_countdown_ends_at_one() {
        assert_eq!(left(Duration::from_millis(1)), "1 s");
        assert_eq!(left(Duration::from_millis(2_001)), "3 s");
        assert_eq!(left(Duration::from_secs(100)), "1:40 min");
    }

    #[test]
    fn wrapped_lines_hang_below_their_content() {
        assert_eq!(wrapped("  why  a b c", 9, 7), ["  why  a", "       b", "       c"]);
        assert_eq!(wrapped("short", 9, 7), ["short"]);
        assert_eq!(wrapped("muchtoolong here", 4, 2), ["muchtoolong", "  here"]);
        assert_eq!(wrapped("", 0, 2), [""]);
    }

    #[test]
    fn a_cut_is_marked_and_never_too_wide() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
    }
}
