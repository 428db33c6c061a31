//! Reasons: numbers and the sentence that they belong into. Text is made only when shown.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Words known when the program was built, or made once and shared since: a copy is free.
#[derive(Clone)]
pub enum Text {
    /// Known when the program was built.
    Fixed(&'static str),
    /// Made once, when a policy was built or an order came in.
    Shared(Arc<str>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::from)
    }
}

/// Numbers and the sentence that they belong into.
///
/// `sentence` has a `{name}` for each number: `"cpu {cpu} % > {up} %"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Because {
    /// With a `{name}` for each number.
    pub sentence: Text,
    /// Name and value, in order of appearance.
    #[serde(with = "numbers")]
    pub numbers: Vec<(Cow<'static, str>, f64)>,
}

/// JSON has no NaN: a number that is none is written as null and read back as NaN, so that a
/// record with one stays readable.
mod numbers {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    type Numbers = Vec<(Cow<'static, str>, f64)>;

    pub(super) fn serialize<S: Serializer>(numbers: &Numbers, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            numbers.iter().map(|(name, value)| (name, Some(*value).filter(|value| value.is_finite()))),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Numbers, D::Error> {
        let read: Vec<(Cow<'static, str>, Option<f64>)> = Vec::deserialize(from)?;
        Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
    }
}

impl Because {
    /// A reason with its numbers.
    pub fn new<const N: usize>(sentence: impl Into<Text>, numbers: [(&'static str, f64); N]) -> Self {
        // Written where it stays: at a decision's rate, moving arrays about would show.
        let mut named = Vec::with_capacity(N);
        named.extend(numbers.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)));
        Self { sentence: sentence.into(), numbers: named }
    }

    /// A reason made of text that is only known at run time; for the rare turn only.
    pub fn text(sentence: String) -> Self {
        Self { sentence: sentence.into(), numbers: Vec::new() }
    }

    /// A reason without numbers.
    pub fn plain(sentence: impl Into<Text>) -> Self {
        Self { sentence: sentence.into(), numbers: Vec::new() }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: &str = &self.sentence;
        while let Some((before, after)) = rest.split_once('{') {
            f.write_str(before)?;
            let named = after.split_once('}').and_then(|(name, tail)| {
                let found = self.numbers.iter().find(|(known, _)| known == name)?;
                Some((found.1, tail))
            });
            match named {
                Some((value, tail)) => {
                    write_number(f, value)?;
                    rest = tail;
                }
                None => {
                    f.write_str("{")?;
                    rest = after;
                }
            }
        }
        f.write_str(rest)
    }
}

/// Whole numbers bare, small ones with three decimals, others with one.
fn write_number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.abs() < 2.0 && (value * 10.0 - (value * 10.0).round()).abs() > 0.05 {
        write!(f, "{value:.2}")
    } else if (value - value.round()).abs() < 0.05 {
        write!(f, "{value:.0}")
    } else {
        write!(f, "{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shows_its_numbers() {
        let because = Because::new("cpu {cpu} % > {up} %", [("cpu", 81.27), ("up", 35.0)]);
        assert_eq!(because.to_string(), "cpu 81.3 % > 35 %");
        let odd = Because::text("a {brace} and a {".to_owned());
        assert_eq!(odd.to_string(), "a {brace} and a {");
        let json = serde_json::to_string(&because).unwrap();
        assert_eq!(serde_json::from_str::<Because>(&json).unwrap(), because);
    }

    #[test]
    fn a_record_with_a_number_that_is_none_stays_readable() {
        let because = Because::new("{a} of {b}", [("a", f64::NAN), ("b", f64::INFINITY)]);
        let json = serde_json::to_string(&because).unwrap();
        let read: Because = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(read.numbers.iter().all(|(_, value)| value.is_nan()));
    }
}
