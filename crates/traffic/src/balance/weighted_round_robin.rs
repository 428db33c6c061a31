//! Smooth weighted rotation: shares as the weights say, and each backend's turns spread evenly.

use parking_lot::Mutex;

use super::{Balancer, Candidates, Draw, Entry};
use crate::WorkerId;

pub(super) const ENTRY: Entry = Entry {
    name: "weighted_round_robin",
    about: "Each ready worker in turn, as often as its weight says (nginx's smooth rotation).",
    build: || Box::new(WeightedRoundRobin::default()),
};

/// Each turn every backend gains its weight, and the one with the most pays the sum of all. The
/// credits are one truth for all threads, behind a lock that is held for one pass over them.
#[derive(Debug, Default)]
pub(super) struct WeightedRoundRobin {
    credits: Mutex<Vec<(WorkerId, i64)>>,
}

impl Balancer for WeightedRoundRobin {
    fn pick(&self, ready: Candidates<'_>, _draw: &Draw) -> Option<usize> {
        let mut credits = self.credits.lock();
        // In the order of the snapshot, so that the index finds the credit without a search.
        let is_aligned = |index: usize, id| credits.get(index).is_some_and(|(other, _)| *other == id);
        let ids = || (0..ready.len()).filter_map(|index| ready.id(index).map(|id| (index, id)));
        if credits.len() != ready.len() || !ids().all(|(index, id)| is_aligned(index, id)) {
            let known = |id| credits.iter().find(|(other, _)| *other == id).map_or(0, |(_, credit)| *credit);
            let aligned = ids().map(|(_, id)| (id, known(id))).collect();
            *credits = aligned;
        }
        let mut total = 0;
        let mut chosen: Option<(usize, i64)> = None;
        for (index, (_, credit)) in credits.iter_mut().enumerate() {
            let Some(backend) = ready.get(index) else { continue };
            let weight = i64::from(backend.weight());
            if weight == 0 {
                continue;
            }
            total += weight;
            *credit += weight;
            if chosen.is_none_or(|(_, most)| *credit > most) {
                chosen = Some((index, *credit));
            }
        }
        let (index, _) = chosen?;
        credits[index].1 -= total;
        Some(index)
    }
}
