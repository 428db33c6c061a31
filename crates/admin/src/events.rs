//! What happened, turn by turn, in words: derived from cycles alone, so that a recorded run
//! tells the same story.

use control::{Applied, Command, Cycle, Decision, RuleId, ScaleTo, State, Transition};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A worker went from one state to another.
    Worker,
    /// The desired number changed.
    Scaled,
    /// Another rule than before keeps the number from changing.
    Blocked,
    /// An order was taken.
    Command,
    /// The target refused the order; the next turn asks again.
    Refused,
    /// The target could not be asked.
    Blind,
}

impl EventKind {
    /// As written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Scaled => "scaled",
            Self::Blocked => "blocked",
            Self::Command => "command",
            Self::Refused => "refused",
            Self::Blind => "blind",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: EventKind,
    /// One sentence for people.
    pub text: String,
    /// The worker concerned, as in `w1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its state before; absent for a new worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// Its state after; absent once its process is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<State>,
    /// The rule that decided or blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// Desired workers before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<(u32, u32)>,
}

impl Event {
    pub(crate) fn new(at: Timestamp, kind: EventKind, text: String) -> Self {
        Self { at, kind, text, worker: None, pid: None, from: None, to: None, rule: None, replicas: None }
    }

    fn worker(transition: &Transition) -> Self {
        let state = |state: Option<State>, none: &str| state.map_or(none.to_owned(), |s| s.to_string());
        let text = format!(
            "{} {} → {}: {}",
            transition.worker,
            state(transition.from, "new"),
            state(transition.to, "gone"),
            transition.because
        );
        Self {
            worker: Some(transition.worker.to_string()),
            pid: transition.pid,
            from: transition.from,
            to: transition.to,
            ..Self::new(transition.at, EventKind::Worker, text)
        }
    }
}

/// What happened at `cycle`, which came after `before`; in the order of cause and effect.
pub fn events(before: Option<&Cycle>, cycle: &Cycle) -> Vec<Event> {
    let (seen, decision, applied) = match cycle {
        Cycle::Decided { seen, decision, applied, .. } => (seen, decision, applied),
        Cycle::Blind { at, because } => {
            // Once for a stretch of the same trouble, not once a turn.
            let known = matches!(before, Some(Cycle::Blind { because: last, .. }) if last == because);
            let text = format!("cannot see the pool: {because}");
            return if known { Vec::new() } else { vec![Event::new(*at, EventKind::Blind, text)] };
        }
    };
    let mut events: Vec<Event> = seen.transitions.iter().map(Event::worker).collect();
    let orders = seen.commands.iter();
    events.extend(orders.map(|command| Event::new(seen.at, EventKind::Command, order_text(command))));
    events.extend(scaled(seen.at, decision));
    events.extend(blocked(before, seen.at, decision));
    if let Applied::Failed(because) = applied
        && !matches!(before, Some(Cycle::Decided { applied: Applied::Failed(last), .. }) if last == because)
    {
        let text = format!("order for {} refused: {because}", decision.desired());
        events.push(Event::new(seen.at, EventKind::Refused, text));
    }
    events
}

fn scaled(at: Timestamp, decision: &Decision) -> Option<Event> {
    let replicas = (decision.current, decision.desired());
    if replicas.0 == replicas.1 {
        return None;
    }
    let step = decision.deciding();
    let text = format!("{} → {}: {} ({})", replicas.0, replicas.1, step.because, step.rule);
    let mut event = Event::new(at, EventKind::Scaled, text);
    event.rule = Some(step.rule.clone());
    event.replicas = Some(replicas);
    Some(event)
}

fn blocked(before: Option<&Cycle>, at: Timestamp, decision: &Decision) -> Option<Event> {
    let rules = |decision: &Decision| -> Vec<RuleId> {
        decision.blocked_by.iter().map(|blocked| blocked.by.clone()).collect()
    };
    let first = decision.blocked_by.first()?;
    if matches!(before, Some(Cycle::Decided { decision: last, .. }) if rules(last) == rules(decision)) {
        return None;
    }
    let reasons: Vec<String> =
        decision.blocked_by.iter().map(|blocked| format!("{} ({})", blocked.because, blocked.by)).collect();
    let text = format!("stays at {}: {}", decision.desired(), reasons.join("; "));
    let mut event = Event::new(at, EventKind::Blocked, text);
    event.rule = Some(first.by.clone());
    Some(event)
}

/// An order in words.
pub(crate) fn order_text(command: &Command) -> String {
    let until = |until: &Option<Timestamp>| match until {
        Some(until) => format!("until {until}"),
        None => "until resumed".to_owned(),
    };
    match command {
        Command::Scale { to, until: end, by } => {
            let replicas = match to {
                ScaleTo::Exactly(replicas) => replicas.to_string(),
                ScaleTo::By(change) => format!("{change:+}"),
                ScaleTo::Max => "max".to_owned(),
            };
            format!("{by}: scale to {replicas}, held {}", until(end))
        }
        Command::Pause { until: end, scale_in_only, at, by } => {
            let what = if *scale_in_only { " of scale-in" } else { "" };
            let at = at.map(|replicas| format!(" at {replicas}")).unwrap_or_default();
            format!("{by}: pause{what}{at} {}", until(end))
        }
        Command::Boost { min, until: end, by } => {
            format!("{by}: boost to at least {min} {}", until(&Some(*end)))
        }
        Command::Resume { by } => format!("{by}: resume"),
        Command::Reload { config, by } => {
            format!("{by}: reload, {} {} to {}", config.policy.name, config.min, config.max)
        }
    }
}
