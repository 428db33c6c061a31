//! Scores as a table for people and as CSV for other programs.

use std::collections::{BTreeMap, BTreeSet};

use simulator::Score;
use simulator::price::Money;
use simulator::tally::LateScaleOut;

use crate::output;

const TITLES: [&str; 11] = [
    "policy", "cost/opt", "waste", "late", "churn", "late req", "violated", "p99 s", "outs", "ins", "flaps/h",
];

/// One line a score, and the geometric mean of each policy where there are several traces.
pub(super) fn table(scores: &[Score], traces: usize, ledger: bool) {
    let rows: Vec<_> = scores.iter().map(cells).collect();
    let widths: Vec<usize> = (0..TITLES.len())
        .map(|column| widest(rows.iter().map(|row| row[column].as_str()), TITLES[column]))
        .collect();
    output::line(&aligned(&TITLES, &widths));
    let mut before = None;
    for (score, row) in scores.iter().zip(&rows) {
        heading(&mut before, score);
        output::line(&aligned(row, &widths));
    }
    let policy_width = widths[0];
    output::line("");
    output::line("cost/opt: worker-seconds paid for plus κ times those missing, over the best");
    output::line("possible; waste, late and churn are parts of it; violated: time with more load");
    output::line("than workers for it");
    if scores.iter().any(|score| score.seeds.is_some_and(|seeds| seeds.count > 1)) {
        output::line("±: where the mean over more seeds would lie, with 95 % confidence");
    }
    hindsight(scores);
    money(scores, policy_width);
    if ledger {
        lateness(scores, policy_width);
    }
    if traces > 1 {
        means(scores, policy_width);
    }
}

/// What stands under each of [`TITLES`].
fn cells(score: &Score) -> [String; TITLES.len()] {
    let parts = score.cost_parts;
    [
        score.policy.clone(),
        match score.seeds.filter(|seeds| seeds.count > 1) {
            Some(seeds) => format!("{:.3}±{:.3}", score.cost_ratio, seeds.cost_ratio_half_width),
            None => format!("{:.3}", score.cost_ratio),
        },
        format!("{:.3}", parts.waste),
        format!("{:.3}", parts.lateness),
        format!("{:.3}", parts.churn),
        format!("{:.3}%", 100.0 * score.late_request_share),
        format!("{:.2}%", 100.0 * score.violation_time_share),
        score.p99_s.map_or("-".to_owned(), |p99| format!("{p99:.2}")),
        score.scale_outs.to_string(),
        score.scale_ins.to_string(),
        format!("{:.2}", score.flaps_per_hour),
    ]
}

/// The first cell to the left, numbers to the right.
fn aligned(cells: &[impl AsRef<str>], widths: &[usize]) -> String {
    let mut columns = cells.iter().zip(widths);
    let first = columns.next().map_or(String::new(), |(cell, width)| format!("{:width$}", cell.as_ref()));
    columns.fold(first, |line, (cell, width)| format!("{line} {:>width$}", cell.as_ref()))
}

/// Says which trace and start-up delay the rows below it belong to, where that changes: with both in
/// every row, a table would not fit a terminal.
fn heading<'a>(before: &mut Option<(&'a str, u64)>, score: &'a Score) {
    let now = (score.trace.as_str(), score.start_up_s.to_bits());
    if before.replace(now) != Some(now) {
        output::line(&format!("{}, start-up {}:", score.trace, seconds(score.start_up_s)));
    }
}

/// What the yardsticks that know the load took.
fn hindsight(scores: &[Score]) {
    let mut chosen = scores.iter().filter_map(|score| Some((score, score.chosen.as_deref()?))).peekable();
    if chosen.peek().is_some() {
        output::line("");
        output::line("in hindsight:");
    }
    let mut before = None;
    for (score, chosen) in chosen {
        heading(&mut before, score);
        output::line(&format!("  {} is {chosen}", score.policy));
    }
}

/// What they cost in money, where there are prices.
fn money(scores: &[Score], policy_width: usize) {
    let known: Vec<(&Score, &Money)> =
        scores.iter().filter_map(|score| Some((score, score.money.as_ref()?))).collect();
    let Some((_, first)) = known.first() else { return };
    let currency = &first.currency;
    output::line("");
    output::line(&format!(
        "{:policy_width$}  {:>9}  {:>11}  {:>11}  kg CO2e/month",
        "policy",
        format!("{currency} in all"),
        format!("{currency}/worker-h"),
        format!("{currency}/month"),
    ));
    let mut before = None;
    for (score, money) in known {
        heading(&mut before, score);
        output::line(&format!(
            "{:policy_width$}  {:9.2}  {:11.4}  {:11.2}  {:>13}",
            score.policy,
            money.total,
            money.worker_hour,
            money.per_month,
            money.kg_co2e_per_month.map_or("-".to_owned(), |kilograms| format!("{kilograms:.2}")),
        ));
    }
    output::line("");
    output::line("a month has 730 hours; a worker's month is rounded to cents, as in price lists");
}

/// Scale-outs told one by one for each policy, the longest.
const TOLD_MAX: usize = 5;

/// The lateness ledger.
fn lateness(scores: &[Score], policy_width: usize) {
    let parts = "late outs  detect  decide   start   ready  slow start";
    output::line("");
    output::line(&format!("{:policy_width$}  {parts}", "policy"));
    let mut before = None;
    for score in scores {
        heading(&mut before, score);
        let late = &score.lateness;
        let mean = |sum: f64| if late.episodes > 0 { sum / late.episodes as f64 } else { 0.0 };
        output::line(&format!(
            "{:policy_width$}  {:9}  {:4.0} s  {:4.0} s  {:4.0} s  {:4.0} s  {:8.0} s",
            score.policy,
            late.episodes,
            mean(late.detect_s),
            mean(late.decide_s),
            mean(late.start_s),
            mean(late.ready_s),
            mean(late.slow_start_s),
        ));
        let mut longest: Vec<&LateScaleOut> = late.scale_outs.iter().collect();
        longest.sort_by(|one, other| other.total_s().total_cmp(&one.total_s()));
        for one in longest.into_iter().take(TOLD_MAX) {
            output::line(&format!(
                "  at {:>8.0} s: {:.0} + {:.0} + {:.0} + {:.0} + {:.0} = {:.0} s, +{} workers, {:.0} worker-seconds missing",
                one.at_s,
                one.detect_s,
                one.decide_s,
                one.start_s,
                one.ready_s,
                one.slow_start_s,
                one.total_s(),
                one.workers,
                one.missing,
            ));
        }
    }
    output::line("");
    output::line("means over the scale-outs that came late: until a decision saw it, until one scaled out,");
    output::line("until its first worker was ready, until enough were, until they worked at full speed");
}

/// Geometric means over traces, the cheapest first.
fn means(scores: &[Score], policy_width: usize) {
    let mut sums: Vec<(f64, &str, f64, f64)> = Vec::new();
    for score in scores {
        let found = sums.iter_mut().find(|(start_up, policy, ..)| {
            start_up.total_cmp(&score.start_up_s).is_eq() && *policy == score.policy
        });
        let log = score.cost_ratio.ln();
        match found {
            Some((_, _, sum, count)) => {
                *sum += log;
                *count += 1.0;
            }
            None => sums.push((score.start_up_s, &score.policy, log, 1.0)),
        }
    }
    let mean = |entry: &(f64, &str, f64, f64)| (entry.2 / entry.3).exp();
    sums.sort_by(|one, other| one.0.total_cmp(&other.0).then(mean(one).total_cmp(&mean(other))));
    output::line("");
    output::line("geometric mean over all traces:");
    for entry in &sums {
        output::line(&format!("{:>8}  {:policy_width$}  {:8.3}", seconds(entry.0), entry.1, mean(entry)));
    }
}

fn seconds(value: f64) -> String {
    format!("{value} s")
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>, title: &str) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).max(title.len())
}

/// Columns that come first, in this order; the others follow by name.
const FIRST: [&str; 17] = [
    "trace",
    "policy",
    "engine",
    "start_up_s",
    "kappa",
    "cost",
    "optimal_cost",
    "cost_ratio",
    "worker_seconds",
    "late_request_share",
    "violation_time_share",
    "scale_outs",
    "scale_ins",
    "theta_under",
    "theta_over",
    "tau_under",
    "tau_over",
];

/// The fields of a score, nested ones joined by dots; the first row names them. What one score has and
/// another has not is an empty field there.
pub(super) fn csv(scores: &[Score]) -> anyhow::Result<()> {
    let mut rows: Vec<BTreeMap<String, String>> = Vec::new();
    for score in scores {
        let mut fields = BTreeMap::new();
        flatten(&serde_json::to_value(score)?, String::new(), &mut fields);
        rows.push(fields);
    }
    let known: BTreeSet<&str> = rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let others = known.iter().filter(|name| !FIRST.contains(name));
    let names: Vec<&str> = FIRST.iter().filter(|name| known.contains(*name)).chain(others).copied().collect();
    let mut open = output::line(&names.join(","));
    for row in &rows {
        let values: Vec<&str> = names.iter().map(|name| row.get(*name).map_or("", String::as_str)).collect();
        open = open && output::line(&values.join(","));
    }
    Ok(())
}

fn flatten(value: &serde_json::Value, name: String, into: &mut BTreeMap<String, String>) {
    let text = match value {
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(field, name, into);
            }
            return;
        }
        // A list is no column: JSON has it.
        serde_json::Value::Array(_) => return,
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => quoted(text),
        other => other.to_string(),
    };
    into.insert(name, text);
}

/// A field as RFC 4180 wants it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
