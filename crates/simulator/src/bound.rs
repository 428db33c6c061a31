//! A bound on a result as users write it: `late<1%`, `cost_ratio<=1.5`, `p99<500ms`.

use serde_json::Value;

use crate::score::Score;

/// Short names for what is bounded most often.
const SHORT: [(&str, &str); 7] = [
    ("late", "late_request_share"),
    ("dropped", "dropped_request_share"),
    ("violated", "violation_time_share"),
    ("longest", "violation_longest_s"),
    ("p50", "p50_s"),
    ("p95", "p95_s"),
    ("p99", "p99_s"),
];

/// A field of a score and how far it may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// As it was written.
    pub text: String,
    field: String,
    is: Is,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// Two letters go before one: `<=` is not `<`.
const SIGNS: [(&str, Is); 4] = [("<=", Is::AtMost), (">=", Is::AtLeast), ("<", Is::Below), (">", Is::Above)];

impl Bound {
    /// Reads one bound; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (place, sign, is) = SIGNS
            .iter()
            .filter_map(|(sign, is)| Some((text.find(sign)?, *sign, *is)))
            .min_by_key(|(place, sign, _)| (*place, std::cmp::Reverse(sign.len())))
            .ok_or_else(|| format!("`{text}` is no bound (try late<1% or cost_ratio<=1.5)"))?;
        let name = text[..place].trim();
        let limit = text[place + sign.len()..].trim();
        let field = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, field)| field);
        let limit = number(field, limit).ok_or_else(|| format!("`{limit}` in `{text}` is no number"))?;
        let bound = Self { text: text.trim().to_owned(), field: field.to_owned(), is, limit };
        if bound.value(&Score::default()).is_none() && !OPTIONAL.contains(&field) {
            return Err(format!("`{name}` in `{text}` is no number of a result (see simulate -o json)"));
        }
        Ok(bound)
    }

    /// The bounded value; `None` where the score has none.
    pub fn value(&self, score: &Score) -> Option<f64> {
        let mut value = &serde_json::to_value(score).ok()?;
        for part in self.field.split('.') {
            value = value.get(part)?;
        }
        Value::as_f64(value)
    }

    /// Whether it holds. A value that there is not breaks no bound: no request was too slow
    /// where there was none.
    pub fn holds(&self, score: &Score) -> bool {
        self.value(score).is_none_or(|value| self.admits(value))
    }

    pub(crate) fn admits(&self, value: f64) -> bool {
        match self.is {
            Is::Below => value < self.limit,
            Is::AtMost => value <= self.limit,
            Is::Above => value > self.limit,
            Is::AtLeast => value >= self.limit,
        }
    }

    /// How far beyond the bound a value is, over the bound; 0 where it holds.
    pub(crate) fn excess(&self, value: f64) -> f64 {
        if self.admits(value) { 0.0 } else { (value - self.limit).abs() / self.limit.abs().max(1e-6) }
    }

    /// Whether it is broken by too much rather than by too little.
    pub(crate) fn is_upper(&self) -> bool {
        matches!(self.is, Is::Below | Is::AtMost)
    }

    /// The field that it bounds.
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// Fields that may be empty, and so cannot be known from an empty score.
const OPTIONAL: [&str; 6] =
    ["p50_s", "p95_s", "p99_s", "elastic_speedup", "cost_ratio_interval.low", "cost_ratio_interval.high"];

/// A limit: a percentage for shares, a length of time for seconds, or a bare number.
fn number(field: &str, text: &str) -> Option<f64> {
    if let Some(percent) = text.strip_suffix('%') {
        return percent
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .map(|value| value / 100.0);
    }
    let bare = text.parse::<f64>().ok().filter(|value| value.is_finite());
    bare.or_else(|| {
        field.ends_with("_s").then(|| control::span::parse(text).ok())?.map(|it| it.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_and_hold_or_not() {
        let score = Score {
            late_request_share: 0.02,
            cost_ratio: 1.5,
            p99_s: Some(0.6),
            violation_longest_s: 90.0,
            ..Score::default()
        };
        let rows = [
            ("late<1%", false),
            ("late < 0.03", true),
            ("cost_ratio<=1.5", true),
            ("cost_ratio<1.5", false),
            ("p99<500ms", false),
            ("p99_s<=0.6", true),
            ("longest<2m", true),
            ("lateness.episodes>=1", false),
            ("p50<1s", true),
        ];
        for (text, holds) in rows {
            assert_eq!(Bound::parse(text).unwrap().holds(&score), holds, "{text}");
        }
        assert!((Bound::parse("late<1%").unwrap().excess(0.02) - 1.0).abs() < 1e-9);
        for bad in ["", "late", "late<many", "trace<1", "nonsense<1", "cost_ratio<5s", "p99<1x"] {
            assert!(Bound::parse(bad).is_err(), "{bad}");
        }
    }
}
