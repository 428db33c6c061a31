//! What requests took lately, from counts that only grow: windows that are long enough to mean
//! something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::meter::Distribution;
use crate::{Backend, WorkerId};

/// One window after the other.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    since: Option<Timestamp>,
    /// What each backend's requests had taken when the window began.
    before: BTreeMap<WorkerId, Distribution>,
}

/// What a window came to.
pub(crate) struct Ended {
    pub(crate) length: Duration,
    /// How long requests that ended in it were at their backends.
    pub(crate) durations: Distribution,
}

impl Recent {
    /// Ends the window if it is at least so long and so many requests have ended in it, and begins
    /// the next; else it goes on.
    pub(crate) fn end(
        &mut self,
        at: Timestamp,
        ready: &[Arc<Backend>],
        length_min: Duration,
        requests_min: u64,
    ) -> Option<Ended> {
        let Some(since) = self.since else {
            self.begin(at, readings(ready));
            return None;
        };
        let length = Duration::try_from(at.duration_since(since)).unwrap_or_default();
        if length < length_min {
            return None;
        }
        let now = readings(ready);
        let mut durations = Distribution::default();
        for (id, taken) in &now {
            match self.before.get(id) {
                Some(before) => durations.merge(&taken.since(before)),
                // It came within the window: it began at nothing.
                None => durations.merge(taken),
            }
        }
        if durations.count() == 0 {
            // What comes after idleness is not to be averaged with it.
            self.begin(at, now);
            return None;
        }
        if durations.count() < requests_min {
            return None;
        }
        self.begin(at, now);
        Some(Ended { length, durations })
    }

    fn begin(&mut self, at: Timestamp, readings: BTreeMap<WorkerId, Distribution>) {
        (self.since, self.before) = (Some(at), readings);
    }
}

fn readings(ready: &[Arc<Backend>]) -> BTreeMap<WorkerId, Distribution> {
    ready.iter().map(|backend| (backend.id(), backend.durations())).collect()
}
