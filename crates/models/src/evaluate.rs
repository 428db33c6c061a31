//! Evaluation runs: one protocol for every series, rows that other scorers can read.

use std::fmt::Write as _;
use std::time::Duration;

use clock::Clock;
use forecast::backtest::{Backtest, Protocol, Summary, summarise};
use forecast::{FitError, Series};

use crate::recipe::{Recipe, RecipeError};
use crate::timed::Timed;

/// The shortest step that is evaluated unless told otherwise: nobody starts a worker faster.
const STEP_MIN: Duration = Duration::from_secs(15);

/// How a model did on a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The series' name.
    pub trace: String,
    /// The model's row of the registry.
    pub model: String,
    /// One step.
    pub step: Duration,
    /// Every forecast beside what came.
    pub backtest: Backtest,
    /// The scores.
    pub summary: Summary,
    /// Wall time that learning took, refits included.
    pub fit_time: Duration,
    /// Mean wall time of one forecast with the update before it.
    pub predict_time: Duration,
}

/// The series at `bin`, or at its own step if that is at least 15 s, else at the next multiple of
/// its step that is.
pub fn on_grid(series: &Series, bin: Option<Duration>) -> Series {
    let (step, wanted) = (series.step().as_nanos(), bin.unwrap_or(STEP_MIN).as_nanos());
    let factor = usize::try_from(wanted.div_ceil(step)).unwrap_or(usize::MAX);
    if factor > 1 { series.coarser(factor) } else { series.clone() }
}

/// Runs `recipe` over `series` by `protocol`.
///
/// # Errors
/// When the recipe makes no sense. A model that learns nothing abstains; that is a result.
pub fn evaluate(
    clock: &Clock,
    trace: &str,
    recipe: &Recipe,
    series: &Series,
    protocol: &Protocol,
) -> Result<Evaluation, RecipeError> {
    let model = (recipe.entry()?.build)(&recipe.settings(series.step())?);
    let mut model = Timed::new(model, *clock);
    let backtest = protocol.run(&mut model, series);
    let summary = summarise(protocol, series, &backtest);
    Ok(Evaluation {
        trace: trace.to_owned(),
        model: recipe.model.clone(),
        step: series.step(),
        backtest,
        summary,
        fit_time: model.fit_time(),
        predict_time: model.predict_time(),
    })
}

/// The first line of the CSV.
pub fn csv_header() -> &'static str {
    "trace,model,origin_s,horizon,q50,q90,actual\n"
}

impl Evaluation {
    /// One line a forecast that was made. `origin_s` counts from the beginning of the series to
    /// the end of the last step known; step `horizon` ends `horizon` steps later.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        for row in self.backtest.rows.iter().filter(|row| row.values.len() >= 2) {
            let origin_s = row.origin as f64 * self.step.as_secs_f64();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{}",
                self.trace, self.model, origin_s, row.horizon, row.values[0], row.values[1], row.actual
            );
        }
        text
    }

    /// Why the first fit gave nothing, if so.
    pub fn fault(&self) -> Option<&FitError> {
        self.backtest.fit.as_ref().err()
    }

    /// The scores as a table, with regimes and the worst episodes.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} · {} · step {} s · fit {:.2} s · update and forecast {:.0} µs\n horizon  count   MASE  RMSSE  relMAE  relQL90  cover90\n",
            self.trace,
            self.model,
            self.step.as_secs_f64(),
            self.fit_time.as_secs_f64(),
            self.predict_time.as_secs_f64() * 1e6
        );
        for one in &self.summary.horizons {
            let _ = writeln!(
                text,
                "{:>8} {:>6} {:>6} {:>6} {:>7} {:>8} {:>8.3}",
                one.horizon,
                one.count,
                ratio(one.mase),
                ratio(one.rmsse),
                ratio(one.relative_mae),
                ratio(one.relative_loss_90),
                one.coverage_90
            );
        }
        for one in &self.summary.regimes {
            let beaten = one.relative_mae.is_finite() && one.relative_mae > 1.0;
            let naive = if beaten { "  (naive wins)" } else { "" };
            let _ = writeln!(
                text,
                "  {:<16} {:>4} forecasts  relMAE {}  cover90 {:.2}{naive}",
                one.regime.name(),
                one.count,
                ratio(one.relative_mae),
                one.coverage_90
            );
        }
        for one in self.summary.worst.iter().take(3) {
            let _ = writeln!(
                text,
                "  worst: at {:.0} s, {} ahead, {}: {:.4} forecast, {:.4} came",
                one.origin as f64 * self.step.as_secs_f64(),
                one.horizon,
                one.regime.name(),
                one.forecast,
                one.actual
            );
        }
        if self.summary.abstained > 0 {
            let _ = writeln!(text, "  abstained {} times", self.summary.abstained);
        }
        text
    }
}

/// A ratio for people; a dash where there is none, since the naive forecast made no error at all.
fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "–".to_owned() }
}
