//! All models together, each weighted by what it got wrong of late, by horizon and by quantile.
//!
//! `w ∝ exp(−η · excess pinball loss)` over a sliding window. A member that abstains, panics or
//! gives what is no number is left out and counted; it stops nobody. When all are, so does the
//! ensemble: "all predictors failed" is an answer.

mod blend;

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scored::{Point, Scored};
use crate::{
    Budget, Entry, FitError, FitReport, Forecaster, ModelState, QuantileForecast, RestoreError, Restored,
    Sample, Series, Settings,
};
use blend::{Blend, Offer};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Blend::NAME,
    about: "all of the above, weighted by their recent losses; any may fail",
    build: |settings| Box::new(Ensemble::new(settings)),
    restore: Ensemble::restore,
};

/// Who takes part unless told otherwise: quick enough together for every decision.
const MEMBERS: &[&str] =
    &["naive", "autoregressive", "holt_winters", "theta", "random_forest", "gradient_boosting"];
/// Levels that members are asked for and judged by.
const LEVELS: [f64; 2] = [0.5, 0.9];
/// Slots at the end of a fitted series on which members earn their first weights.
const REPLAYED: usize = 1_000;

/// What was learnt before, to those slots, from which on they would teach nobody anything new.
const ENOUGH: usize = 8;

/// Several forecasters that answer as one.
pub struct Ensemble {
    settings: Settings,
    core: Scored<Blend>,
    members: Vec<Member>,
}

/// One who takes part.
struct Member {
    name: String,
    forecaster: Box<dyn Forecaster>,
    /// Panicked: it is not asked again until it is fitted anew.
    broken: bool,
    failures: u64,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its row of the registry.
    pub name: String,
    /// Share of the median by horizon, in the settings' order, 0 to 1.
    pub weights: Vec<f64>,
    /// Answers that could not be used, and panics.
    pub failures: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    core: Vec<u8>,
    members: Vec<(ModelState, u64)>,
}

impl Ensemble {
    /// With the default members.
    pub fn new(settings: &Settings) -> Self {
        let build = |name: &&str| Some(((*name).to_owned(), (crate::entry(name)?.build)(settings)));
        Self::of(settings, MEMBERS.iter().filter_map(build).collect())
    }

    /// With these members, each under the name of its row.
    pub fn of(settings: &Settings, members: Vec<(String, Box<dyn Forecaster>)>) -> Self {
        let member = |(name, forecaster)| Member { name, forecaster, broken: false, failures: 0 };
        Self {
            settings: settings.clone(),
            core: Scored::new(settings),
            members: members.into_iter().map(member).collect(),
        }
    }

    fn restore(settings: &Settings, bytes: &[u8]) -> Restored {
        let refused = |because: String| RestoreError { model: Blend::NAME.to_owned(), because };
        let kept: Kept = postcard::from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        let mut members = Vec::new();
        for (state, failures) in kept.members {
            let entry = crate::entry(&state.model)
                .ok_or_else(|| refused(format!("there is no model `{}`", state.model)))?;
            let forecaster = (entry.restore)(settings, &state.bytes)?;
            members.push(Member { name: state.model, forecaster, broken: false, failures });
        }
        let core = Scored::read(settings, &kept.core)?;
        Ok(Box::new(Self { settings: settings.clone(), core, members }))
    }

    /// How each member stands, in the order of the members.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |(index, member): (usize, &Member)| Standing {
            name: member.name.clone(),
            weights: self.core.point().weights(index),
            failures: member.failures,
        };
        self.members.iter().enumerate().map(standing).collect()
    }

    /// What the members say now.
    fn ask(&mut self) -> Offer {
        let horizons = &self.settings.horizons;
        let ask = |member: &mut Member| -> Vec<Option<[f64; 2]>> {
            let nothing = vec![None; horizons.len()];
            if member.broken {
                return nothing;
            }
            let answer = catch_unwind(AssertUnwindSafe(|| member.forecaster.predict(horizons, &LEVELS)));
            let Ok(answer) = answer else {
                member.broken = true;
                member.failures += 1;
                return nothing;
            };
            let Some(forecast) = answer else { return nothing };
            let sound = |row: &Vec<f64>| match row[..] {
                [middle, high] if middle.is_finite() && high.is_finite() => Some([middle, high]),
                _ => None,
            };
            let said: Vec<Option<[f64; 2]>> = forecast.values.iter().map(sound).collect();
            member.failures += u64::from(said.len() != horizons.len() || said.contains(&None));
            if said.len() == horizons.len() { said } else { nothing }
        };
        self.members.iter_mut().map(ask).collect()
    }

    /// What members say of the newest slot, after they learnt, in place of what they said before.
    fn ask_anew(&mut self) {
        let offer = self.ask();
        self.core.renew(|blend| blend.replace(offer));
    }

    fn take(&mut self, at: Timestamp, sample: &Sample) {
        for member in self.members.iter_mut().filter(|member| !member.broken) {
            let updated = catch_unwind(AssertUnwindSafe(|| member.forecaster.update(at, sample)));
            if updated.is_err() {
                member.broken = true;
                member.failures += 1;
            }
        }
        let offer = self.ask();
        self.core.point_mut().offer(offer);
        self.core.take(at, sample);
    }
}

impl Member {
    /// Has it learn; what it did, or why it could not.
    fn learn<R>(
        &mut self,
        lesson: impl FnOnce(&mut dyn Forecaster) -> Result<R, FitError>,
    ) -> Result<R, String> {
        match catch_unwind(AssertUnwindSafe(|| lesson(self.forecaster.as_mut()))) {
            Ok(Ok(learnt)) => {
                self.broken = false;
                Ok(learnt)
            }
            Ok(Err(error)) => Err(format!("{}: {error}", self.name)),
            Err(_) => {
                self.broken = true;
                self.failures += 1;
                Err(format!("{}: it panicked", self.name))
            }
        }
    }
}

impl Forecaster for Ensemble {
    fn fit(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        if budget.iterations == 0 {
            return Err(FitError::NoBudget);
        }
        let replayed = REPLAYED.min(series.len() * 2 / 5);
        let learnt = series.len() - replayed;
        let before = series.slice(0, learnt);
        let begun: Vec<Result<FitReport, String>> = self
            .members
            .iter_mut()
            .map(|member| member.learn(|model| model.begin(&before, budget)))
            .collect();
        if begun.iter().all(Result::is_err) {
            let failed: Vec<String> = begun.into_iter().filter_map(Result::err).collect();
            return Err(FitError::AllFailed(failed.join("; ")));
        }
        self.core = Scored::new(&self.settings);
        self.core.remember(&series.slice(0, learnt));
        for index in learnt..series.len() {
            self.take(series.at(index), &series.sample(index));
        }
        // The weights stand; now everyone learns from all there is, where that is much more than before.
        // What was held back may be what a member lacked.
        let close = |(member, begun): (&mut Member, Result<FitReport, String>)| match begun {
            Ok(report) => {
                if learnt < ENOUGH * replayed {
                    // Who cannot learn once more stays as it was.
                    let _ = member.learn(|model| model.relearn(budget));
                }
                Some(report)
            }
            Err(_) => member.learn(|model| model.fit(series, budget)).ok(),
        };
        let reports: Vec<FitReport> = self.members.iter_mut().zip(begun).filter_map(close).collect();
        self.ask_anew();
        Ok(FitReport {
            iterations: reports.iter().map(|report| report.iterations).sum(),
            points: reports.iter().map(|report| report.points).max().unwrap_or(0),
        })
    }

    fn relearn(&mut self, budget: Budget) -> Result<(), FitError> {
        let learn = |member: &mut Member| member.learn(|model| model.relearn(budget));
        let failed: Vec<String> = self
            .members
            .iter_mut()
            .filter(|member| !member.broken)
            .map(learn)
            .filter_map(Result::err)
            .collect();
        if failed.len() == self.members.len() {
            return Err(FitError::AllFailed(failed.join("; ")));
        }
        self.ask_anew();
        Ok(())
    }

    fn update(&mut self, at: Timestamp, sample: &Sample) {
        self.take(at, sample);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        self.core.predict(horizons, quantiles)
    }

    fn state(&self) -> ModelState {
        let member = |member: &Member| {
            let state = member.forecaster.state();
            (ModelState { model: member.name.clone(), ..state }, member.failures)
        };
        let core = self.core.state();
        let kept = Kept { core: core.bytes, members: self.members.iter().map(member).collect() };
        ModelState { bytes: postcard::to_allocvec(&kept).unwrap_or_default(), ..core }
    }
}
