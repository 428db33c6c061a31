//! Exact rotation: each backend in turn, whatever it is doing.

use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;

use super::{Balancer, Candidates, Draw, Entry};
use crate::sync::AtomicUsize;

pub(super) const ENTRY: Entry = Entry {
    name: "round_robin",
    about: "Each ready worker in turn: equal counts, blind to how long requests take.",
    build: || Box::new(RoundRobin::default()),
};

/// One cursor for all threads. A backend that may not take the request uses up its turn, so that
/// its neighbour does not get its share on top. When the ready set changes, the rotation goes on
/// from where it was.
#[derive(Debug, Default)]
pub struct RoundRobin {
    cursor: CachePadded<AtomicUsize>,
}

impl Balancer for RoundRobin {
    fn pick(&self, ready: Candidates<'_>, _draw: &Draw) -> Option<usize> {
        let len = ready.len();
        for _ in 0..len {
            let turn = self.cursor.fetch_add(1, Relaxed) % len;
            if ready.get(turn).is_some() {
                return Some(turn);
            }
        }
        // Other threads may have taken turns in between, so this thread did not see every index.
        (0..len).find(|&index| ready.get(index).is_some())
    }
}
