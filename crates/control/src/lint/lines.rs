//! Rules on the lines of a policy: whether it would swing between them, and whether they can be
//! crossed at all.

use super::subject::{Band, Subject};
use super::{LintRule, Margin, Problem, Severity};

/// Pools larger than this swing less with each worker; their margins are those of the last row.
const MARGINS_MAX: u32 = 50;

/// A margin smaller than this share of the upper line is lost in noise.
const THIN: f64 = 0.1;

/// Queues in front of a worker this busy are ten times its service time: 1 / (1 - 0.9).
const BUSY: f64 = 90.0;

/// Margins of every step that the bounds allow.
pub(super) fn margins(subject: &Subject) -> Vec<Margin> {
    let Some(band) = subject.band() else { return Vec::new() };
    if !shared_out(subject) {
        return Vec::new();
    }
    let last = subject.max.min(subject.min.saturating_add(MARGINS_MAX));
    (subject.min.max(1)..last).map(|from| margin(band, from, last)).collect()
}

fn margin(Band { up, down, step }: Band, from: u32, max: u32) -> Margin {
    let to = from.saturating_add(step).min(max);
    let ratio = f64::from(to) / f64::from(from);
    Margin { from, to, out: up / ratio - down, back: up - down * ratio }
}

/// Whether the signal falls as workers are added: it is shared out among them.
fn shared_out(subject: &Subject) -> bool {
    matches!(subject.signal(), Some("worker_cpu" | "rps" | "in_flight"))
}

fn thinnest(subject: &Subject) -> Option<(Margin, f64)> {
    let least = |margin: &Margin| margin.out.min(margin.back);
    let margin = margins(subject).into_iter().min_by(|a, b| least(a).total_cmp(&least(b)))?;
    Some((margin, least(&margin)))
}

fn arithmetic(Band { up, down, .. }: Band, Margin { from, to, out, back }: Margin) -> String {
    format!(
        "{from} → {to}: {up} × {from} / {to} - {down} = {out:+.1}; {to} → {from}: {up} - {down} × {to} / {from} = {back:+.1}"
    )
}

pub(super) const FLAP_MARGIN: LintRule = LintRule {
    name: "flap_margin",
    about: "after a step the signal would already stand beyond the other line",
    check: |subject| {
        let band = subject.band()?;
        let (margin, least) = thinnest(subject)?;
        let safe = band.up * f64::from(margin.from) / f64::from(margin.to);
        (least < 0.0).then(|| Problem {
            severity: Severity::Error,
            what: format!("between {} and {} workers the pool would swing", margin.from, margin.to),
            arithmetic: arithmetic(band, margin),
            mend: format!(
                "lower the lower line to {:.0} or less, or raise the upper one",
                safe * (1.0 - THIN)
            ),
        })
    },
};

pub(super) const THIN_MARGIN: LintRule = LintRule {
    name: "thin_margin",
    about: "the margin to the other line is smaller than a tenth of the upper one",
    check: |subject| {
        let band = subject.band()?;
        let (margin, least) = thinnest(subject)?;
        (0.0..band.up * THIN).contains(&least).then(|| Problem {
            severity: Severity::Note,
            what: format!(
                "{least:.1} points are little between {} and {} workers: noise may make the pool swing",
                margin.from, margin.to
            ),
            arithmetic: arithmetic(band, margin),
            mend: "ask for several datapoints (evaluation_periods), or set the lines further apart"
                .to_owned(),
        })
    },
};

pub(super) const TOUCHING: LintRule = LintRule {
    name: "touching_lines",
    about: "the two lines touch or cross",
    check: |subject| {
        let Band { up, down, .. } = subject.band()?;
        (up - down < up * THIN).then(|| Problem {
            severity: Severity::Error,
            what: "the two lines touch: there is hardly a value at which nothing happens".to_owned(),
            arithmetic: format!("{up} - {down} = {} points", up - down),
            mend: format!("keep the lower line below half of the upper one: {:.0}", up / 2.0),
        })
    },
};

pub(super) const NO_HEADROOM: LintRule = LintRule {
    name: "no_headroom",
    about: "workers are busy beyond 90 % before another one is asked for",
    check: |subject| {
        let line = subject.band().map(|band| band.up).or_else(|| subject.target())?;
        let busy = matches!(subject.signal(), Some("worker_cpu"));
        (busy && (BUSY..100.0).contains(&line)).then(|| Problem {
            severity: Severity::Warning,
            what: format!("at {line} % requests already queue before a worker is added"),
            arithmetic: format!(
                "1 / (1 - {:.2}) = {:.0} times the service time",
                line / 100.0,
                1.0 / (1.0 - line / 100.0)
            ),
            mend: "scale out between 50 and 80 %".to_owned(),
        })
    },
};

pub(super) const OUT_OF_REACH: LintRule = LintRule {
    name: "line_out_of_reach",
    about: "a percentage never gets above the upper line",
    check: |subject| {
        let band = subject.band()?;
        (subject.is_percentage() && band.up >= 100.0).then(|| Problem {
            severity: Severity::Error,
            what: "it can never scale out".to_owned(),
            arithmetic: format!(
                "the signal is at most 100 %, the line stands at {} %, and must be exceeded",
                band.up
            ),
            mend: "set the upper line below 90".to_owned(),
        })
    },
};

pub(super) const NEVER_IN: LintRule = LintRule {
    name: "never_scales_in",
    about: "the lower line cannot be undercut",
    check: |subject| {
        let band = subject.band()?;
        (band.down <= 0.0).then(|| Problem {
            severity: Severity::Warning,
            what: "it can never scale in".to_owned(),
            arithmetic: format!("the signal is at least 0, and must be below {}", band.down),
            mend: format!("set the lower line to {:.0}", band.up * 0.4),
        })
    },
};

pub(super) const LAST_STEP_IN: LintRule = LintRule {
    name: "rounding_keeps_two",
    about: "rounding up keeps two workers where one would do",
    check: |subject| {
        let target = subject.target()?;
        let proportional = matches!(subject.policy.as_str(), "hpa" | "target_tracking");
        (proportional && subject.min < 2 && subject.max >= 2).then(|| Problem {
            severity: Severity::Note,
            what: "two workers stay until one alone is at the target".to_owned(),
            arithmetic: format!("⌈2 × v / {target}⌉ = 1 only from v = {} down", target / 2.0),
            mend: "expected; a lower tolerance does not change it (kubernetes/kubernetes#78761)".to_owned(),
        })
    },
};

pub(super) const SIGNAL_DOES_NOT_FALL: LintRule = LintRule {
    name: "signal_does_not_fall",
    about: "adding a worker does not lower the signal in proportion",
    check: |subject| {
        let why = match subject.signal()? {
            "host_cpu" => "the machine's CPU is that of all programs, and of the same cores",
            "worker_memory" => "memory that was taken stays taken, whoever serves the requests",
            "latency_p95" | "queue_wait" => {
                "below saturation latency hardly depends on the workers, above it is all or nothing"
            }
            _ => return None,
        };
        Some(Problem {
            severity: Severity::Warning,
            what: format!("{} does not fall in proportion when a worker is added", subject.signal()?),
            arithmetic: format!("d(signal) / d(workers) ≈ 0: {why}"),
            mend: "use worker_cpu, rps or in_flight; measure it with a load test".to_owned(),
        })
    },
};

pub(super) const STEP_TOO_LARGE: LintRule = LintRule {
    name: "step_spans_pool",
    about: "one step goes from the fewest workers to the most",
    check: |subject| {
        let band = subject.band()?;
        let room = subject.max - subject.min;
        (room > 1 && band.step >= room).then(|| Problem {
            severity: Severity::Warning,
            what: "every step goes from one end of the pool to the other".to_owned(),
            arithmetic: format!("step {} ≥ {} - {} = {room}", band.step, subject.max, subject.min),
            mend: "set step to 1".to_owned(),
        })
    },
};
