//! Quantities as Kubernetes writes them: `500m`, `64Mi`, `2k`, `1.5`; kept in thousandths.

use serde::de::{Deserialize, Deserializer, Error};

use crate::number;

/// A quantity in thousandths of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity(pub(super) i64);

const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1_024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// `value` in thousandths, rounded up as Kubernetes does; dust of binary fractions is not
/// counted.
pub(super) fn milli(value: f64) -> i64 {
    number::whole_up(value * 1e3, 1e-6)
}

impl Quantity {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // `1E3` is a thousand, `1E` an exa: plain numbers first.
        let value = text.parse::<f64>().ok().or_else(|| {
            let (digits, factor) =
                SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
            Some(digits.parse::<f64>().ok()? * factor)
        })?;
        value.is_finite().then(|| Self(milli(value)))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let read = match Written::deserialize(from)? {
            Written::Number(value) if value.is_finite() => return Ok(Self(milli(value))),
            Written::Number(value) => value.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&read)
            .ok_or_else(|| D::Error::custom(format!("`{read}` is no quantity (try 500m, 2 or 64Mi)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_writes() {
        let rows = [
            ("500m", Some(500)),
            ("2", Some(2_000)),
            ("1.5", Some(1_500)),
            ("0.1", Some(100)),
            ("100u", Some(1)),
            ("2k", Some(2_000_000)),
            ("64Mi", Some(67_108_864_000)),
            ("1E3", Some(1_000_000)),
            ("x", None),
            ("", None),
            ("5Mb", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Quantity::parse(text).map(|quantity| quantity.0), expected, "{text}");
        }
    }
}
