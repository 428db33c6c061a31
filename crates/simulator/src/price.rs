//! What runs cost in money and in emissions: prices and carbon intensity, constant or as series
//! over time.

use std::sync::Arc;

use serde::Serialize;

use crate::number::index;
use crate::trace::Trace;

/// Hours of a month, as price lists of clouds reckon.
pub const MONTH_HOURS: f64 = 730.0;

/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// A value over time, from the start of the load on; a series begins anew at its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// Always the same.
    Constant(f64),
    /// As a series says.
    Series(Series),
}

/// Values over time with their running sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    bucket_ms: u64,
    /// The integral in value × hours before each bucket; the last entry is all of it.
    before: Vec<f64>,
}

impl Rate {
    /// A series of its own; in its gaps the last known value goes on.
    pub fn of(trace: &Trace) -> Self {
        let bucket_ms = u64::try_from(trace.bucket.as_millis()).unwrap_or(u64::MAX).max(1);
        let hours = bucket_ms as f64 / HOUR_MS;
        let mut last = trace.values.iter().copied().flatten().next().unwrap_or(0.0);
        let mut before = vec![0.0];
        let mut sum = 0.0;
        for value in &trace.values {
            last = value.unwrap_or(last);
            sum += last * hours;
            before.push(sum);
        }
        Self::Series(Series { bucket_ms, before })
    }

    /// The integral from one time to another, in value × hours.
    fn over(&self, from_ms: u64, to_ms: u64) -> f64 {
        match self {
            Self::Constant(value) => value * (to_ms - from_ms) as f64 / HOUR_MS,
            Self::Series(series) => series.until(to_ms) - series.until(from_ms),
        }
    }
}

impl Series {
    fn until(&self, at_ms: u64) -> f64 {
        let buckets = (self.before.len() - 1) as u64;
        let whole = self.before[self.before.len() - 1];
        let length_ms = buckets * self.bucket_ms;
        let (rounds, rest_ms) = (at_ms / length_ms, at_ms % length_ms);
        let place = index(rest_ms / self.bucket_ms);
        let share = (rest_ms % self.bucket_ms) as f64 / self.bucket_ms as f64;
        let (low, high) = (self.before[place], self.before[place + 1]);
        rounds as f64 * whole + low + (high - low) * share
    }
}

/// What a worker costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// As in `$`.
    pub currency: String,
    /// Price of a worker-hour.
    pub worker_hour: Rate,
    /// What a worker draws, in watts.
    pub worker_watts: f64,
    /// Carbon intensity of that power, in grams of CO₂ equivalent per kilowatt-hour.
    pub carbon_grams_per_kwh: Option<Rate>,
}

/// The running sums of one run.
#[derive(Clone, Debug)]
pub struct Bill {
    prices: Arc<Prices>,
    money: f64,
    grams: f64,
}

impl Bill {
    pub(crate) fn new(prices: &Arc<Prices>) -> Self {
        Self { prices: Arc::clone(prices), money: 0.0, grams: 0.0 }
    }

    /// Enters so many workers from one time to another.
    pub(crate) fn enter(&mut self, from_ms: u64, to_ms: u64, workers: f64) {
        let prices = &self.prices;
        self.money += workers * prices.worker_hour.over(from_ms, to_ms);
        if let Some(carbon) = &prices.carbon_grams_per_kwh {
            self.grams += workers * prices.worker_watts / 1e3 * carbon.over(from_ms, to_ms);
        }
    }

    /// Enters worker-seconds at about this time that no pool kept.
    pub(crate) fn enter_at(&mut self, at_ms: u64, worker_seconds: f64) {
        self.enter(at_ms, at_ms + 1_000, worker_seconds);
    }

    /// What it comes to, for so many worker-seconds in `scored_s` seconds.
    pub(crate) fn sum(&self, worker_seconds: f64, scored_s: f64) -> Option<Money> {
        if worker_seconds <= 0.0 || scored_s <= 0.0 {
            return None;
        }
        let workers = worker_seconds / scored_s;
        let worker_hour = self.money / (worker_seconds / 3_600.0);
        // Price lists round a machine's month to cents, and bills follow price lists.
        let worker_month = (worker_hour * MONTH_HOURS * 100.0).round() / 100.0;
        let carbon = self.prices.carbon_grams_per_kwh.is_some();
        let kilograms = self.grams / 1e3;
        Some(Money {
            currency: self.prices.currency.clone(),
            total: self.money,
            worker_hour,
            per_month: workers * worker_month,
            kg_co2e: carbon.then_some(kilograms),
            kg_co2e_per_month: carbon.then(|| kilograms / (scored_s / 3_600.0) * MONTH_HOURS),
        })
    }
}

/// What the scored time cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Money {
    /// As in `$`.
    pub currency: String,
    /// For the scored time.
    pub total: f64,
    /// Mean price of a worker-hour paid.
    pub worker_hour: f64,
    /// At this rate for a month of 730 hours; a worker's month is rounded to cents, as in price
    /// lists.
    pub per_month: f64,
    /// Emissions of the scored time, where an intensity is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kg_co2e: Option<f64>,
    /// At this rate for a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kg_co2e_per_month: Option<f64>,
}

impl Money {
    /// The mean of several; `None` where one is not known.
    pub(crate) fn mean<'a>(all: impl Iterator<Item = Option<&'a Self>>) -> Option<Self> {
        let all: Vec<&Self> = all.collect::<Option<_>>()?;
        let count = all.len() as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(|money| of(money)).sum::<f64>() / count;
        let known = |of: fn(&Self) -> Option<f64>| {
            all.iter().map(|money| of(money)).sum::<Option<f64>>().map(|sum| sum / count)
        };
        Some(Self {
            currency: all.first()?.currency.clone(),
            total: mean(|money| money.total),
            worker_hour: mean(|money| money.worker_hour),
            per_month: mean(|money| money.per_month),
            kg_co2e: known(|money| money.kg_co2e),
            kg_co2e_per_month: known(|money| money.kg_co2e_per_month),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Told;

    fn series(rows: &str) -> Rate {
        Rate::of(&Trace::read("prices", &format!("time_s,value\n{rows}"), &Told::default()).unwrap())
    }

    #[test]
    fn a_small_cloud_set_up_costs_what_its_price_list_says() {
        let prices = Arc::new(Prices {
            currency: "$".to_owned(),
            worker_hour: Rate::Constant(0.0146),
            worker_watts: 20.0,
            carbon_grams_per_kwh: Some(Rate::Constant(400.0)),
        });
        for (workers, per_month) in [(1.0, 10.66), (4.0, 42.64)] {
            let mut bill = Bill::new(&prices);
            bill.enter(0, 7_200_000, workers);
            let money = bill.sum(workers * 7_200.0, 7_200.0).unwrap();
            assert!((money.per_month - per_month).abs() < 1e-9, "{money:?}");
            assert!((money.total - workers * 0.0292).abs() < 1e-12);
            // 20 W for two hours are 0.04 kWh, 16 g at 400 g/kWh.
            assert!((money.kg_co2e.unwrap() - workers * 0.016).abs() < 1e-12);
            assert!((money.kg_co2e_per_month.unwrap() - workers * 5.84).abs() < 1e-9);
        }
    }

    #[test]
    fn a_series_is_priced_when_it_is_used_and_begins_anew() {
        let prices = series("0,1\n3600,3\n7200,\n10800,5\n");
        let over = |from_h: f64, to_h: f64| {
            let ms = |hours: f64| crate::number::count(hours * 3.6e6);
            prices.over(ms(from_h), ms(to_h))
        };
        assert!((over(0.0, 1.0) - 1.0).abs() < 1e-9);
        assert!((over(0.5, 1.5) - 2.0).abs() < 1e-9, "half at 1, half at 3");
        assert!((over(2.0, 3.0) - 3.0).abs() < 1e-9, "the last price goes on in a gap");
        assert!((over(4.0, 5.0) - 1.0).abs() < 1e-9, "after its end it begins anew");
        assert!((over(0.0, 8.0) - 24.0).abs() < 1e-9);
    }
}
