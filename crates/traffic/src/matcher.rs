//! Which statuses pass a probe.

use std::fmt;
use std::str::FromStr;

/// Statuses, as an ALB writes them: `200`, `200,202` or `200-299`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(Vec<(u16, u16)>);

impl Matcher {
    /// All from one status to another, both included.
    pub fn new(from: u16, to: u16) -> Self {
        Self(vec![(from, to)])
    }

    /// Whether this status is among them.
    pub fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

/// Text that is no matcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMatcher(String);

impl fmt::Display for BadMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no statuses (like 200, 200,202 or 200-299)", self.0)
    }
}

impl std::error::Error for BadMatcher {}

impl FromStr for Matcher {
    type Err = BadMatcher;

    fn from_str(text: &str) -> Result<Self, BadMatcher> {
        let status = |text: &str| text.trim().parse().ok().filter(|status| (100..=599).contains(status));
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to): (u16, u16) = (status(from)?, status(to)?);
            (from <= to).then_some((from, to))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| BadMatcher(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_written_as_for_an_alb() {
        let matches = |text: &str, status| text.parse::<Matcher>().unwrap().matches(status);
        assert!(matches("200", 200) && !matches("200", 201));
        assert!(matches("200,202", 202) && !matches("200,202", 201));
        assert!(matches("200-299, 404", 250) && matches("200-299,404", 404) && !matches("200-299", 300));
        for bad in ["", "x", "299-200", "20", "200-", "200,,201", "1000"] {
            assert!(bad.parse::<Matcher>().is_err(), "{bad}");
        }
    }
}
