//! `GET /predict`: what is expected and what follows from it, in a form that scripts read. A policy
//! that plans for the load speaks for itself; under any other, the model beside the loop does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use control::{Cycle, Decision, Planned, Standing, Trust};
use jiff::Timestamp;
use serde::Serialize;

use super::App;
use crate::prediction::{PredictedAhead, Prediction};

/// Turns that the present average is taken over: a minute at the usual interval.
const AVERAGED: usize = 60;

/// Whoever knows better.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Policy(Box<Planning>),
    Beside(Box<Prediction>),
}

/// What a policy that plans foresees. Loads are in workers that are just busy enough to meet their objective; what is not
/// known, or not asked for by the policy in force, is null.
#[derive(Debug, Serialize)]
pub(super) struct Planning {
    at: Option<Timestamp>,
    signal: &'static str,
    current_avg: Option<f64>,
    predicted_next: Option<f64>,
    recommendation: &'static str,
    target: Option<u32>,
    reactive_target: Option<u32>,
    horizon_s: Option<f64>,
    quantiles: Option<Quantiles>,
    /// Predicted over present.
    factor: Option<f64>,
    /// Share of past loads that were below what 90 % should have been.
    confidence: Option<f64>,
    /// Loss over that of the naive forecast.
    loss_ratio: Option<f64>,
    model: Option<String>,
    trust: Option<Trust>,
    next: Option<Planned>,
    /// Every model that was asked, with how it did so far.
    models: Vec<Standing>,
    /// The one horizon that such a policy asks about.
    horizons: Vec<PredictedAhead>,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    q10: f64,
    q50: f64,
    q90: f64,
}

impl Planning {
    fn of(cycles: &[Arc<Cycle>]) -> Self {
        let decided = |cycle: &'_ Arc<Cycle>| match &**cycle {
            Cycle::Decided { decision, .. } => Some(decision.clone()),
            Cycle::Blind { .. } => None,
        };
        let decisions: Vec<Decision> = cycles.iter().filter_map(decided).collect();
        let values: Vec<f64> = decisions
            .iter()
            .filter_map(|decision| decision.measured.as_ref()?.value)
            .filter(|value| value.is_finite())
            .collect();
        let current_avg = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let newest = decisions.last();
        let seen = decisions.iter().rev().find_map(|decision| decision.foresight.as_deref());
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let predicted_next = seen.and_then(|seen| finite(seen.q50));
        Self {
            at: cycles.last().map(|cycle| cycle.at()),
            signal: "load",
            current_avg,
            predicted_next,
            recommendation: match newest.map_or(0, Decision::change) {
                0 => "No Change",
                1.. => "Scale Up",
                _ => "Scale Down",
            },
            target: newest.map(Decision::desired),
            reactive_target: seen.map(|seen| seen.reactive),
            horizon_s: seen.map(|seen| seen.lead_s),
            quantiles: seen.map(|seen| Quantiles { q10: seen.q10, q50: seen.q50, q90: seen.q90 }),
            factor: predicted_next.zip(current_avg).and_then(|(next, now)| finite(next / now)),
            confidence: seen.and_then(|seen| seen.coverage),
            loss_ratio: seen.and_then(|seen| seen.loss_ratio),
            model: seen.map(|seen| seen.model.to_string()),
            trust: seen.map(|seen| seen.trust),
            next: seen.and_then(|seen| seen.next),
            models: seen.map(|seen| seen.standings.clone()).unwrap_or_default(),
            horizons: seen
                .map(|seen| PredictedAhead {
                    seconds: seen.lead_s,
                    q10: Some(seen.q10),
                    q50: seen.q50,
                    q90: Some(seen.q90),
                })
                .into_iter()
                .collect(),
        }
    }
}

pub(super) async fn predict(State(app): State<Arc<App>>) -> Json<Answer> {
    let planning = Planning::of(&app.ports.board.last(AVERAGED));
    let beside = app.ports.prediction.as_ref().filter(|_| planning.predicted_next.is_none());
    Json(match beside {
        Some(prediction) => Answer::Beside(Box::new(prediction())),
        None => Answer::Policy(Box::new(planning)),
    })
}
