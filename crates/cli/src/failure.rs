//! How a command ends: exit codes, and errors that end in a hint.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// All well, also after Ctrl-C and a clean drain.
pub(crate) const FINE: u8 = 0;
/// Failure at run time.
pub(crate) const FAILED: u8 = 1;
/// Wrong usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// The measurement is invalid.
pub(crate) const INVALID: u8 = 3;
/// Not found.
pub(crate) const NOT_FOUND: u8 = 4;
/// A threshold or policy test failed.
pub(crate) const BREACHED: u8 = 99;

/// An error with advice and the exit code that it deserves.
#[derive(Debug)]
pub(crate) struct Hinted {
    error: anyhow::Error,
    advice: String,
    code: u8,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Hinted {}

/// Wrong usage, with advice.
pub(crate) fn hint(error: anyhow::Error, advice: impl Into<String>) -> anyhow::Error {
    coded(error, advice, USAGE)
}

/// An error with advice and an exit code.
pub(crate) fn coded(error: anyhow::Error, advice: impl Into<String>, code: u8) -> anyhow::Error {
    Hinted { error, advice: advice.into(), code }.into()
}

/// Adds advice to a result.
pub(crate) trait Hint<T> {
    /// Wrong usage, with advice.
    fn hint(self, advice: impl Into<String>) -> anyhow::Result<T>;
    /// A failure with advice and this exit code.
    fn coded(self, advice: impl Into<String>, code: u8) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, advice: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| hint(error.into(), advice))
    }

    fn coded(self, advice: impl Into<String>, code: u8) -> anyhow::Result<T> {
        self.map_err(|error| coded(error.into(), advice, code))
    }
}

/// The text of a file that somebody named: not found where there is none, wrong usage where it is no
/// text.
pub(crate) fn read_text(path: &Path, advice: impl Into<String>) -> anyhow::Result<String> {
    fs_err::read_to_string(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { USAGE };
        coded(error.into(), advice, code)
    })
}

/// Says on stderr what went wrong and how to mend it; the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let hinted = error.downcast_ref::<Hinted>();
    let text = format!("{error:#}");
    let (text, advice) = advised(&text, hinted.map(|hinted| hinted.advice.as_str()));
    crate::output::complain(&format!("error: {text}"));
    if let Some(advice) = advice {
        crate::output::complain(&format!("hint: {advice}"));
    }
    ExitCode::from(hinted.map_or(FAILED, |hinted| hinted.code))
}

/// Advice that came with the cause knows more than that of the outer layer: it goes before it.
fn advised<'a>(text: &'a str, outer: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    match text.split_once("; hint: ") {
        Some((text, inner)) => (text, Some(inner)),
        None => (text, outer),
    }
}

#[cfg(test)]
mod tests {
    use super::advised;

    #[test]
    fn one_hint_is_shown_and_the_inner_one_wins() {
        assert_eq!(advised("no", None), ("no", None));
        assert_eq!(advised("no", Some("try")), ("no", Some("try")));
        assert_eq!(advised("no; hint: chmod", Some("try")), ("no", Some("chmod")));
    }
}
