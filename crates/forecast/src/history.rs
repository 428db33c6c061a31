//! The recent past on a regular grid, bounded, gaps kept: what every online model looks back on.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Sample, Series, Settings};

/// Slots kept: four weeks of minutes, eleven weeks of quarters of an hour, a week of 15 s steps.
const SLOTS_MAX: usize = 41_000;
/// Slots dropped at once, so that dropping costs nothing on average.
const SLOTS_DROPPED: usize = 4_100;
/// Covariates kept; more say little and cost time in every update.
const COVARIATES_MAX: usize = 4;
/// Steps for which the last reading stands in for a missing one.
const STALE_MAX: usize = 12;

/// Readings by slot; slot numbers count steps since the first reading ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    step: Duration,
    #[serde(with = "jiff::fmt::serde::tz::required")]
    zone: TimeZone,
    origin: Option<Timestamp>,
    first: usize,
    values: Vec<f64>,
    covariates: Vec<Vec<f64>>,
    seen: u64,
}

/// What a new sample did to the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It belongs to a slot that is already over.
    Late,
    /// So many slots were added, the last of them with the sample.
    Slots(usize),
    /// The silence was longer than all that is kept: the past is forgotten.
    Restarted,
}

impl History {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            step: settings.step,
            zone: settings.time_zone.clone(),
            origin: None,
            first: 0,
            values: Vec::new(),
            covariates: Vec::new(),
            seen: 0,
        }
    }

    /// The slot that `sample` falls into gets its readings.
    pub(crate) fn push(&mut self, at: Timestamp, sample: &Sample) -> Pushed {
        let origin = *self.origin.get_or_insert(at);
        let step = SignedDuration::try_from(self.step).unwrap_or(SignedDuration::MAX).as_nanos().max(1);
        // To the nearest slot: a sample that comes a moment early is not the slot before.
        let since = at.duration_since(origin).as_nanos() + step / 2;
        let Ok(slot) = usize::try_from(since.div_euclid(step)) else { return Pushed::Late };
        let end = self.end();
        if slot < end {
            return Pushed::Late;
        }
        self.seen = self.seen.saturating_add((slot - end + 1) as u64);
        if slot - end >= SLOTS_MAX {
            self.values.clear();
            self.covariates.iter_mut().for_each(Vec::clear);
            self.first = slot;
            self.append(sample);
            return Pushed::Restarted;
        }
        for _ in end..slot {
            self.append(&Sample::default());
        }
        self.append(sample);
        self.forget();
        Pushed::Slots(slot - end + 1)
    }

    fn append(&mut self, sample: &Sample) {
        let known = self.values.len();
        self.values.push(sample.target.filter(|value| value.is_finite()).unwrap_or(f64::NAN));
        let columns = sample.covariates.len().min(COVARIATES_MAX).max(self.covariates.len());
        self.covariates.resize_with(columns, || vec![f64::NAN; known]);
        for (index, column) in self.covariates.iter_mut().enumerate() {
            column.push(sample.covariates.get(index).copied().unwrap_or(f64::NAN));
        }
    }

    fn forget(&mut self) {
        if self.values.len() > SLOTS_MAX + SLOTS_DROPPED {
            let drop = self.values.len() - SLOTS_MAX;
            self.values.drain(..drop);
            for column in &mut self.covariates {
                column.drain(..drop);
            }
            self.first += drop;
        }
    }

    /// All of `series`, or as much of its end as is kept.
    pub(crate) fn of(settings: &Settings, series: &Series) -> Self {
        let mut history = Self::new(settings);
        let from = series.len().saturating_sub(SLOTS_MAX);
        for index in from..series.len() {
            history.push(series.at(index), &series.sample(index));
        }
        history
    }

    /// The first slot that is still known.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// One past the last slot.
    pub(crate) fn end(&self) -> usize {
        self.first + self.values.len()
    }

    /// Slots ever seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Readings kept, gaps not counted.
    pub(crate) fn known(&self) -> usize {
        self.values.iter().filter(|value| value.is_finite()).count()
    }

    /// The reading of `slot`.
    pub(crate) fn get(&self, slot: usize) -> Option<f64> {
        let value = *self.values.get(slot.checked_sub(self.first)?)?;
        value.is_finite().then_some(value)
    }

    /// The reading of `slot`, or the last one before it if that is not too old.
    pub(crate) fn latest(&self, slot: usize) -> Option<f64> {
        (0..=STALE_MAX).find_map(|age| self.get(slot.checked_sub(age)?))
    }

    /// The readings of slots `from..to` that are kept, gaps as what is no number.
    pub(crate) fn stretch(&self, from: usize, to: usize) -> &[f64] {
        let index = |slot: usize| slot.saturating_sub(self.first).min(self.values.len());
        let (from, to) = (index(from), index(to));
        &self.values[from..to.max(from)]
    }

    /// The readings of slots `from..to` that are kept, gaps left out.
    pub(crate) fn range(&self, from: usize, to: usize) -> impl Iterator<Item = f64> + '_ {
        self.stretch(from, to).iter().copied().filter(|value| value.is_finite())
    }

    /// The mean of slots `from..to`.
    pub(crate) fn mean(&self, from: usize, to: usize) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_u32);
        for value in self.range(from, to) {
            sum += value;
            count += 1;
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Covariates kept.
    pub(crate) fn columns(&self) -> usize {
        self.covariates.len()
    }

    /// A covariate's reading.
    pub(crate) fn covariate(&self, column: usize, slot: usize) -> Option<f64> {
        let value = *self.covariates.get(column)?.get(slot.checked_sub(self.first)?)?;
        value.is_finite().then_some(value)
    }

    /// When `slot` begins.
    pub(crate) fn at(&self, slot: usize) -> Timestamp {
        let seconds = self.step.as_secs_f64() * slot as f64;
        let exact = u32::try_from(slot).ok().and_then(|slot| self.step.checked_mul(slot));
        let since = exact.unwrap_or_else(|| Duration::from_secs_f64(seconds));
        self.origin.unwrap_or(Timestamp::UNIX_EPOCH).saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Seconds since local midnight and days since a Monday, of `slot`.
    pub(crate) fn local(&self, slot: usize) -> (f64, u8) {
        let at = self.at(slot);
        let seconds = at.as_second() + i64::from(self.offset(at));
        let day = seconds.div_euclid(86_400);
        // The epoch was a Thursday.
        let weekday = u8::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        (seconds.rem_euclid(86_400) as f64, weekday)
    }

    fn offset(&self, at: Timestamp) -> i32 {
        if self.zone == TimeZone::UTC { 0 } else { self.zone.to_offset(at).seconds() }
    }

    /// The slot one season of `steps` before `slot` by the wall clock: where daylight saving
    /// changed in between, "the same time yesterday" is an hour off the plain difference.
    pub(crate) fn season_before(&self, slot: usize, steps: usize) -> Option<usize> {
        let plain = slot.checked_sub(steps)?;
        if self.zone == TimeZone::UTC {
            return Some(plain);
        }
        let step_s = self.step.as_secs_f64();
        if steps as f64 * step_s < 43_200.0 {
            return Some(plain);
        }
        let moved = self.offset(self.at(slot)) - self.offset(self.at(plain));
        let moved_steps = crate::whole(f64::from(moved.abs()) / step_s);
        if moved < 0 { plain.checked_sub(moved_steps) } else { Some(plain + moved_steps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(zone: TimeZone) -> History {
        let mut settings = Settings::new(Duration::from_secs(600));
        settings.time_zone = zone;
        History::new(&settings)
    }

    fn seconds(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    #[test]
    fn gaps_late_and_early_samples_find_their_slots() {
        let mut history = history(TimeZone::UTC);
        assert_eq!(history.push(seconds(0), &Sample::of(1.0)), Pushed::Slots(1));
        assert_eq!(history.push(seconds(599), &Sample::of(2.0)), Pushed::Slots(1), "a second early");
        assert_eq!(history.push(seconds(610), &Sample::of(3.0)), Pushed::Late);
        assert_eq!(history.push(seconds(2_400), &Sample::of(5.0)), Pushed::Slots(3));
        assert_eq!((history.get(1), history.get(2), history.get(4)), (Some(2.0), None, Some(5.0)));
        assert_eq!(history.latest(3), Some(2.0));
        assert_eq!(history.mean(0, 5), Some(8.0 / 3.0));
        assert_eq!(history.push(seconds(i64::from(u32::MAX)), &Sample::of(1.0)), Pushed::Restarted);
        assert_eq!(history.known(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = history(TimeZone::UTC);
        for index in 0..(SLOTS_MAX as i64 + 3 * SLOTS_DROPPED as i64) {
            history.push(seconds(index * 600), &Sample::of(index as f64));
        }
        assert!(history.values.len() <= SLOTS_MAX + SLOTS_DROPPED);
        let last = history.end() - 1;
        assert_eq!(history.get(last), Some(last as f64), "slots keep their numbers");
        assert_eq!(history.get(0), None);
    }

    #[test]
    fn the_same_time_yesterday_follows_the_wall_clock() {
        let mut history = history(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        // 2026-03-28 12:00 CET, a day before the clocks go forward.
        history.push("2026-03-28T11:00:00Z".parse().unwrap(), &Sample::of(1.0));
        for _ in 0..200 {
            let at = history.at(history.end());
            history.push(at, &Sample::of(2.0));
        }
        assert_eq!(history.season_before(144, 144), Some(6), "23 hours after a spring noon");
        let (before, _) = history.local(6);
        let (after, weekday) = history.local(144);
        assert!((before + 3_600.0 - after).abs() < 7_200.0);
        assert_eq!(weekday, 6, "a Sunday");
        assert_eq!(history.season_before(150, 6), Some(144), "an hour is an hour");
    }
}
