//! Scores as one self-contained page: load, supply and the optimum over time, and the results.

use dashboard::report::{self, Report, Series, Timeline};
use simulator::{Contestant, ContestantKind, Curve, Scenario, Score, Trace};

/// Columns of a plot: as many as a projector has room for.
pub(super) const COLUMNS: usize = 480;

/// A plot without the best possible says little: it is run too, where it was not asked for.
pub(super) fn add_optimum(contestants: &mut Vec<Contestant>) {
    if !contestants.iter().any(|contestant| contestant.kind == ContestantKind::Optimal) {
        contestants.push(Contestant { name: "optimal".to_owned(), kind: ContestantKind::Optimal });
    }
}

/// The page.
pub(super) fn of(scores: &[Score], scenario: &Scenario, traces: &[Trace]) -> String {
    let rows = scores.iter().map(|score| serde_json::to_value(score).expect("a score has only string keys"));
    report::page(&Report {
        title: "Policies on recorded load".to_owned(),
        facts: facts(scores, scenario, traces),
        timelines: timelines(scores),
        scores: rows.collect(),
        ..Report::default()
    })
}

fn timelines(scores: &[Score]) -> Vec<Timeline> {
    let mut all: Vec<Timeline> = Vec::new();
    for score in scores {
        let Some(curve) = &score.curve else { continue };
        // The page finds the scores of a plot by this name.
        let group = format!("{}, start-up {} s", score.trace, score.start_up_s);
        let found = all.iter_mut().find(|timeline| timeline.group == group);
        let timeline = match found {
            Some(timeline) => timeline,
            None => {
                all.push(begin(score, curve, group));
                all.last_mut().expect("one was just put there")
            }
        };
        timeline.lines.push(supply(score, curve));
    }
    for timeline in &mut all {
        // The yardstick first, so that it always looks the same.
        timeline.lines.sort_by_key(|line| !line.reference);
    }
    all
}

fn begin(score: &Score, curve: &Curve, group: String) -> Timeline {
    let load =
        |name: &str, values: Vec<Option<f64>>| Series { name: name.to_owned(), values, ..Series::default() };
    let peak = curve.columns.iter().map(|column| column.mean(column.load_max * column.present_s)).collect();
    Timeline {
        name: format!("Load and ready workers: {}", score.trace),
        group,
        unit: "workers at the objective".to_owned(),
        from_s: curve.from_s,
        step_s: curve.step_s,
        areas: vec![load("load", peak)],
        ..Timeline::default()
    }
}

fn supply(score: &Score, curve: &Curve) -> Series {
    let reference = score.policy == "optimal";
    Series {
        name: score.policy.clone(),
        values: curve.columns.iter().map(|column| column.mean(column.ready)).collect(),
        wrong: if reference {
            Vec::new()
        } else {
            curve.columns.iter().map(|column| column.mean(column.violation_s)).collect()
        },
        reference,
    }
}

fn facts(scores: &[Score], scenario: &Scenario, traces: &[Trace]) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    for trace in traces {
        let hash = scores.iter().find(|score| score.trace == trace.name);
        let hash = hash.map_or("", |score| score.made_from.trace_hash.as_str());
        fact(
            &format!("trace {}", trace.name),
            format!("{} buckets of {} s, hash {hash}", trace.values.len(), trace.bucket.as_secs_f64()),
        );
    }
    fact("κ", format!("a worker-second of missing capacity costs {} worker-seconds", scenario.kappa));
    fact("decisions", format!("every {} s", scenario.decide_every.as_secs_f64()));
    fact("objective", format!("met up to a utilisation of {}", scenario.slo_utilisation));
    if let Some(score) = scores.first() {
        let made = &score.made_from;
        fact("engine", score.engine.to_owned());
        if let Some(seed) = made.seed {
            fact("seed", seed.to_string());
        }
        fact("settings' hash", made.config_hash.clone());
        fact("autoscale", made.code_version.to_owned());
    }
    fact(
        "red marks below a plot",
        "time in which the load was beyond the ready workers, a row a policy".to_owned(),
    );
    facts
}
