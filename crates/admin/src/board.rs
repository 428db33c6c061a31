//! The recent past of a run, bounded, and where to hear of what comes next.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use control::ledger::Ledger;
use control::{Cycle, RuleId};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::events::{Event, events};
use crate::sample::Sample;

/// Whole turns kept: ten minutes at one a second, about two megabytes. Older ones stand in
/// the run file.
pub const CYCLES_KEPT: usize = 600;

/// Turns kept as a few numbers for charts: an hour at one a second, under a megabyte.
pub const SAMPLES_KEPT: usize = 3_600;

/// Events kept: a busy pool makes a few a minute, so these reach back over an hour.
pub const EVENTS_KEPT: usize = 1_000;

/// Turns and events that a listener may be behind before it loses some.
const BEHIND_MAX: usize = 64;

/// Combinations of action, rule and policy counted apart; rules are few, so that more can
/// only come of a policy that makes up names.
const TALLIES_MAX: usize = 128;

/// Counters since the start, for metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies {
    /// By action, rule and policy.
    pub(crate) decisions: BTreeMap<(&'static str, RuleId, String), u64>,
    pub(crate) blind: u64,
    pub(crate) refused: u64,
    pub(crate) ledger: Ledger,
}

struct Inner {
    cycles: VecDeque<Arc<Cycle>>,
    samples: VecDeque<Sample>,
    events: VecDeque<Arc<Event>>,
    /// How many of `cycles` and `samples`, counted from the back, are of this start.
    own: usize,
    tallies: Tallies,
}

/// The last turns and their broadcast. Listeners that cannot keep up lose turns; nobody waits
/// for them.
pub struct Board {
    inner: Mutex<Inner>,
    cycles: broadcast::Sender<Arc<Cycle>>,
    events: broadcast::Sender<Arc<Event>>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        let inner = Inner {
            cycles: VecDeque::with_capacity(CYCLES_KEPT),
            samples: VecDeque::with_capacity(SAMPLES_KEPT),
            events: VecDeque::new(),
            own: 0,
            tallies: Tallies::default(),
        };
        Self {
            inner: Mutex::new(inner),
            cycles: broadcast::Sender::new(BEHIND_MAX),
            events: broadcast::Sender::new(BEHIND_MAX),
        }
    }

    /// Puts up turns of an earlier start, oldest first, before the first of this one: charts
    /// and `why` reach back over a restart, while counters and the status do not.
    pub fn restore(&self, past: impl IntoIterator<Item = Cycle>) {
        let mut inner = self.inner.lock();
        past.into_iter().for_each(|cycle| drop(inner.put_up(&Arc::new(cycle))));
    }

    /// Puts up a turn and tells every listener.
    pub fn push(&self, cycle: Cycle) -> Arc<Cycle> {
        let cycle = Arc::new(cycle);
        let mut inner = self.inner.lock();
        let happened = inner.put_up(&cycle);
        inner.own = (inner.own + 1).min(SAMPLES_KEPT);
        inner.tallies.count(&cycle);
        // Sent under the lock, so that `follow` neither misses nor repeats one. An error only
        // says that nobody listens.
        let _ = self.cycles.send(Arc::clone(&cycle));
        for event in happened {
            let _ = self.events.send(event);
        }
        cycle
    }

    /// The last `n` turns, oldest first.
    pub fn last(&self, n: usize) -> Vec<Arc<Cycle>> {
        tail(&self.inner.lock().cycles, n)
    }

    /// The newest turn of this start.
    pub fn newest(&self) -> Option<Arc<Cycle>> {
        self.own(1).pop()
    }

    /// The last `n` turns of this start, oldest first.
    pub(crate) fn own(&self, n: usize) -> Vec<Arc<Cycle>> {
        let inner = self.inner.lock();
        tail(&inner.cycles, n.min(inner.own))
    }

    /// The turn nearest to `at` among those kept.
    pub fn nearest(&self, at: Timestamp) -> Option<Arc<Cycle>> {
        let inner = self.inner.lock();
        let distance = |cycle: &&Arc<Cycle>| cycle.at().duration_since(at).abs();
        inner.cycles.iter().min_by_key(distance).map(Arc::clone)
    }

    /// Every coming turn.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Cycle>> {
        self.cycles.subscribe()
    }

    /// The last `n` turns and every coming one, without gap or repetition.
    pub fn follow(&self, n: usize) -> (Vec<Arc<Cycle>>, broadcast::Receiver<Arc<Cycle>>) {
        let inner = self.inner.lock();
        (tail(&inner.cycles, n), self.cycles.subscribe())
    }

    /// The last `n` events, oldest first.
    pub fn last_events(&self, n: usize) -> Vec<Arc<Event>> {
        tail(&self.inner.lock().events, n)
    }

    /// The last `n` events and every coming one, without gap or repetition.
    pub fn follow_events(&self, n: usize) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let inner = self.inner.lock();
        (tail(&inner.events, n), self.events.subscribe())
    }

    /// The turns since `from` in numbers, oldest first.
    pub fn samples(&self, from: Timestamp) -> Vec<Sample> {
        let inner = self.inner.lock();
        let mut found: Vec<Sample> =
            inner.samples.iter().rev().take_while(|sample| sample.at >= from).copied().collect();
        found.reverse();
        found
    }

    /// The books of this start.
    pub fn ledger(&self) -> Ledger {
        self.inner.lock().tallies.ledger.clone()
    }

    pub(crate) fn tallies(&self) -> Tallies {
        self.inner.lock().tallies.clone()
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("cycles", &self.inner.lock().cycles.len()).finish_non_exhaustive()
    }
}

impl Inner {
    fn put_up(&mut self, cycle: &Arc<Cycle>) -> Vec<Arc<Event>> {
        let before = self.cycles.back().map(AsRef::as_ref);
        let happened: Vec<_> = events(before, cycle).into_iter().map(Arc::new).collect();
        for event in &happened {
            keep(&mut self.events, EVENTS_KEPT, Arc::clone(event));
        }
        keep(&mut self.samples, SAMPLES_KEPT, Sample::of(cycle));
        keep(&mut self.cycles, CYCLES_KEPT, Arc::clone(cycle));
        happened
    }
}

impl Tallies {
    fn count(&mut self, cycle: &Cycle) {
        self.ledger.apply(cycle);
        let Cycle::Decided { decision, applied, .. } = cycle else {
            self.blind += 1;
            return;
        };
        if matches!(applied, control::Applied::Failed(_)) {
            self.refused += 1;
        }
        let action = match decision.change() {
            0 => "none",
            1.. => "scale_up",
            _ => "scale_down",
        };
        let rule = decision.deciding().rule.clone();
        let mut key = (action, rule, decision.in_force.policy.clone());
        if self.decisions.len() >= TALLIES_MAX && !self.decisions.contains_key(&key) {
            key = (action, RuleId::Borrowed("other"), "other".to_owned());
        }
        *self.decisions.entry(key).or_default() += 1;
    }
}

fn keep<T>(ring: &mut VecDeque<T>, most: usize, new: T) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(new);
}

fn tail<T>(ring: &VecDeque<Arc<T>>, n: usize) -> Vec<Arc<T>> {
    ring.iter().skip(ring.len().saturating_sub(n)).map(Arc::clone).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn blind(second: usize) -> Cycle {
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(second as u64);
        Cycle::Blind { at, because: format!("reason {second}") }
    }

    #[test]
    fn everything_kept_is_bounded() {
        let board = Board::new();
        let turns = SAMPLES_KEPT + 10;
        (0..turns).for_each(|second| drop(board.push(blind(second))));
        let kept = board.last(usize::MAX);
        assert_eq!((kept.len(), kept.last().unwrap().as_ref()), (CYCLES_KEPT, &blind(turns - 1)));
        assert_eq!(board.samples(Timestamp::MIN).len(), SAMPLES_KEPT);
        assert_eq!(board.last_events(usize::MAX).len(), EVENTS_KEPT);
        assert_eq!(board.tallies().blind, turns as u64);
        let soon_after = blind(turns - 5).at() + Duration::from_millis(400);
        assert_eq!(board.nearest(soon_after).unwrap().as_ref(), &blind(turns - 5));
        assert_eq!(board.nearest(Timestamp::MIN).unwrap(), kept[0], "older ones are gone");
    }

    #[test]
    fn an_earlier_start_is_history_but_not_counted() {
        let board = Board::new();
        board.restore((0..5).map(blind));
        assert_eq!((board.last(9).len(), board.newest(), board.tallies().blind), (5, None, 0));
        board.push(blind(5));
        assert_eq!((board.last(9).len(), board.own(9).len()), (6, 1));
    }
}
