//! Cost files: what a worker costs in money, and what its power emits.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde::Deserialize;
use simulator::Trace;
use simulator::price::{Prices, Rate};
use simulator::trace::{Kind, Told};

use crate::failure::{Hint, USAGE, read_text};

/// A cost file, as it is written in TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CostFile {
    /// As in `$`.
    #[serde(default = "dollar")]
    currency: String,
    /// Price of a worker-hour.
    worker_hour: Price,
    /// What a worker draws, for emissions.
    #[serde(default)]
    worker_watts: f64,
    /// Grams of CO₂ equivalent per kilowatt-hour.
    carbon_grams_per_kwh: Option<Price>,
}

/// A number, or a series over time beside the cost file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Price {
    Always(f64),
    Series { file: String },
}

fn dollar() -> String {
    "$".to_owned()
}

/// Reads a cost file and the series that it names.
pub(super) fn read(path: &Path) -> anyhow::Result<Arc<Prices>> {
    const ADVICE: &str =
        "as in worker_hour = 0.0146, or worker_hour = { file = \"prices.csv\" }; see examples/costs.toml";
    let text = read_text(path, "name a cost file with --costs")?;
    let file: CostFile = toml::from_str(&text)
        .map_err(anyhow::Error::from)
        .with_context(|| path.display().to_string())
        .coded(ADVICE, USAGE)?;
    let beside = path.parent().unwrap_or(Path::new("."));
    let rate = |told: &Price, name: &str| match told {
        Price::Always(value) if value.is_finite() && *value >= 0.0 => Ok(Rate::Constant(*value)),
        Price::Always(value) => {
            Err(anyhow::anyhow!("{}: {name} cannot be {value}", path.display())).coded(ADVICE, USAGE)
        }
        Price::Series { file } => series(&beside.join(file)),
    };
    Ok(Arc::new(Prices {
        currency: file.currency.clone(),
        worker_hour: rate(&file.worker_hour, "worker_hour")?,
        worker_watts: file.worker_watts,
        carbon_grams_per_kwh: file
            .carbon_grams_per_kwh
            .as_ref()
            .map(|told| rate(told, "carbon_grams_per_kwh"))
            .transpose()?,
    }))
}

fn series(path: &Path) -> anyhow::Result<Rate> {
    let text = read_text(path, "the series is looked for beside the cost file")?;
    let told = Told { format: None, bucket: None, kind: Some(Kind::Other) };
    let trace = Trace::read("prices", &text, &told)
        .map_err(|error| anyhow::Error::from(error).context(path.display().to_string()))
        .coded("a series is CSV with the header time_s,value; it begins with the load", USAGE)?;
    Ok(Rate::of(&trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_cost_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/costs.toml");
        let prices = read(&path).unwrap();
        assert_eq!(prices.worker_hour, Rate::Constant(0.0146));
        assert!(matches!(prices.carbon_grams_per_kwh, Some(Rate::Series(_))));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("worker_hour = -1", "cannot be -1"),
            ("price = 1", "unknown field"),
            ("worker_hour = { file = \"none.csv\" }", "none.csv"),
        ] {
            let path = folder.path().join("costs.toml");
            fs_err::write(&path, text).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
