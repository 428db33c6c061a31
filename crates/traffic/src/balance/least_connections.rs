//! The fewest requests in flight; among equals, each in turn.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;

use super::{Balancer, Candidates, Draw, Entry};

pub(super) const ENTRY: Entry = Entry {
    name: "least_connections",
    about: "The ready worker with the fewest requests in flight; ties rotate.",
    build: || Box::new(LeastConnections::default()),
};

/// Looks at all: pools are small, and two choices of five are often two wrong ones. The search
/// begins after the last choice, so equals take exact turns whichever subset of the pool they are.
#[derive(Debug, Default)]
pub struct LeastConnections {
    after_last: CachePadded<AtomicUsize>,
}

impl Balancer for LeastConnections {
    fn pick(&self, ready: Candidates<'_>, _draw: Draw) -> Option<usize> {
        let len = ready.len();
        if len == 0 {
            return None;
        }
        let start = self.after_last.load(Relaxed) % len;
        let in_turn = (start..len).chain(0..start);
        let load = |index: usize| ready.get(index).map(|backend| (backend.in_flight(), index));
        // `min_by_key` keeps the first of equals: the one whose turn it is.
        let (_, chosen) = in_turn.filter_map(load).min_by_key(|&(in_flight, _)| in_flight)?;
        self.after_last.store(chosen + 1, Relaxed);
        Some(chosen)
    }
}
