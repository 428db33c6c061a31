//! What load is to be expected while workers start: readings on their own grid, forecast by one or
//! more models, told as how much of each further worker will be needed when.

mod bustle;
mod grid;
mod lead;
mod score;
mod seer;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use self::bustle::Bustle;
use self::grid::Grid;
use self::lead::Lead;
use self::seer::{LEVELS, Lesson, Row, between};
pub(crate) use self::seer::{Needs, Seer};
use self::work::Work;
use super::Recommendation;
use crate::decision::{Because, Measured};
use crate::number;
use crate::observation::{ForecastSeen, Observation};

/// Slots that are kept to teach a model whose grid has changed.
const KEPT: usize = 20_000;
/// Buckets that such a model is taught at once: it happens within a decision, which must not wait.
const TAUGHT: u64 = 256;
/// Gaps between the first turns, whose median is the interval.
const GAPS: usize = 5;
/// Windows looked ahead at most.
const WINDOWS_MAX: usize = 64;
/// Windows beyond the lead, at least: what is started must have time to be worth it.
const WINDOWS_BEYOND: f64 = 10.0;
/// What the highest reading keeps at each new one: half of it is gone after a week of minutes.
const FADING: f64 = 0.999_93;
/// Times the highest reading that a forecast is believed up to.
const CEILING: f64 = 3.0;
/// Start-ups beyond the lead, at least.
const START_UPS_BEYOND: f64 = 2.0;

/// What an outlook needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Rows of the forecasters' registry, one seer each.
    pub(crate) models: Vec<&'static str>,
    /// Highest utilisation that still meets the objective.
    pub(crate) slo_utilisation: f64,
    /// Start-up until one was measured.
    pub(crate) start_up: Duration,
    /// Seasons of the load.
    pub(crate) seasons: Vec<Duration>,
}

/// The season that the user knows of; where none was named (0 s) those that load usually has: an
/// hour, a day, a week.
pub(crate) fn seasons(named: Duration) -> Vec<Duration> {
    if named.is_zero() { [3_600, 86_400, 604_800].map(Duration::from_secs).to_vec() } else { vec![named] }
}

/// The registry's name of `model`.
///
/// # Errors
/// When there is no such model; says which there are.
pub(crate) fn model(name: &str) -> Result<&'static str, String> {
    forecast::entry(name).map(|entry| entry.name).ok_or_else(|| {
        let known: Vec<&str> = forecast::FORECASTERS.iter().map(|entry| entry.name).collect();
        format!("there is no model `{name}`, but {}", known.join(", "))
    })
}

/// The load as a chart shows it.
pub(crate) fn measured(load: Option<f64>) -> Measured {
    Measured { signal: "load".into(), unit: "workers".into(), value: load, up: None, down: None }
}

/// Learns from turns.
pub(crate) struct Outlook {
    terms: Terms,
    work: Work,
    lead: Lead,
    grid: Grid,
    bustle: Bustle,
    sums: Sums,
    closed_at: Option<Timestamp>,
    gaps_s: Vec<f64>,
    interval_s: Option<f64>,
    slot: u64,
    /// One a slot, NaN in a gap; the last is that of `slot`.
    readings: VecDeque<f64>,
    reading: Option<f64>,
    /// Requests were counted at least once, so that they are what is followed, and not CPU.
    counted: bool,
    /// Period and reach that the seers were built for.
    shape: Option<(u64, usize)>,
    /// The last bucket whose reading they know.
    taught: Option<u64>,
    seers: Vec<Seer>,
    /// The highest reading of late, fading.
    highest: f64,
    /// The latest forecast from beside the loop, and what is made of it.
    heard: Option<Box<ForecastSeen>>,
    hearer: Seer,
}

/// What came since the last slot ended.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    arrivals: f64,
    length_s: f64,
    busy: f64,
    turns: f64,
}

/// Time ahead in windows of one interval, each with the bucket of the grid that it lies in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    /// One interval, in seconds.
    pub(crate) interval_s: f64,
    /// From order to ready, in seconds.
    pub(crate) start_up_s: f64,
    /// For each window how many buckets after the last reading it lies; 0 is in the bucket of it.
    pub(crate) stages: Vec<usize>,
    /// Load now, in workers at the SLO-safe utilisation.
    pub(crate) load: f64,
    /// Workers at the SLO-safe utilisation for each unit of the readings.
    pub(crate) scale: f64,
    /// Factors on a slot's mean within it, equally likely; never empty.
    pub(crate) factors: Vec<f64>,
}

impl Ahead {
    /// The bucket in which a worker that is ordered now begins to help.
    pub(crate) fn lead_stage(&self) -> usize {
        let window = number::index(number::count(self.start_up_s / self.interval_s).into());
        self.stages.get(window).or(self.stages.last()).copied().unwrap_or(0)
    }
}

impl Outlook {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            work: Work::default(),
            lead: Lead::new(terms.start_up),
            grid: Grid::default(),
            bustle: Bustle::default(),
            sums: Sums::default(),
            closed_at: None,
            gaps_s: Vec::new(),
            interval_s: None,
            slot: 0,
            readings: VecDeque::new(),
            reading: None,
            counted: false,
            shape: None,
            taught: None,
            seers: terms.models.iter().map(|model| Seer::new(model)).collect(),
            highest: 0.0,
            heard: None,
            hearer: Seer::new(""),
            terms,
        }
    }

    /// Every turn.
    pub(crate) fn observe(&mut self, seen: &Observation) {
        self.work.observe(seen);
        self.lead.observe(seen);
        if let Some(window) = &seen.traffic {
            self.sums.arrivals += window.arrivals as f64;
            self.sums.length_s += window.length.as_secs_f64();
            self.bustle.observe(window);
        }
        if let Some(forecast) = &seen.slow.forecast {
            self.heard = Some(forecast.clone());
        }
        if let Some(busy) = self.work.busy() {
            self.sums.busy += busy;
            self.sums.turns += 1.0;
        }
    }

    /// [`Self::close`], with the load where it is known; without a reading the answer of every policy:
    /// nothing is changed.
    pub(crate) fn open(&mut self, seen: &Observation) -> Result<(Option<Ahead>, f64), Box<Recommendation>> {
        let ahead = self.close(seen.at);
        match self.load() {
            Some(load) => Ok((ahead, load)),
            None => {
                let because = Because::plain("no reading of the load: nothing is changed");
                Err(Box::new(Recommendation::hold(seen.fleet.desired, "no_reading", because)))
            }
        }
    }

    /// The turns since the last call make a slot. What lies ahead of it; `None` without a reading,
    /// or before the source's grid is known.
    fn close(&mut self, at: Timestamp) -> Option<Ahead> {
        let sums = std::mem::take(&mut self.sums);
        self.counted |= sums.arrivals > 0.0;
        let (amount, over) =
            if self.counted { (sums.arrivals, sums.length_s) } else { (sums.busy, sums.turns) };
        self.reading = (over > 0.0).then(|| amount / over);
        let before = self.closed_at.replace(at)?;
        self.step(at.duration_since(before).as_secs_f64())?;
        match self.reading {
            Some(reading) => self.grid.push(self.slot, reading),
            None => self.grid.gap(),
        }
        self.readings.push_back(self.reading.unwrap_or(f64::NAN));
        while self.readings.len() > KEPT {
            self.readings.pop_front();
        }
        self.bustle.settle();
        self.teach(at);
        self.ahead()
    }

    /// The models, in the order of the terms.
    pub(crate) fn seers(&self) -> &[Seer] {
        &self.seers
    }

    /// What makes use of forecasts from beside the loop, and the model that made the last.
    pub(crate) fn heard(&self) -> Option<(&str, &Seer)> {
        self.heard.as_ref().map(|heard| (heard.model.as_str(), &self.hearer))
    }

    /// Highest utilisation that still meets the objective, 0 to 1.
    pub(crate) fn slo_utilisation(&self) -> f64 {
        self.terms.slo_utilisation
    }

    /// From order to ready, as reckoned with, in seconds.
    pub(crate) fn start_up_s(&self) -> f64 {
        self.lead.start_up_s()
    }

    /// Load at the last slot in workers at the SLO-safe utilisation, where it is known.
    pub(crate) fn load(&self) -> Option<f64> {
        Some(self.reading? * self.scale()?)
    }

    /// Takes readings to workers.
    fn scale(&self) -> Option<f64> {
        let busy = if self.counted { self.work.per_request()? } else { 1.0 };
        Some(busy / self.terms.slo_utilisation)
    }

    /// Counts slots; those that were left out are gaps.
    fn step(&mut self, gap_s: f64) -> Option<()> {
        let Some(interval_s) = self.interval_s else {
            self.gaps_s.push(gap_s);
            if self.gaps_s.len() >= GAPS {
                self.gaps_s.sort_by(f64::total_cmp);
                let median = self.gaps_s[GAPS / 2].max(1e-3);
                // To a hundredth of itself, so that a scheduler's jitter is not taken for a grid.
                let digit = 10_f64.powf((median / 100.0).log10().floor()).max(1e-3);
                self.interval_s = Some((median / digit).round() * digit);
            }
            return None;
        };
        let slots = u64::from(number::count((gap_s / interval_s).round())).max(1);
        for _ in 1..slots.min(KEPT as u64) {
            self.readings.push_back(f64::NAN);
            self.grid.gap();
        }
        self.slot += slots;
        Some(())
    }

    /// Windows ahead, and buckets ahead that models must reach.
    fn reach(&self, interval_s: f64, period: u64) -> (usize, usize) {
        let start_up_s = self.lead.start_up_s();
        let beyond_s = (START_UPS_BEYOND * start_up_s).max(WINDOWS_BEYOND * interval_s);
        let windows = number::count_up((start_up_s + beyond_s) / interval_s);
        let windows = number::index(windows.into()).clamp(2, WINDOWS_MAX);
        (windows, windows / number::index(period).max(1) + 1)
    }

    /// A new reading, if there is one, goes to the seers.
    fn teach(&mut self, at: Timestamp) {
        let (Some((bucket, _)), Some(period)) = (self.grid.place(self.slot), self.grid.period()) else {
            return;
        };
        let Some(interval_s) = self.interval_s else { return };
        let (_, buckets) = self.reach(interval_s, period);
        let step_s = interval_s * period as f64;
        if self.shape.is_none_or(|(known, reach)| known != period || reach < buckets) {
            self.shape = Some((period, buckets));
            self.rebuild(step_s, period, buckets);
        }
        let Some(reading) = self.reading.filter(|_| self.taught != Some(bucket)) else { return };
        self.highest = reading.max(FADING * self.highest);
        let lead_s = self.lead.start_up_s() + interval_s;
        let lead = number::index(number::count_up(lead_s / step_s).into()).clamp(1, buckets);
        let lesson = Lesson { bucket, buckets, lead, highest: CEILING * self.highest };
        for seer in &mut self.seers {
            seer.learn(moment(step_s, bucket), reading, lesson);
        }
        let rows = self.heard.as_ref().map_or_else(Vec::new, |heard| {
            let (_, over) = self.grid.place(self.slot).unwrap_or((bucket, period));
            let rest_s = interval_s * period.saturating_sub(over) as f64;
            rows(heard, at, rest_s, step_s, buckets)
        });
        self.hearer.hear(reading, rows, lesson);
        self.taught = Some(bucket);
    }

    /// Begins anew on another grid, with the recent past; the newest slot is left for the caller.
    fn rebuild(&mut self, step_s: f64, period: u64, buckets: usize) {
        for seer in &mut self.seers {
            seer.build(Duration::from_secs_f64(step_s), buckets, &self.terms.seasons);
        }
        self.taught = None;
        let past = self.readings.len().saturating_sub(1);
        let from = past.saturating_sub(number::index(TAUGHT.saturating_mul(period)));
        let first = self.slot.saturating_sub(past as u64);
        for (reading, slot) in self.readings.range(from..past).zip(first + from as u64..) {
            let Some((bucket, _)) = self.grid.place(slot) else { continue };
            if reading.is_nan() || self.taught == Some(bucket) {
                continue;
            }
            self.taught = Some(bucket);
            for seer in &mut self.seers {
                seer.update(moment(step_s, bucket), *reading);
            }
        }
    }

    fn ahead(&self) -> Option<Ahead> {
        let (reading, scale) = (self.reading?, self.scale()?);
        let (taught, period, interval_s) = (self.taught?, self.grid.period()?, self.interval_s?);
        let (windows, _) = self.reach(interval_s, period);
        let stage = |window: u64| {
            let bucket = self.grid.place(self.slot + 1 + window).map_or(taught, |(bucket, _)| bucket);
            number::index(bucket.saturating_sub(taught))
        };
        Some(Ahead {
            interval_s,
            start_up_s: self.lead.start_up_s(),
            stages: (0..windows as u64).map(stage).collect(),
            load: reading * scale,
            scale,
            factors: self.bustle.factors().to_vec(),
        })
    }
}

/// What a forecast from elsewhere says of the buckets ahead, of which the first begins in `rest_s`;
/// as many as it reaches.
fn rows(heard: &ForecastSeen, at: Timestamp, rest_s: f64, step_s: f64, buckets: usize) -> Vec<Row> {
    let age_s = at.duration_since(heard.made_at).as_secs_f64();
    let sound = heard.step_s > 0.0 && heard.levels.is_sorted() && age_s >= 0.0;
    let row = |bucket: usize| -> Option<Row> {
        let end_s = age_s + rest_s + step_s * (bucket + 1) as f64;
        let step = number::index(number::count((end_s / heard.step_s).round()).into());
        let rates =
            heard.rates.get(step.checked_sub(1)?).filter(|rates| rates.len() == heard.levels.len())?;
        Some(LEVELS.map(|(level, _)| between(&heard.levels, rates, level)))
    };
    (0..buckets).take_while(|_| sound).map_while(row).collect()
}

/// When `bucket` began, counted from the epoch, so that the grid never shifts against itself.
fn moment(step_s: f64, bucket: u64) -> Timestamp {
    Timestamp::from_millisecond(number::whole(bucket as f64 * step_s * 1e3)).unwrap_or(Timestamp::MAX)
}
