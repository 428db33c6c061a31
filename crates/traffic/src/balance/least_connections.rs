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
        let after_last = self.after_last.load(Relaxed);
        // A division only where the pool has shrunk, or the last choice was its last backend.
        let start = if after_last < len { after_last } else { after_last.checked_rem(len)? };
        let idlest = ready.idlest(start)?;
        let chosen = if ready.get(idlest).is_some() { idlest } else { idlest_eligible(ready, start)? };
        self.after_last.store(chosen + 1, Relaxed);
        Some(chosen)
    }
}

/// The same where the one with the fewest requests may not take this one.
fn idlest_eligible(ready: Candidates<'_>, start: usize) -> Option<usize> {
    let (mut fewest, mut chosen) = (u32::MAX, None);
    // Only a better one takes the place: of equals the first, whose turn it is, stays.
    for index in (start..ready.len()).chain(0..start) {
        if let Some(in_flight) = ready.busy_below(index, fewest) {
            (fewest, chosen) = (in_flight, Some(index));
            if fewest == 0 {
                break;
            }
        }
    }
    chosen
}
