//! Metric alarms as in CloudWatch: samples of a period become a datapoint by a statistic; M
//! of the last N datapoints must breach; what a missing datapoint means is a setting.
//!
//! The rules for missing data follow the documented tables ("How alarm state is evaluated
//! when data is missing"): with enough real datapoints in the evaluation range only those
//! count; otherwise the gaps are filled as the setting says.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signal::{Judge, Signal, with_each};
use crate::decision::{Alarm, AlarmState, Excluded, Text};
use crate::number;
use crate::observation::Observation;

/// Datapoints beyond N that are looked at for real ones, as in the documented tables.
const EXTRA: usize = 2;

/// Datapoints kept at most; bounds N.
pub(crate) const PERIODS_MAX: usize = 1_000;

/// Samples of one period kept for a percentile; later ones of the same period are dropped.
const SAMPLES_MAX: usize = 100_000;

/// How the samples of a period become one datapoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Their mean.
    #[default]
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
    /// All together.
    Sum,
    /// A percentile, 0 to 100, written `p95`.
    Percentile(f64),
}

impl<'de> Deserialize<'de> for Statistic {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Ok(match text.to_ascii_lowercase().as_str() {
            "average" | "avg" | "mean" => Self::Average,
            "maximum" | "max" => Self::Maximum,
            "minimum" | "min" => Self::Minimum,
            "sum" => Self::Sum,
            other => {
                let percent = other.strip_prefix('p').and_then(|digits| digits.parse().ok());
                let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
                Self::Percentile(percent.ok_or_else(|| {
                    let known = &["average", "maximum", "minimum", "sum", "p95"];
                    serde::de::Error::unknown_variant(&text, known)
                })?)
            }
        })
    }
}

/// What a missing datapoint means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreatMissingData {
    /// Nothing: without any, the alarm has insufficient data.
    #[default]
    #[serde(rename = "missing")]
    Missing,
    /// It breaches.
    #[serde(rename = "breaching")]
    Breaching,
    /// It does not breach.
    #[serde(rename = "notBreaching", alias = "not_breaching")]
    NotBreaching,
    /// The state stays as it is.
    #[serde(rename = "ignore")]
    Ignore,
}

/// Gathers samples until a period ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Period {
    sum: f64,
    count: f64,
    low: f64,
    high: f64,
    all: Vec<f64>,
    ends: Option<Timestamp>,
}

impl Period {
    /// Takes a sample, so many times.
    pub(crate) fn take(&mut self, value: f64, times: usize, statistic: Statistic) {
        match statistic {
            Statistic::Average | Statistic::Sum => {}
            Statistic::Maximum => self.high = if self.count > 0.0 { self.high.max(value) } else { value },
            Statistic::Minimum => self.low = if self.count > 0.0 { self.low.min(value) } else { value },
            Statistic::Percentile(_) => {
                let fit = times.min(SAMPLES_MAX - self.all.len());
                self.all.extend(std::iter::repeat_n(value, fit));
            }
        }
        self.sum = with_each(self.sum, value, times);
        self.count += times as f64;
    }

    /// Takes a turn's samples of `signal`; what that turn alone amounts to.
    pub(crate) fn take_turn(
        &mut self,
        (signal, statistic): (&Signal, Statistic),
        seen: &Observation,
        judge: Judge,
        excluded: &mut Vec<Excluded>,
    ) -> Option<f64> {
        // Mostly a period is a turn: then there is only one sum to make.
        if self.count <= 0.0 {
            signal.samples(seen, judge, excluded, |value, times| self.take(value, times, statistic));
            return self.value(statistic);
        }
        let mut turn = Self::default();
        signal.samples(seen, judge, excluded, |value, times| {
            turn.take(value, times, statistic);
            self.take(value, times, statistic);
        });
        turn.value(statistic)
    }

    /// What the samples so far amount to.
    pub(crate) fn value(&mut self, statistic: Statistic) -> Option<f64> {
        if self.count <= 0.0 {
            return None;
        }
        let value = match statistic {
            Statistic::Average => self.sum / self.count,
            Statistic::Maximum => self.high,
            Statistic::Minimum => self.low,
            Statistic::Sum => self.sum,
            Statistic::Percentile(percent) => percentile(&mut self.all, percent)?,
        };
        Some(value).filter(|value| value.is_finite())
    }

    /// Closes the period if it is over: the datapoint, or `None` while it still runs. A length
    /// of zero makes every call a datapoint; periods without a turn are missing ones.
    pub(crate) fn close(
        &mut self,
        now: Timestamp,
        length: Duration,
        statistic: Statistic,
    ) -> Option<(Option<f64>, usize)> {
        let mut gaps = 0;
        if !length.is_zero() {
            let ends = *self.ends.get_or_insert_with(|| now.saturating_add(length).unwrap_or(Timestamp::MAX));
            if now < ends {
                return None;
            }
            let late = now.duration_since(ends).as_secs_f64() / length.as_secs_f64();
            let skipped = number::count(late);
            gaps = usize::try_from(skipped).unwrap_or(PERIODS_MAX).min(PERIODS_MAX);
            let over = length.saturating_mul(skipped.saturating_add(1));
            self.ends = Some(ends.saturating_add(over).unwrap_or(Timestamp::MAX));
        }
        let value = self.value(statistic);
        (self.sum, self.count) = (0.0, 0.0);
        self.all.clear();
        Some((value, gaps))
    }
}

/// Nearest rank; sorts `samples`.
fn percentile(samples: &mut [f64], percent: f64) -> Option<f64> {
    samples.sort_unstable_by(f64::total_cmp);
    let rank = usize::try_from(number::count_up(percent / 100.0 * samples.len() as f64)).ok()?;
    samples.get(rank.saturating_sub(1)).copied()
}

/// How many of how many datapoints must breach, and what a missing one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) needed: usize,
    pub(crate) of: usize,
    pub(crate) missing: TreatMissingData,
}

impl Rule {
    pub(crate) fn check(self) -> Result<(), String> {
        if !(1..=PERIODS_MAX).contains(&self.of) {
            return Err(format!("evaluation_periods must be 1 to {PERIODS_MAX}"));
        }
        if !(1..=self.of).contains(&self.needed) {
            return Err(format!("datapoints_to_alarm must be 1 to {}", self.of));
        }
        Ok(())
    }

    /// Adds a datapoint to those that this rule looks at.
    pub(crate) fn keep(self, datapoints: &mut VecDeque<Option<f64>>, new: Option<f64>) {
        // One comes at a time, and its rule never changes.
        if datapoints.len() == self.of + EXTRA {
            datapoints.pop_front();
        }
        datapoints.push_back(new);
    }

    /// The alarm after these datapoints.
    pub(crate) fn evaluate(
        self,
        datapoints: &VecDeque<Option<f64>>,
        before: AlarmState,
        breaches: impl Fn(f64) -> bool,
    ) -> Evaluation {
        // From the newest back: how many are real, how many of the N newest real ones breach.
        let (mut real, mut breaching, mut oldest_breach, mut fine) = (0, 0, 0, false);
        for (age, place) in (0..datapoints.len()).rev().enumerate() {
            let Some(value) = datapoints[place] else { continue };
            real += 1;
            if breaches(value) {
                breaching += 1;
                oldest_breach = age + 1;
            } else {
                fine = true;
            }
            if real == self.of {
                break;
            }
        }
        let filled = self.of - real;
        let state = if breaching >= self.needed {
            AlarmState::Alarm
        } else {
            match self.missing {
                TreatMissingData::Breaching if breaching + filled >= self.needed => AlarmState::Alarm,
                TreatMissingData::Breaching | TreatMissingData::NotBreaching => AlarmState::Ok,
                _ if real >= self.needed || fine => AlarmState::Ok,
                TreatMissingData::Ignore => before,
                TreatMissingData::Missing if real == 0 => AlarmState::InsufficientData,
                // All that is there breaches: an alarm once the oldest has waited long enough.
                TreatMissingData::Missing if oldest_breach >= self.needed => AlarmState::Alarm,
                TreatMissingData::Missing => before,
            }
        };
        Evaluation { state, breaching, missing: filled }
    }

    /// The same as it is shown.
    pub(crate) fn alarm(self, name: &'static str, found: Evaluation) -> Alarm {
        Alarm {
            name: Text::Fixed(name),
            state: found.state,
            breaching: number::len(found.breaching),
            missing: number::len(found.missing),
            needed: number::len(self.needed),
            of: number::len(self.of),
        }
    }
}

/// What an alarm's datapoints come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evaluation {
    pub(crate) state: AlarmState,
    breaching: usize,
    missing: usize,
}

#[cfg(test)]
#[path = "alarm/tests.rs"]
mod tests;
