//! `autoscale policy test`: bounds on what policies do to recorded load, in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use control::span;
use serde::{Deserialize, Serialize};
use simulator::{Contest, Scenario, Size, Trace};

use crate::args::{Output, PolicyTestArgs};
use crate::commands::simulate::{contestants, cores, read_as, refused};
use crate::commands::tune::bounds;
use crate::failure::{BREACHED, Hint, coded, hint, read_text};
use crate::output;

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    test: Vec<Test>,
}

/// One policy on one trace, and what must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: Option<String>,
    trace: PathBuf,
    policy: String,
    expect: Vec<String>,
    kappa: Option<f64>,
    peak_workers: Option<f64>,
    worker_rate: Option<f64>,
    slo_utilisation: Option<f64>,
    min: Option<u32>,
    max: Option<u32>,
    compress: Option<f64>,
    start_up: Option<Length>,
    decide_every: Option<Length>,
    service_time: Option<Length>,
    patience: Option<Length>,
    metric_delay: Option<Length>,
    drain: Option<Length>,
}

/// A length of time as it is written everywhere.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Length(#[serde(with = "span")] Duration);

/// One bound and what became of it.
#[derive(Debug, Serialize)]
struct Row {
    test: String,
    policy: String,
    bound: String,
    value: Option<f64>,
    holds: bool,
}

/// Runs the command; an error with code 99 if a bound is broken.
pub(super) fn run(args: &PolicyTestArgs) -> anyhow::Result<()> {
    let text = read_text(&args.file, "name a file of tests that can be read")?;
    let file: File = toml::from_str(&text)
        .with_context(|| args.file.display().to_string())
        .hint("`autoscale policy test --help` shows such a file")?;
    let folder = args.file.parent().unwrap_or(Path::new("."));
    let mut rows = Vec::new();
    for (place, test) in file.test.iter().enumerate() {
        let name = test.name.clone().unwrap_or_else(|| format!("test {}", place + 1));
        rows.extend(test.run(&name, folder).with_context(|| name.clone())?);
    }
    let broken = rows.iter().filter(|row| !row.holds).count();
    match args.output {
        Output::Table => {
            for row in &rows {
                output::line(&row.told());
            }
            output::line(&format!("{} passed, {broken} failed", rows.len() - broken));
        }
        Output::Json => output::value(&rows, false)?,
        Output::Yaml => output::value(&rows, true)?,
    }
    if broken > 0 {
        let advice = "`autoscale simulate` with the same trace and policy shows the whole result";
        return Err(coded(anyhow::anyhow!("{broken} of {} bounds are broken", rows.len()), advice, BREACHED));
    }
    Ok(())
}

impl Row {
    fn told(&self) -> String {
        let value = match self.value {
            None => "none".to_owned(),
            Some(share) if self.bound.ends_with('%') => format!("{:.2}%", 100.0 * share),
            Some(value) => format!("{value:.4}"),
        };
        let word = if self.holds { "ok    " } else { "BROKEN" };
        format!("{word} {}  {}  {} (is {value})", self.test, self.policy, self.bound)
    }
}

impl Test {
    fn run(&self, name: &str, folder: &Path) -> anyhow::Result<Vec<Row>> {
        let expect = bounds(&self.expect)?;
        if expect.is_empty() {
            let advice = "as in expect = [\"late<1%\", \"cost_ratio<1.5\"]";
            return Err(hint(anyhow::anyhow!("nothing is expected, so that nothing can be tested"), advice));
        }
        let contestants = contestants::parse(&self.policy)?;
        let scenario = self.scenario();
        let traces: [Trace; 1] = [read_as(&folder.join(&self.trace), None, None, true)?];
        let contest = Contest::of(&traces, &contestants, &scenario);
        let mut rows = Vec::new();
        for score in contest.run(cores(), &|| ()).map_err(refused)? {
            rows.extend(expect.iter().map(|bound| Row {
                test: name.to_owned(),
                policy: score.policy.clone(),
                bound: bound.text.clone(),
                value: bound.value(&score),
                holds: bound.holds(&score),
            }));
        }
        Ok(rows)
    }

    fn scenario(&self) -> Scenario {
        let default = Scenario::default();
        let length = |told: Option<Length>, default: Duration| told.map_or(default, |length| length.0);
        let size = self.worker_rate.map(Size::WorkerRate);
        Scenario {
            size: size.or(self.peak_workers.map(Size::PeakWorkers)).unwrap_or(default.size),
            compress: self.compress.unwrap_or(default.compress),
            decide_every: length(self.decide_every, default.decide_every),
            slo_utilisation: self.slo_utilisation.unwrap_or(default.slo_utilisation),
            kappa: self.kappa.unwrap_or(default.kappa),
            start_up: length(self.start_up, default.start_up),
            min: self.min.unwrap_or(default.min),
            max: self.max.or(default.max),
            service_time: length(self.service_time, default.service_time),
            patience: length(self.patience, default.patience),
            metric_delay: length(self.metric_delay, default.metric_delay),
            drain: length(self.drain, default.drain),
            outages: Vec::new(),
            prices: None,
        }
    }
}
