//! One decision told whole: every gate with its number, what blocked it, and the nearest change
//! that would have flipped it.

use control::{Applied, Blocked, Command, Cycle, Decision, InForce, Measured, ShadowTurn};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::text;
use crate::view::story;

/// Columns before each line's content, so that the numbers stand below each other.
const LABEL: usize = 14;

/// Where a line that had to be broken goes on.
pub const INDENT: usize = LABEL + 6;

/// The trail of one cycle as lines of text, without a final line break.
pub fn text(cycle: &Cycle, zone: &TimeZone) -> String {
    let clock = text::clock(cycle.at(), zone);
    match cycle {
        Cycle::Blind { because, .. } => {
            format!("{clock}  nothing decided: the pool does not answer\n{}", row("because", because))
        }
        Cycle::Decided { seen, decision, applied, .. } => {
            let mut lines = vec![format!("{clock}  {}", outcome(decision))];
            lines.extend(trail(decision, seen.at, zone));
            lines.extend(seen.commands.iter().map(|command| row("order came in", &ordered(command))));
            lines.push(row("carried out", &carried_out(applied)));
            lines.extend(decision.shadows.iter().map(|shadow| row("shadow", &self::shadow(shadow))));
            lines.join("\n")
        }
    }
}

/// The outcome in a few words: `scale out 3 → 4`, `stays at 4`.
pub fn outcome(decision: &Decision) -> String {
    let (before, after) = (decision.current, decision.desired());
    match decision.change() {
        0 => format!("stays at {after}"),
        1.. => format!("scale out {before} → {after}"),
        _ => format!("scale in {before} → {after}"),
    }
}

/// What a policy that only watches would have done: `kpa 3 → 4 (3 ready, 71 % busy): above …`.
pub fn shadow(turn: &ShadowTurn) -> String {
    let step = &turn.decided;
    let number = match (turn.current, turn.desired()) {
        (before, after) if before == after => format!("{after}"),
        (before, after) => format!("{before} → {after}"),
    };
    let busy = text::percent(turn.busy_percent);
    format!("{} {number} ({} ready, {busy} busy): {}: {}", turn.label, turn.ready, step.rule, step.because)
}

/// From the measurement to the final number, one line each.
pub fn trail(decision: &Decision, at: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![row("in force", &in_force(decision, at))];
    if let Some(measured) = &decision.measured {
        lines.push(row("measured", &measurement(measured)));
    }
    for excluded in &decision.excluded {
        lines.push(row("left out", &format!("{}: {}", excluded.worker, excluded.because)));
    }
    for unsound in &decision.unsound {
        let whose = unsound.worker.map(|worker| format!(" of {worker}")).unwrap_or_default();
        let treated = if unsound.dropped { "not taken" } else { "taken" };
        let text = format!("{}{whose}, {}, {treated}: {}", unsound.signal, unsound.fault, unsound.because);
        lines.push(row("unsound", &text));
    }
    lines.push(row("before", &decision.current.to_string()));
    let step = |step: &control::Step| format!("{:<3} {}: {}", step.replicas, step.rule, step.because);
    lines.extend(decision.alarms.iter().map(|alarm| row("alarm", &alarm.to_string())));
    for member in &decision.members {
        lines.push(row("member", &format!("{} ({})", step(&member.step), &*member.policy)));
    }
    lines.extend(decision.raw.iter().map(|raw| row("formula", &step(raw))));
    lines.extend(decision.overruled.iter().map(|policy| row("policy", &step(policy))));
    lines.push(row("recommended", &step(&decision.recommended)));
    lines.extend(decision.limited.iter().map(|limit| row("limited to", &step(limit))));
    lines.push(row("final", &decision.desired().to_string()));
    for blocked in &decision.blocked_by {
        let until = match (blocked.left(at), blocked.until) {
            (Some(left), Some(until)) => {
                format!(" ({} left, until {})", text::left(left), text::clock(until, zone))
            }
            _ => String::new(),
        };
        lines.push(row("blocked by", &format!("{}{until}: {}", blocked.by, blocked.because)));
    }
    if let Some(flip) = &decision.nearest_flip {
        lines.push(row("nearest flip", &format!("{:<3} {}", flip.replicas, flip.because)));
    }
    lines
}

/// What a turn comes to in one sentence, with its countdowns: the `now` line of dashboards.
pub fn now(decision: &Decision) -> String {
    let outcome = match (decision.change(), decision.recommended.replicas) {
        (0, wanted) if wanted != decision.current => {
            format!("stays at {}, wants {wanted}", decision.current)
        }
        _ => outcome(decision),
    };
    format!("{outcome}: {}", decision.recommended.because)
}

/// What a turn comes to in few words: the reason of a change, or else what blocks it, or else
/// the reason of staying.
pub fn short(decision: &Decision, at: Timestamp) -> String {
    let blocked = blocked(decision, at, "");
    match decision.change() {
        0 if !blocked.is_empty() => format!("{}, blocked by {}", outcome(decision), blocked.join(", ")),
        _ => format!("{}: {}", outcome(decision), decision.recommended.because),
    }
}

/// What holds a change back, each with the time left, and the nearest flip.
pub fn hold(decision: &Decision, at: Timestamp) -> String {
    let mut parts = Vec::new();
    let blocked = blocked(decision, at, ": ");
    if !blocked.is_empty() {
        parts.push(format!("blocked by {}", blocked.join(", ")));
    }
    if let Some(flip) = &decision.nearest_flip {
        parts.push(format!("nearest flip → {}: {}", flip.replicas, flip.because));
    }
    parts.join(" · ")
}

/// Each blocker with the time left, and, given a separator, with a reason that differs from the
/// decision's own.
fn blocked(decision: &Decision, at: Timestamp, separator: &str) -> Vec<String> {
    let said = decision.recommended.because.to_string();
    let told = |blocked: &Blocked| {
        let left = blocked.left(at).map_or(String::new(), |left| format!(" ({} left)", text::left(left)));
        let because = blocked.because.to_string();
        let because = if separator.is_empty() || because.contains(&said) {
            String::new()
        } else {
            format!("{separator}{because}")
        };
        format!("{}{left}{because}", story::words(&blocked.by))
    };
    story::blockers(decision).iter().map(told).collect()
}

/// The signal with its two lines: `worker_cpu 81.3 % (out above 35 %, in below 15 %)`.
fn measurement(measured: &Measured) -> String {
    let value = measured.value.map_or("not measured".to_owned(), |value| in_unit(measured, value));
    let line = |word: &str, value: Option<f64>| value.map(|at| format!("{word} {}", in_unit(measured, at)));
    let lines: Vec<_> =
        [line("out above", measured.up), line("in below", measured.down)].into_iter().flatten().collect();
    let lines = if lines.is_empty() { String::new() } else { format!(" ({})", lines.join(", ")) };
    format!("{} {value}{lines}", measured.signal)
}

fn in_unit(measured: &Measured, value: f64) -> String {
    text::with_unit(value, &measured.unit)
}

fn in_force(decision: &Decision, at: Timestamp) -> String {
    let InForce { policy, min, max, .. } = &decision.in_force;
    let order = order_in_force(decision, at).map(|order| format!(", {order}")).unwrap_or_default();
    format!("policy {policy}, {min} to {max} replicas{order}")
}

/// The order that stands above the policy or beside it, with its time left: `paused, 41 s left`.
pub fn order_in_force(decision: &Decision, at: Timestamp) -> Option<String> {
    let in_force = &decision.in_force;
    let (order, until) = match (in_force.held, decision.boost) {
        _ if in_force.paused => ("paused".to_owned(), in_force.paused_until),
        (Some(held), _) => (format!("held at {held}"), in_force.held_until),
        (None, Some(boost)) => (format!("boosted to {} or more", boost.min), Some(boost.until)),
        (None, None) if in_force.scale_in_paused => ("scale-in paused".to_owned(), in_force.paused_until),
        (None, None) => return None,
    };
    Some(match until {
        Some(until) => format!("{order}, {} left", text::left(text::between(at, until))),
        None => format!("{order} until resumed"),
    })
}

fn ordered(command: &Command) -> String {
    let event = story::ordered(Timestamp::UNIX_EPOCH, command);
    format!("{} {}", event.what.trim_start_matches("order: "), event.why)
}

fn carried_out(applied: &Applied) -> String {
    match applied {
        Applied::Ordered => "the pool took the order".to_owned(),
        Applied::DryRun => "no, this is a dry run".to_owned(),
        Applied::Failed(because) => format!("no, refused: {because}; the next turn asks again"),
    }
}

fn row(label: &str, content: &str) -> String {
    format!("  {label:<LABEL$}{content}")
}
