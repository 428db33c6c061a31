//! Words for people: lengths of time, exits, counts.

use std::time::Duration;

use super::status::Exit;

/// A length of time for people: `0.1 s`, `30 s`.
pub(super) fn seconds(length: Duration) -> String {
    let tenths = (length.as_secs_f64() * 10.0).round() / 10.0;
    if tenths.fract() == 0.0 { format!("{tenths:.0} s") } else { format!("{tenths:.1} s") }
}

/// How a process ended; `asked` if it had been told to.
pub(super) fn exit_text(exit: Exit, asked: bool) -> String {
    match exit {
        Exit::Code(0) if !asked => "exited with code 0, though it should keep running,".to_owned(),
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(9) => "ended by signal 9 (SIGKILL)".to_owned(),
        Exit::Signal(15) => "ended by signal 15 (SIGTERM)".to_owned(),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
    }
}

/// `4th time`.
pub(super) fn ordinal(count: u32) -> String {
    let suffix = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{count}{suffix} time")
}
