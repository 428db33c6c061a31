//! What happened, told so that the list stays short: changes, orders, losses, and what holds a
//! change back whenever that is another thing than before.

use control::{Applied, Blocked, Command, Decision, RuleId, ScaleTo, State, Transition};
use jiff::Timestamp;

/// What an [`Event`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More replicas from now on.
    Out,
    /// Fewer replicas from now on.
    In,
    /// Something keeps the number from changing.
    Blocked,
    /// An order by hand, key, signal or API.
    Order,
    /// A worker ended or failed unasked.
    Lost,
    /// The target refused the number.
    Refused,
    /// The pool could not be asked.
    Blind,
}

impl Kind {
    /// One column, different for each kind, so that colour is never needed.
    pub fn symbol(self) -> char {
        match self {
            Self::Out => '▲',
            Self::In => '▼',
            Self::Blocked => '■',
            Self::Order => '●',
            Self::Lost => '✗',
            Self::Refused => '!',
            Self::Blind => '?',
        }
    }
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// The short of it: `scale out 3 → 4`.
    pub what: String,
    /// The reason, with its numbers.
    pub why: String,
}

/// The reason of a decision in one sentence: the policy's, then that of each limit.
pub fn reason(decision: &Decision) -> String {
    let mut text = decision.recommended.because.to_string();
    for step in &decision.limited {
        text.push_str(&format!("; {}: {}", step.rule, step.because));
    }
    text
}

/// What keeps the number from changing: blockers, or else the limit that took the change back.
pub fn blockers(decision: &Decision) -> Vec<Blocked> {
    if !decision.blocked_by.is_empty() {
        return decision.blocked_by.clone();
    }
    let undone = decision.recommended.replicas != decision.current && decision.change() == 0;
    let last = decision.limited.last().filter(|_| undone);
    last.map(|step| Blocked { by: step.rule.clone(), until: None, because: step.because.clone() })
        .into_iter()
        .collect()
}

/// A rule's name as it reads after "by".
pub fn words(rule: &str) -> String {
    if rule == "by_hand" { "hand".to_owned() } else { rule.replace('_', " ") }
}

/// The number changed.
pub(super) fn changed(at: Timestamp, decision: &Decision, applied: &Applied) -> Option<Event> {
    let (kind, word) = match decision.change() {
        0 => return None,
        1.. => (Kind::Out, "scale out"),
        _ => (Kind::In, "scale in"),
    };
    let dry = if *applied == Applied::DryRun { " (dry run)" } else { "" };
    let what = format!("{word} {} → {}{dry}", decision.current, decision.desired());
    Some(Event { at, kind, what, why: reason(decision) })
}

/// The target refused, and did not the turn before for the same cause.
pub(super) fn refused(at: Timestamp, applied: &Applied, before: Option<&Applied>) -> Option<Event> {
    match applied {
        Applied::Failed(because) if before != Some(applied) => {
            Some(Event { at, kind: Kind::Refused, what: "order refused".to_owned(), why: because.clone() })
        }
        _ => None,
    }
}

/// What held changes back when it was last told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Vec<RuleId>);

impl Told {
    /// Tells what holds a change back, unless that was the last thing told: a cool-down after
    /// each of four changes is one line, not four.
    pub(super) fn tell(&mut self, at: Timestamp, decision: &Decision) -> Option<Event> {
        let now = blockers(decision);
        let named: Vec<_> = now.iter().map(|blocked| blocked.by.clone()).collect();
        if now.is_empty() {
            if decision.change() == 0 {
                self.0.clear();
            }
            return None;
        }
        let before = std::mem::replace(&mut self.0, named);
        // A change says its reason itself, also when it is not the policy's own.
        if self.0 == before || decision.change() != 0 {
            return None;
        }
        let words: Vec<_> = self.0.iter().map(|rule| words(rule)).collect();
        let what = format!("stays at {}, blocked by {}", decision.desired(), words.join(", "));
        let why: Vec<_> = now.iter().map(|blocked| blocked.because.to_string()).collect();
        Some(Event { at, kind: Kind::Blocked, what, why: why.join("; ") })
    }
}

/// An order came in.
pub fn ordered(at: Timestamp, command: &Command) -> Event {
    let what = match command {
        Command::Scale { to, .. } => scale(*to),
        Command::Reload { .. } => "new configuration".to_owned(),
        other => field(other, "command").replace('_', " "),
    };
    let why = format!("by {}", field(command, "by"));
    Event { at, kind: Kind::Order, what: format!("order: {what}"), why }
}

/// A field that every order has in the record, whatever it orders.
fn field(command: &Command, name: &str) -> String {
    let record = serde_json::to_value(command).unwrap_or_default();
    record.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn scale(to: ScaleTo) -> String {
    match to {
        ScaleTo::Exactly(replicas) => format!("scale to {replicas}"),
        ScaleTo::By(change) => format!("scale by {change:+}"),
        ScaleTo::Max => "scale to the maximum".to_owned(),
    }
}

/// A worker ended or failed unasked; what happens on the way out is no news.
pub(super) fn lost(transition: &Transition) -> Option<Event> {
    let from = transition.from?;
    let what = match (from, transition.to) {
        (State::Draining, _) => return None,
        (_, None) => "ended",
        (_, Some(State::Backoff)) => "waits after a crash",
        (_, Some(State::Unhealthy)) => "unhealthy",
        (_, Some(_)) => return None,
    };
    let pid = transition.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
    Some(Event {
        at: transition.at,
        kind: Kind::Lost,
        what: format!("{}{pid} {what}", transition.worker),
        why: transition.because.clone(),
    })
}
