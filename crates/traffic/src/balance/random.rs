//! Any ready backend, by lot.

use super::{Balancer, Candidates, Draw, Entry, spread};

pub(super) const ENTRY: Entry = Entry {
    name: "random",
    about: "Any ready worker by lot: no memory, even in the long run only.",
    build: || Box::new(Random),
};

/// One lot decides; each further one is drawn from it.
#[derive(Debug, Default)]
pub(super) struct Random;

impl Balancer for Random {
    fn pick(&self, ready: Candidates<'_>, draw: &Draw) -> Option<usize> {
        ready.by_lot(spread(draw.random), None)
    }
}
