//! A recorded run as a report: its workers, signal, requests and decisions over time.

use control::{Cycle, Decision, Observation};
use jiff::Timestamp;

use super::{Event, Report, Series, Timeline};

/// Columns of a plot: as many as a projector has room for.
const COLUMNS: usize = 600;

/// Decisions that are listed; more are only counted.
const EVENTS_MAX: usize = 500;

/// A report of these turns, oldest first. `facts` stand at its head.
pub fn of_run(title: &str, facts: Vec<(String, String)>, cycles: &[Cycle]) -> Report {
    let mut report = Report { title: title.to_owned(), facts, ..Report::default() };
    let (Some(first), Some(last)) = (cycles.first(), cycles.last()) else { return report };
    let start = first.at();
    let length_s = last.at().duration_since(start).as_secs_f64().max(1.0);
    let turns: Vec<(f64, &Observation, &Decision)> = cycles
        .iter()
        .filter_map(|cycle| match cycle {
            Cycle::Decided { seen, decision, .. } => Some((since(start, seen.at), seen, decision)),
            Cycle::Blind { .. } => None,
        })
        .collect();
    // A column for each turn, or as many as there is room for.
    let columns = COLUMNS.min(turns.len().max(2));
    let grid = Grid { step_s: length_s / columns as f64, columns, turns: &turns };
    report.timelines = timelines(&grid);
    for (at_s, _, decision) in turns.iter().filter(|(_, _, decision)| decision.change() != 0) {
        if report.events.len() == EVENTS_MAX {
            report.events_left_out += 1;
            continue;
        }
        let deciding = decision.deciding();
        let text = format!(
            "{} → {}: {} ({})",
            decision.current,
            decision.desired(),
            deciding.because,
            deciding.rule
        );
        report.events.push(Event { at_s: *at_s, change: decision.change(), text });
    }
    report
}

fn since(start: Timestamp, at: Timestamp) -> f64 {
    at.duration_since(start).as_secs_f64()
}

fn timelines(grid: &Grid) -> Vec<Timeline> {
    let line = |name: &str, of: fn(&Observation, &Decision) -> Option<f64>| Series {
        name: name.to_owned(),
        values: grid.means(of),
        ..Series::default()
    };
    let plot = |name: &str, unit: &str| Timeline {
        name: name.to_owned(),
        unit: unit.to_owned(),
        step_s: grid.step_s,
        ..Timeline::default()
    };
    let desired = |_: &Observation, decision: &Decision| Some(f64::from(decision.desired()));
    let ready = |seen: &Observation, _: &Decision| Some(f64::from(seen.fleet.ready));
    let mut all = vec![Timeline {
        areas: vec![line("ready", ready)],
        lines: vec![line("desired", desired)],
        ..plot("Workers", "workers")
    }];
    let measured = grid.turns.iter().rev().find_map(|(_, _, decision)| decision.measured.as_ref());
    if let Some(measured) = measured {
        let value = |_: &Observation, decision: &Decision| decision.measured.as_ref()?.value;
        let level = |name: &str, value: Option<f64>| value.map(|value| (name.to_owned(), value));
        all.push(Timeline {
            lines: vec![line(&measured.signal, value)],
            levels: [level("out above", measured.up), level("in below", measured.down)]
                .into_iter()
                .flatten()
                .collect(),
            ..plot("Signal", &measured.unit)
        });
    }
    let rate = |seen: &Observation, _: &Decision| seen.traffic.as_ref().map(|it| it.rate_per_second());
    let failed = |seen: &Observation, _: &Decision| {
        let window = seen.traffic.as_ref()?;
        let seconds = window.length.as_secs_f64();
        (seconds > 0.0).then(|| window.failures as f64 / seconds)
    };
    all.push(Timeline {
        areas: vec![line("came in", rate)],
        lines: vec![line("failed", failed)],
        ..plot("Requests", "requests/s")
    });
    let p95 =
        |seen: &Observation, _: &Decision| Some(seen.traffic.as_ref()?.latency?.p95.as_secs_f64() * 1e3);
    let p50 =
        |seen: &Observation, _: &Decision| Some(seen.traffic.as_ref()?.latency?.p50.as_secs_f64() * 1e3);
    all.push(Timeline { lines: vec![line("p95", p95), line("p50", p50)], ..plot("Latency", "ms") });
    all.retain(|plot| {
        plot.areas.iter().chain(&plot.lines).any(|series| series.values.iter().any(Option::is_some))
    });
    all
}

/// Turns, to be averaged over columns of time.
struct Grid<'a> {
    step_s: f64,
    columns: usize,
    turns: &'a [(f64, &'a Observation, &'a Decision)],
}

impl Grid<'_> {
    fn means(&self, of: fn(&Observation, &Decision) -> Option<f64>) -> Vec<Option<f64>> {
        let mut turns = self.turns.iter().peekable();
        (1..=self.columns)
            .map(|column| {
                let end_s = self.step_s * column as f64;
                let last = column == self.columns;
                let (mut sum, mut count) = (0.0, 0.0);
                while let Some((_, seen, decision)) = turns.next_if(|(at_s, ..)| last || *at_s < end_s) {
                    if let Some(value) = of(seen, decision) {
                        sum += value;
                        count += 1.0;
                    }
                }
                (count > 0.0).then(|| sum / count)
            })
            .collect()
    }
}
