//! What a policy's run was worth: its cost against the optimum, elasticity, users and money.

use serde::Serialize;

use crate::bootstrap::{self, Interval};
use crate::curve::Curve;
use crate::fingerprint;
use crate::number;
use crate::price::Money;
use crate::scenario::Scenario;
use crate::tally::{Lateness, Tally};

/// One policy on one trace: an object of `simulate -o json`. Workers' time is in
/// worker-seconds, shares are between 0 and 1, elasticity is in percent as in the paper.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Name of the trace.
    pub trace: String,
    /// The policy as asked for.
    pub policy: String,
    /// `fluid` or `des`.
    pub engine: &'static str,
    /// From launch to ready.
    pub start_up_s: f64,
    /// Price of a worker-second of missing capacity.
    pub kappa: f64,
    /// What a yardstick chose, in words; `None` for all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Worker-seconds paid for, plus κ times those missing.
    pub cost: f64,
    /// The same for the best schedule that anyone could have had.
    pub optimal_cost: f64,
    /// How many times the optimum it cost.
    pub cost_ratio: f64,
    /// In money, where there are prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// Where that lies with 90 % confidence, by a bootstrap over blocks of time; `None` where
    /// no picture of the run was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_ratio_interval: Option<Interval>,
    /// Paid for, from launch to exit.
    pub worker_seconds: f64,
    /// Share of the requests beyond what the ready workers carry within the objective.
    pub late_request_share: f64,
    /// Share of the requests that gave up waiting.
    pub dropped_request_share: f64,
    /// Share of the time with such requests.
    pub violation_time_share: f64,
    /// The longest such time.
    pub violation_longest_s: f64,
    /// Share of the time with a backlog.
    pub backlog_time_share: f64,
    /// Decisions to have more workers.
    pub scale_outs: u64,
    /// Decisions to have fewer.
    pub scale_ins: u64,
    /// Workers launched.
    pub starts: u64,
    /// Changes of direction within five minutes, or two start-up delays, per hour.
    pub flaps_per_hour: f64,
    /// θ_U: mean share of the demand that was missing, in percent.
    pub theta_under: f64,
    /// θ_O: mean share of the demand that was too much, in percent.
    pub theta_over: f64,
    /// τ_U: time with too few, in percent.
    pub tau_under: f64,
    /// τ_O: time with too many, in percent.
    pub tau_over: f64,
    /// υ: steps in which supply and demand did not move alike, in percent.
    pub instability: f64,
    /// ε: elastic speed-up against the best constant number; `None` where a part is zero.
    pub elastic_speedup: Option<f64>,
    /// Where the cost went, each part over the optimum's cost; they add up to `cost_ratio`.
    pub cost_parts: Parts,
    /// (paid for − used) ÷ paid for.
    pub slack: f64,
    /// Half of the requests took at most this long.
    pub p50_s: Option<f64>,
    /// 95 % took at most this long.
    pub p95_s: Option<f64>,
    /// 99 % took at most this long.
    pub p99_s: Option<f64>,
    /// What was late, part by part.
    pub lateness: Lateness,
    /// Time that was scored.
    pub scored_s: f64,
    /// What it was computed from.
    #[serde(flatten)]
    pub made_from: MadeFrom,
    /// Spread over seeds, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// The run (of several, the first) as a picture, where one was asked for.
    #[serde(skip)]
    pub curve: Option<Box<Curve>>,
}

/// What a result was computed from: equal in all of these, results are equal too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MadeFrom {
    /// Of the trace as it was understood, whatever form it came in.
    pub trace_hash: String,
    /// Of all settings of the scenario and the engine.
    pub config_hash: String,
    /// First seed; `None` where there is no chance.
    pub seed: Option<u64>,
    /// Version of the simulator.
    pub code_version: &'static str,
}

impl MadeFrom {
    /// Of this version under this scenario, with the engine's settings as text.
    pub(crate) fn here(scenario: &Scenario, engine: Option<&str>) -> Self {
        let settings = format!("{scenario:?} {}", engine.unwrap_or("Fluid"));
        Self {
            config_hash: fingerprint::of(settings.bytes()),
            code_version: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        }
    }
}

/// Parts of a cost over the optimum's cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Workers that did what had to be done.
    pub used: f64,
    /// Ready, but beyond the load.
    pub waste: f64,
    /// κ times the load that met too few workers.
    pub lateness: f64,
    /// Starting and draining.
    pub churn: f64,
}

/// How much of a result is chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Seeds {
    /// How many seeds.
    pub count: u64,
    /// Half the width of the 95 % interval of the mean `cost_ratio`.
    pub cost_ratio_half_width: f64,
}

/// Costs closer than this, as a share, are the same.
const ROUNDING: f64 = 1e-9;

impl Score {
    /// The mean of runs that differ only by their seeds; `None` without any.
    pub(crate) fn mean(scores: &[Self]) -> Option<Self> {
        let (first, rest) = scores.split_first()?;
        if rest.is_empty() {
            return Some(first.clone());
        }
        let count = scores.len() as f64;
        let mean = |of: fn(&Self) -> f64| scores.iter().map(of).sum::<f64>() / count;
        let whole = |of: fn(&Self) -> u64| {
            number::count(scores.iter().map(|score| of(score) as f64).sum::<f64>() / count)
        };
        let known =
            |of: fn(&Self) -> Option<f64>| scores.iter().map(of).sum::<Option<f64>>().map(|sum| sum / count);
        let ratio = mean(|score| score.cost_ratio);
        let squares = scores.iter().map(|score| (score.cost_ratio - ratio).powi(2)).sum::<f64>();
        let half_width = student_95(scores.len() - 1) * (squares / (count - 1.0) / count).sqrt();
        Some(Self {
            cost: mean(|score| score.cost),
            cost_ratio: ratio,
            worker_seconds: mean(|score| score.worker_seconds),
            late_request_share: mean(|score| score.late_request_share),
            dropped_request_share: mean(|score| score.dropped_request_share),
            violation_time_share: mean(|score| score.violation_time_share),
            violation_longest_s: mean(|score| score.violation_longest_s),
            backlog_time_share: mean(|score| score.backlog_time_share),
            scale_outs: whole(|score| score.scale_outs),
            scale_ins: whole(|score| score.scale_ins),
            starts: whole(|score| score.starts),
            flaps_per_hour: mean(|score| score.flaps_per_hour),
            theta_under: mean(|score| score.theta_under),
            theta_over: mean(|score| score.theta_over),
            tau_under: mean(|score| score.tau_under),
            tau_over: mean(|score| score.tau_over),
            instability: mean(|score| score.instability),
            elastic_speedup: known(|score| score.elastic_speedup),
            cost_parts: Parts {
                used: mean(|score| score.cost_parts.used),
                waste: mean(|score| score.cost_parts.waste),
                lateness: mean(|score| score.cost_parts.lateness),
                churn: mean(|score| score.cost_parts.churn),
            },
            slack: mean(|score| score.slack),
            p50_s: known(|score| score.p50_s),
            p95_s: known(|score| score.p95_s),
            p99_s: known(|score| score.p99_s),
            money: Money::mean(scores.iter().map(|score| score.money.as_ref())),
            seeds: Some(Seeds { count: scores.len() as u64, cost_ratio_half_width: half_width }),
            ..first.clone()
        })
    }
}

/// Student's t for a two-sided 95 % interval, by degrees of freedom.
fn student_95(freedom: usize) -> f64 {
    const FIRST: [f64; 20] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    ];
    // Beyond the table, the first terms of its expansion around the normal value.
    let known = freedom.checked_sub(1).and_then(|place| FIRST.get(place).copied());
    known.unwrap_or_else(|| 1.96 + 2.37 / freedom.max(1) as f64)
}

/// Who and what a score is of.
#[derive(Clone, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) trace: &'a str,
    pub(crate) policy: &'a str,
    pub(crate) engine: &'static str,
    pub(crate) optimal_cost: f64,
    /// The books of the best constant number.
    pub(crate) constant: &'a Tally,
    pub(crate) made_from: MadeFrom,
    pub(crate) chosen: Option<String>,
    /// The optimum as a picture.
    pub(crate) optimum_curve: Option<&'a Curve>,
}

impl Tally {
    /// Worker-seconds paid for, plus κ times those missing.
    pub fn cost(&self, kappa: f64) -> f64 {
        self.billed + kappa * self.late
    }

    pub(crate) fn score(&self, of: Of, scenario: &Scenario) -> Score {
        let kappa = scenario.kappa;
        let mut cost = self.cost(kappa);
        // Added up in another order, the same schedule costs the same but for the last digits.
        if (cost - of.optimal_cost).abs() <= ROUNDING * of.optimal_cost {
            cost = of.optimal_cost;
        }
        let over_time = |sum: f64| share(sum, self.scored_s);
        let over_optimum = |sum: f64| share(sum, of.optimal_cost);
        let used = self.load - self.late;
        Score {
            trace: of.trace.to_owned(),
            policy: of.policy.to_owned(),
            engine: of.engine,
            start_up_s: scenario.start_up.as_secs_f64(),
            kappa,
            cost,
            optimal_cost: of.optimal_cost,
            chosen: of.chosen,
            cost_ratio: over_optimum(cost),
            cost_ratio_interval: of
                .optimum_curve
                .zip(self.curve.as_deref())
                .and_then(|(optimum, run)| bootstrap::cost_ratio(run, optimum, kappa)),
            money: self.bill.as_ref().and_then(|bill| bill.sum(self.billed, self.scored_s)),
            worker_seconds: self.billed,
            late_request_share: share(self.late, self.load),
            dropped_request_share: share(self.dropped, self.load),
            violation_time_share: over_time(self.violation_s),
            violation_longest_s: self.violation_longest_s,
            backlog_time_share: over_time(self.waiting_s),
            scale_outs: self.scale_outs,
            scale_ins: self.scale_ins,
            starts: self.starts,
            flaps_per_hour: over_time(self.flaps as f64 * 3_600.0),
            theta_under: over_time(100.0 * self.under),
            theta_over: over_time(100.0 * self.over),
            tau_under: over_time(100.0 * self.under_s),
            tau_over: over_time(100.0 * self.over_s),
            instability: share(100.0 * self.unstable as f64, self.steps as f64),
            elastic_speedup: self.speedup(of.constant),
            cost_parts: Parts {
                used: over_optimum(used),
                waste: over_optimum(self.waste),
                lateness: over_optimum(kappa * self.late),
                churn: over_optimum(self.churn),
            },
            slack: share(self.billed - used, self.billed),
            p50_s: self.responses.quantile(0.5),
            p95_s: self.responses.quantile(0.95),
            p99_s: self.responses.quantile(0.99),
            lateness: self.lateness.clone(),
            scored_s: self.scored_s,
            made_from: of.made_from,
            seeds: None,
            curve: self.curve.clone(),
        }
    }

    /// ε of SPEC-RG-2016-01: the geometric mean of how much better each part became.
    fn speedup(&self, baseline: &Self) -> Option<f64> {
        let parts = [
            (baseline.under, self.under),
            (baseline.over, self.over),
            (baseline.under_s, self.under_s),
            (baseline.over_s, self.over_s),
        ];
        let product: f64 = parts.iter().map(|(before, after)| before / after).product();
        (product.is_finite() && product > 0.0).then(|| product.sqrt().sqrt())
    }
}

/// 0 where there is nothing to have a share of.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
