//! How many workers are worth their price, worker by worker: exact dynamic programming over the
//! windows ahead.
//!
//! A worker that is there costs 1 a second; one that is missing costs κ times the share of it that
//! is needed; starting one costs the time until it is ready, for which it is paid but does nothing,
//! and as much again for what a start takes from others.
//! Both costs add up over workers (the n-th is needed by what n − 1 cannot carry), so each worker is
//! its own small problem with two states. This is receding-horizon control (MPC) without a solver,
//! and lazy capacity provisioning (Lin et al. 2011) with the future as it is expected.

use super::outlook::{Ahead, Needs};

/// The part of a worker that is not worth one, whatever it costs to miss it.
pub(crate) const NEGLIGIBLE: f64 = 0.02;

/// Start-ups that a start costs: the one that is paid for, and as much for cold caches and the cores
/// that it takes from its neighbours. Half the changes on loads that flicker from minute to minute,
/// for one hundredth of the cost.
const START_UPS: f64 = 2.0;

/// What things cost, in worker-seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    /// A second of a missing worker.
    pub(crate) kappa: f64,
}

/// Refuses prices that make no sense.
pub(crate) fn check(kappa: f64, slo_utilisation: f64) -> Result<(), String> {
    if !(kappa.is_finite() && kappa > 0.0) {
        return Err(format!("kappa must be above 0, not {kappa}"));
    }
    if !(slo_utilisation > 0.0 && slo_utilisation <= 1.0) {
        return Err(format!("slo_utilisation must be above 0 and at most 1, not {slo_utilisation}"));
    }
    Ok(())
}

/// Memory of one choice, used again so that a choice allocates nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chooser {
    on: Vec<f64>,
    off: Vec<f64>,
    /// Cost of being off in each window.
    missing: Vec<f64>,
}

impl Chooser {
    /// How many workers there should be, of `current` that there are or start already.
    pub(crate) fn choose(&mut self, current: u32, ahead: &Ahead, needs: &Needs, prices: Prices) -> u32 {
        let current = usize::try_from(current).unwrap_or(usize::MAX);
        let mut wanted = 0;
        while self.wants(wanted, wanted < current, ahead, needs, prices) {
            wanted += 1;
        }
        u32::try_from(wanted).unwrap_or(u32::MAX)
    }

    /// Whether the worker after `level` others, there or not, is worth having.
    fn wants(&mut self, level: usize, there: bool, ahead: &Ahead, needs: &Needs, prices: Prices) -> bool {
        let price = |stage: usize| prices.kappa * needs.of(stage, level);
        let stages = ahead.stages.first().copied().unwrap_or(0)..=ahead.stages.last().copied().unwrap_or(0);
        let (least, most) = stages
            .map(price)
            .fold((f64::INFINITY, 0.0_f64), |(least, most), price| (least.min(price), most.max(price)));
        if most <= 1.0 && !there {
            return false;
        }
        if least >= 1.0 && there {
            return true;
        }
        self.weigh(level, ahead, needs, prices);
        let launched = self.launched(0, ahead);
        if there {
            ahead.interval_s + self.on[1].min(self.off[1]) <= (self.missing[0] + self.off[1]).min(launched)
        } else {
            launched < self.missing[0] + self.off[1]
        }
    }

    /// Least costs from each window on, being there or not.
    fn weigh(&mut self, level: usize, ahead: &Ahead, needs: &Needs, prices: Prices) {
        let windows = ahead.stages.len();
        self.missing.clear();
        let price = |stage: &usize| prices.kappa * needs.of(*stage, level) * ahead.interval_s;
        self.missing.extend(ahead.stages.iter().map(price));
        self.on.clear();
        self.on.resize(windows + 1, 0.0);
        self.off.clear();
        self.off.resize(windows + 1, 0.0);
        // Beyond the last window it is as in the last: who is wanted then and not there will be started.
        let last = self.missing.last().copied().unwrap_or(0.0);
        self.off[windows] = if last > ahead.interval_s { START_UPS * ahead.start_up_s } else { 0.0 };
        for window in (0..windows).rev() {
            let stay = self.missing[window] + self.off[window + 1];
            self.off[window] = stay.min(self.launched(window, ahead));
            self.on[window] = (ahead.interval_s + self.on[window + 1]).min(self.off[window]);
        }
    }

    /// The cost from `window` on, if the worker is ordered at its beginning.
    fn launched(&self, window: usize, ahead: &Ahead) -> f64 {
        let windows = self.missing.len();
        let mut left_s = ahead.start_up_s;
        let mut cost = START_UPS * ahead.start_up_s;
        let mut at = window;
        while left_s >= ahead.interval_s && at < windows {
            cost += self.missing[at];
            left_s -= ahead.interval_s;
            at += 1;
        }
        if at >= windows {
            return cost;
        }
        if left_s > 1e-9 {
            // Ready within this window.
            let part = left_s / ahead.interval_s;
            cost += part * self.missing[at] + (1.0 - part) * ahead.interval_s;
            at += 1;
        }
        cost + self.on[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of 10 s and a start-up of 30 s; `needs` of each worker in the known bucket and in the
    /// one that begins `until` windows ahead.
    fn choose(current: u32, until: usize, now: &[f64], then: &[f64]) -> u32 {
        let ahead = Ahead {
            interval_s: 10.0,
            start_up_s: 30.0,
            stages: (0..20).map(|window| usize::from(window >= until)).collect(),
            ..Ahead::default()
        };
        let needs = Needs(vec![now.to_vec(), then.to_vec()]);
        Chooser::default().choose(current, &ahead, &needs, Prices { kappa: 10.0 })
    }

    #[test]
    fn cases() {
        // name, workers, windows until the next bucket, needs now and then, choice
        type Row<'a> = (&'a str, u32, usize, &'a [f64], &'a [f64], u32);
        let rows: &[Row] = &[
            ("steady", 2, 5, &[1.0, 0.8], &[1.0, 0.8], 2),
            ("a tenth is worth nothing", 2, 5, &[1.0, 0.09], &[1.0, 0.09], 1),
            ("a rise is started for in time", 1, 3, &[1.0, 0.0], &[1.0, 0.9], 2),
            ("and not before", 1, 5, &[1.0, 0.0], &[1.0, 0.9], 1),
            ("needed again too soon to be stopped", 2, 2, &[1.0, 0.0], &[1.0, 0.9], 2),
            ("stopped for a long time", 2, 9, &[1.0, 0.0], &[1.0, 0.9], 1),
            ("a load that ends before help is there", 1, 3, &[1.0, 1.0], &[1.0, 0.0], 1),
            ("nothing is needed", 3, 5, &[], &[], 0),
        ];
        for (name, current, until, now, then, wanted) in rows {
            assert_eq!(choose(*current, *until, now, then), *wanted, "{name}");
        }
    }
}
