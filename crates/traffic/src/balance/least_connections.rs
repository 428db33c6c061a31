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
    fn pick(&self, ready: Candidates<'_>, _draw: &Draw) -> Option<usize> {
        let len = ready.len();
        if len == 0 {
            return None;
        }
        let start = self.after_last.load(Relaxed) % len;
        let (mut fewest, mut chosen) = (u32::MAX, None);
        // Only a better one takes the place: of equals the first, whose turn it is, stays.
        for index in (start..len).chain(0..start) {
            if let Some(in_flight) = ready.busy_below(index, fewest) {
                (fewest, chosen) = (in_flight, Some(index));
                if fewest == 0 {
                    break;
                }
            }
        }
        let chosen = chosen?;
        self.after_last.store(chosen + 1, Relaxed);
        Some(chosen)
    }
}
