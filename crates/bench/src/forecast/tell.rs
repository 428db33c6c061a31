//! The findings as Markdown: each goal beside its figure, then the baselines and the failures.

use std::fmt::Write;

use super::accuracy::Model;
use super::adversary::Worst;
use super::beside::Beside;
use super::chance::Estimate;
use super::costs::{Cell, HPA, Means, POLICIES};
use super::speed::Refit;

/// All that was measured; what was not stays as it was written last.
pub(super) struct Found {
    pub(super) errors: Option<Errors>,
    pub(super) costs: Option<Vec<Cell>>,
    pub(super) worst: Option<Vec<Worst>>,
    pub(super) beside: Option<Vec<Beside>>,
    pub(super) traces: Vec<String>,
}

/// How good forecasts are, and how quick.
pub(super) struct Errors {
    pub(super) models: Vec<Model>,
    /// Mean time of an update and a forecast of the default ensemble, in seconds.
    pub(super) speed: f64,
    pub(super) refit: Refit,
}

/// The headings of the parts.
const COSTS: &str = "## Cost over that of the optimum";
const SAFETY: &str = "## Beside the HPA at 70 %";
const BAD: &str = "## Bad forecasts";
const BESIDE: &str = "## Bad models beside the loop";
const ERRORS: &str = "## Errors over those of the naive forecast";

/// Costs over the optimum to be reached: κ 10 and κ 100, each at start-ups of 2, 30 and 120 s.
const COST_GOALS: [f64; 6] = [1.08, 1.13, 1.22, 1.35, 1.48, 1.50];
/// A goal is met if the upper end of the interval is not further above it than this.
const SLACK: f64 = 1.03;
/// The same cost over the optimum of others, in a model of the same engine and of the same eight traces.
const BASELINES: [(&str, [f64; 6]); 5] = [
    ("best constant number, in hindsight", [1.83, 1.78, 1.69, 2.17, 2.10, 1.99]),
    ("HPA at 70 %", [1.39, 1.38, 1.42, 1.57, 1.79, 2.29]),
    ("HPA tuned per trace, in hindsight", [1.16, 1.22, 1.29, 1.46, 1.58, 1.70]),
    ("policy selection by shadow simulation", [1.10, 1.17, 1.28, 1.41, 1.62, 1.65]),
    ("perfect forecast, same decision rule", [1.02, 1.03, 1.06, 1.12, 1.04, 1.07]),
];
/// relMAE and q90 loss over naive to be reached at the horizons 1, 5 and 15.
const ERROR_GOALS: [[f64; 3]; 2] = [[0.80, 0.75, 0.72], [0.70, 0.55, 0.32]];
/// The same of others: AutoARIMA, LightGBM, a mean of ARIMA, forest and GRU.
const ERROR_BASELINES: [(&str, [f64; 3], [f64; 3]); 3] = [
    ("statsforecast AutoARIMA", [0.850, 0.881, 0.838], [0.85, 0.72, 0.52]),
    ("LightGBM, direct quantiles", [0.862, 0.801, 0.753], [0.73, 0.58, 0.33]),
    ("mean of ARIMA, forest and GRU", [0.819, 0.779, 0.750], [0.77, 0.61, 0.40]),
];
/// Nobody may cost more than this many times the HPA at 70 %.
const WORST_GOAL: f64 = 1.05;
/// The part of the HPA's excess cost that is to be saved, at κ 10 and at κ 100.
const GAP_GOALS: [f64; 2] = [0.60, 0.40];
/// At κ 10 and 30 s: late requests and time beyond need, in percent, and changes over the HPA's.
const SHARE_GOALS: [f64; 3] = [1.0, 20.0, 1.5];
/// The same where the forecast is bad.
const ADVERSARY_GOAL: f64 = 1.10;
/// Time for an update and a forecast, in seconds.
const SPEED_GOAL: f64 = 1e-3;
/// Time that a decision may take beside any model, in seconds.
const TURN_GOAL: f64 = 0.05;
/// Time for a fit, in seconds.
const REFIT_GOAL: f64 = 1.0;

/// The whole part of `RESULTS.md`, of which `before` is what it holds now.
pub(super) fn text(found: &Found, before: &str) -> String {
    let mut text = String::from("# Forecasts, and policies that act on them\n\n");
    let _ = writeln!(
        text,
        "Made by `cargo run --release -p autoscale-bench -- forecast --traces FOLDER`, with one protocol for \
         all traces: {}. Geometric means over them; in brackets where they lie with 90 % confidence, by \
         drawing blocks of time (costs) or origins (forecasts) anew. A goal counts as met if the upper end \
         is at most {SLACK} × the goal.\n",
        found.traces.join(", ")
    );
    match &found.costs {
        Some(cells) => {
            costs(&mut text, cells);
            safety(&mut text, cells);
        }
        None => [COSTS, SAFETY].iter().for_each(|heading| keep(&mut text, before, heading)),
    }
    match &found.worst {
        Some(worst) => adversary(&mut text, worst),
        None => keep(&mut text, before, BAD),
    }
    match &found.beside {
        Some(all) => beside(&mut text, all),
        None => keep(&mut text, before, BESIDE),
    }
    match &found.errors {
        Some(found) => errors(&mut text, found),
        None => keep(&mut text, before, ERRORS),
    }
    text.push_str(concat!("\n", include_str!("notes.md")));
    text
}

/// A part as it was written last.
fn keep(text: &mut String, before: &str, heading: &str) {
    let Some((_, rest)) = before.split_once(&format!("\n{heading}\n")) else { return };
    let part = rest.split("\n## ").next().unwrap_or_default().trim_end();
    let gap = if text.ends_with("\n\n") { "" } else { "\n" };
    let _ = writeln!(text, "{gap}{heading}\n{part}");
}

fn errors(text: &mut String, found: &Errors) {
    accuracy(text, &found.models);
    let ensemble_ms = 1e3 * found.speed;
    let met = verdict(found.speed <= SPEED_GOAL);
    let _ = writeln!(
        text,
        "\n`update` and `predict` of the default ensemble: {ensemble_ms:.3} ms (goal {:.0} ms: {met}).",
        1e3 * SPEED_GOAL
    );
    let Refit { seconds, readings, on } = &found.refit;
    let met = verdict(*seconds <= REFIT_GOAL);
    let _ = writeln!(
        text,
        "Its longest fit, in time of one core, the quickest of three: {seconds:.2} s ({readings} readings of {on}; \
         goal {REFIT_GOAL:.0} s: {met})."
    );
}

fn costs(text: &mut String, cells: &[Cell]) {
    let _ = write!(text, "{COSTS}\n\n| |");
    for cell in cells {
        let _ = write!(text, " κ {}, {} s |", cell.kappa, cell.start_up_s);
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(cells.len()));
    for (place, policy) in POLICIES.iter().enumerate() {
        let row: Vec<String> = cells.iter().map(|cell| shown(&cell.ratios[place])).collect();
        let _ = writeln!(text, "| `{policy}` | {} |", row.join(" | "));
    }
    let goals = COST_GOALS.map(|goal| format!("≤ {goal:.2}"));
    let _ = writeln!(text, "| goal | {} |", goals.join(" | "));
    for (place, policy) in POLICIES.iter().enumerate().take(HPA) {
        let row = cells.iter().zip(COST_GOALS).map(|(cell, goal)| verdict(met(&cell.ratios[place], goal)));
        let _ = writeln!(text, "| `{policy}` | {} |", row.collect::<Vec<_>>().join(" | "));
    }
    for (place, policy) in POLICIES.iter().enumerate().take(HPA) {
        let row: Vec<String> = cells.iter().map(|cell| gap(cell, place)).collect();
        let _ = writeln!(text, "| `{policy}`: gap closed | {} |", row.join(" | "));
    }
    for (name, known) in BASELINES {
        let _ = writeln!(text, "| baseline: {name} | {} |", known.map(|one| format!("{one:.2}")).join(" | "));
    }
}

/// How much of what the HPA at 70 % costs beyond the optimum is saved.
fn gap(cell: &Cell, place: usize) -> String {
    let [own, hpa] = [place, HPA].map(|place| cell.ratios[place].value);
    let closed = (hpa - own) / (hpa - 1.0);
    let goal = if cell.kappa > 50.0 { GAP_GOALS[1] } else { GAP_GOALS[0] };
    format!("{closed:.2} (≥ {goal:.2}: {})", verdict(closed >= goal))
}

fn safety(text: &mut String, cells: &[Cell]) {
    let _ = write!(
        text,
        "\nGap closed: the part of what the HPA at 70 % costs beyond the optimum that is saved.\n\n\
         {SAFETY}\n\nThe worst trace's cost over the HPA's (goal ≤ {WORST_GOAL}); requests that \
         were late; worker time paid for beyond what was used; workers started and stopped an hour (plain means \
         over traces).\n\n\
         | κ | start-up | policy | worst | on | late | beyond | changes/h |\n|---|---|---|---|---|---|---|---|\n"
    );
    for cell in cells {
        for (place, policy) in POLICIES.iter().enumerate().take(HPA + 1) {
            let (worst, on) = &cell.worst[place];
            let Means { late, over, changes } = cell.means[place];
            let missed = if *worst > WORST_GOAL { " (missed)" } else { "" };
            let _ = writeln!(
                text,
                "| {} | {} s | `{policy}` | {worst:.3}{missed} | {on} | {late:.2} % | {over:.1} % | {changes:.1} |",
                cell.kappa, cell.start_up_s
            );
        }
    }
    let usual = |cell: &&Cell| cell.kappa < 50.0 && (cell.start_up_s - 30.0).abs() < 1e-9;
    let Some(cell) = cells.iter().find(usual) else { return };
    let [late, over, changes] = SHARE_GOALS;
    let _ = writeln!(
        text,
        "\nGoals at κ 10 and 30 s: late ≤ {late} %, beyond ≤ {over} %, changes ≤ {changes} × the HPA's."
    );
    for (place, policy) in POLICIES.iter().enumerate().take(HPA) {
        let (own, hpa) = (cell.means[place], cell.means[HPA]);
        let times = own.changes / hpa.changes;
        let _ = writeln!(
            text,
            "- `{policy}`: late {:.2} % ({}), beyond {:.1} % ({}), changes × {times:.2} ({})",
            own.late,
            verdict(own.late <= late),
            own.over,
            verdict(own.over <= over),
            verdict(times <= changes)
        );
    }
}

fn adversary(text: &mut String, all: &[Worst]) {
    let _ = write!(
        text,
        "\n{BAD}\n\nA model beside the loop that is wrong in this way, `predictive` deciding, at most 14 \
         days of each trace: the worst cost over the HPA's (goal ≤ {ADVERSARY_GOAL:.2}), and decisions below the \
         reactive rule's while it led.\n\n| κ | start-up | forecast | worst | on | below |\n|---|---|---|---|---|---|\n"
    );
    for one in all {
        let met = verdict(one.ratio <= ADVERSARY_GOAL && one.below == 0);
        let _ = writeln!(
            text,
            "| {} | {} s | {} | {:.3} ({met}) | {} | {} |",
            one.kappa, one.start_up_s, one.name, one.ratio, one.on, one.below
        );
    }
}

fn beside(text: &mut String, all: &[Beside]) {
    let _ = write!(
        text,
        "\n{BESIDE}\n\nPlanted models on a thread of their own beside `predictive`, each turn a reading of seven days \
         of the first trace, one after the other without a pause: what a turn took in wall time (goal: {:.0} ms \
         at most), and decisions below the reactive rule's while the model led.\n\n\
         | model | turns | longest | 99 of 100 within | below |\n|---|---|---|---|---|\n",
        1e3 * TURN_GOAL
    );
    for one in all {
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} ms ({}) | {:.2} ms | {} |",
            one.name,
            one.turns,
            1e3 * one.longest_s,
            verdict(one.longest_s <= TURN_GOAL && one.below == 0),
            1e3 * one.p99_s,
            one.below
        );
    }
}

fn accuracy(text: &mut String, models: &[Model]) {
    let _ = write!(
        text,
        "\n{ERRORS}\n\nMean absolute error and loss at the 0.9 quantile, 1, 5 \
         and 15 steps ahead (the loss over that of a naive forecast with normal intervals); share of outcomes at or below the 0.9 quantile (goal 0.88 to 0.92).\n\n\
         | | error | | | loss | | | covered | fit, longest | update and forecast |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for model in models {
        let row: Vec<String> = model.relative_mae.iter().chain(&model.relative_loss_90).map(shown).collect();
        let covered: Vec<String> = model.coverage_90.iter().map(|share| format!("{share:.2}")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {:.2} s | {:.0} µs |",
            model.name,
            row.join(" | "),
            covered.join(" "),
            model.fit_s,
            1e6 * model.predict_s
        );
    }
    let goals: Vec<String> = ERROR_GOALS.iter().flatten().map(|goal| format!("≤ {goal:.2}")).collect();
    let _ = writeln!(text, "| goal | {} | .88–.92 | 1 s | 1000 µs |", goals.join(" | "));
    if let Some(ensemble) = models.first() {
        let all = ensemble.relative_mae.iter().chain(&ensemble.relative_loss_90);
        let row = all.zip(ERROR_GOALS.iter().flatten()).map(|(one, goal)| verdict(met(one, *goal)));
        // To two digits, as the goal is.
        let shown = |share: &f64| (100.0 * share).round() / 100.0;
        let within = ensemble.coverage_90.iter().all(|share| (0.88..=0.92).contains(&shown(share)));
        let row: Vec<&str> = row.chain([verdict(within)]).collect();
        let _ = writeln!(text, "| `ensemble` | {} | | |", row.join(" | "));
    }
    for (name, errors, losses) in ERROR_BASELINES {
        let row: Vec<String> = errors.iter().chain(&losses).map(|one| format!("{one:.2}")).collect();
        let _ = writeln!(text, "| baseline: {name} | {} | | | |", row.join(" | "));
    }
    text.push_str("\nWhere the naive forecast wins (trace, steps ahead, error over the naive one's):\n\n");
    for model in models {
        let where_to =
            if model.naive_wins.is_empty() { "nowhere".to_owned() } else { model.naive_wins.join(", ") };
        let _ = writeln!(text, "- `{}`: {where_to}", model.name);
    }
}

fn shown(one: &Estimate) -> String {
    format!("{:.3} ({:.2}–{:.2})", one.value, one.low, one.high)
}

fn met(one: &Estimate, goal: f64) -> bool {
    one.value <= goal && one.high <= SLACK * goal
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
