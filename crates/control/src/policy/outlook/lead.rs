//! How long it takes from an order until a worker helps, measured.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::fleet::status::State;
use crate::number;
use crate::observation::Observation;

/// Start-ups that are kept: a new version of the app is known after a few.
const KEPT: usize = 20;
/// The start-up that is reckoned with: slow ones are what one must be ready for.
const LEVEL: f64 = 0.9;

/// Start-ups seen from order to ready.
#[derive(Clone, Debug)]
pub(super) struct Lead {
    assumed_s: f64,
    seen_s: VecDeque<f64>,
    begun: Option<Timestamp>,
    counted: Option<Timestamp>,
    /// Age of the oldest worker that is still starting: it takes at least that long.
    waiting_s: f64,
}

impl Lead {
    pub(super) fn new(assumed: Duration) -> Self {
        Self {
            assumed_s: assumed.as_secs_f64(),
            seen_s: VecDeque::new(),
            begun: None,
            counted: None,
            waiting_s: 0.0,
        }
    }

    /// Looks at who became ready.
    pub(super) fn observe(&mut self, seen: &Observation) {
        let begun = *self.begun.get_or_insert(seen.at);
        let counted = self.counted;
        self.waiting_s = 0.0;
        for worker in seen.workers.iter().filter(|worker| worker.started_at >= begun) {
            let took_s = |at: Timestamp| at.duration_since(worker.started_at).as_secs_f64().max(0.0);
            if let Some(ready) = worker.ready_at {
                if counted.is_none_or(|counted| ready > counted) {
                    self.seen_s.push_back(took_s(ready));
                    self.counted = self.counted.max(Some(ready));
                }
            } else if worker.state == State::Starting {
                self.waiting_s = self.waiting_s.max(took_s(seen.at));
            }
        }
        while self.seen_s.len() > KEPT {
            self.seen_s.pop_front();
        }
    }

    /// From order to ready, in seconds.
    pub(super) fn start_up_s(&self) -> f64 {
        if self.seen_s.is_empty() {
            return self.assumed_s.max(self.waiting_s);
        }
        let mut sorted: Vec<f64> = self.seen_s.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = number::count(LEVEL * (sorted.len() - 1) as f64);
        let usual = sorted.get(number::index(rank.into())).copied();
        usual.unwrap_or(self.assumed_s).max(self.waiting_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{moment, pool};

    #[test]
    fn what_was_measured_counts_and_what_is_waited_for() {
        let mut lead = Lead::new(Duration::from_secs(30));
        lead.observe(&pool(0.0, &[50.0]));
        assert!((lead.start_up_s() - 30.0).abs() < 1e-9, "who was ready before says nothing");
        let mut seen = pool(50.0, &[50.0, 50.0]);
        seen.workers[1].started_at = moment(10.0);
        (seen.workers[1].ready_at, seen.workers[1].state) = (None, State::Starting);
        lead.observe(&seen);
        assert!((lead.start_up_s() - 40.0).abs() < 1e-9, "it is waited for already longer");
        (seen.workers[1].ready_at, seen.workers[1].state) = (Some(moment(55.0)), State::Ready);
        for _ in 0..3 {
            lead.observe(&seen);
        }
        assert!((lead.start_up_s() - 45.0).abs() < 1e-9);
        assert_eq!(lead.seen_s.len(), 1, "each is counted once");
    }
}
