//! Equal keys to equal backends, and few that move when backends come and go.

use super::{Balancer, Candidates, Draw, Entry, spread};

pub(super) const ENTRY: Entry = Entry {
    name: "consistent_hash",
    about: "One client, one worker, as long as both stay: by the client's address.",
    build: || Box::new(ConsistentHash),
};

/// Rendezvous hashing (Thaler and Ravishankar, 1998): each backend draws a lot from the key, and
/// the best lot wins; one that leaves takes only its own keys with it. Lots are drawn for slots,
/// so a worker's successor has its keys.
#[derive(Debug, Default)]
pub(super) struct ConsistentHash;

impl Balancer for ConsistentHash {
    fn pick(&self, ready: Candidates<'_>, draw: &Draw) -> Option<usize> {
        let lot = |index: usize| {
            let backend = ready.get(index)?;
            let lot = spread(draw.key ^ spread(u64::from(backend.id().slot)));
            // Weighted (Schindelhauer and Schomaker, 2005): −w ÷ ln(u), u evenly from 0 to 1.
            let even = (lot >> 11) as f64 / (1_u64 << 53) as f64;
            let score = f64::from(backend.weight()) / -even.max(f64::MIN_POSITIVE).ln();
            Some((index, score))
        };
        let best = (0..ready.len()).filter_map(lot).max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map(|(index, _)| index)
    }
}
