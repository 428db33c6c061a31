//! Workers protected from scale-in: the pool does not shrink below their number.

use super::bend::{Bend, Why};
use crate::decision::Because;
use crate::fleet::status::State;
use crate::number;
use crate::observation::Observation;

/// Back up to the number of protected workers.
pub(super) fn limit(seen: &Observation, asked: u32) -> Option<Bend<impl FnOnce() -> Why>> {
    let current = seen.fleet.desired;
    if asked >= current {
        return None;
    }
    if !seen.workers.kinds().any(|worker| worker.protected) {
        return None;
    }
    let stays = seen.workers.iter().filter(|worker| worker.protected && worker.state != State::Draining);
    let protected = number::len(stays.count());
    let floor = protected.min(current);
    if asked >= floor {
        return None;
    }
    let why = move || {
        let numbers = [("asked", f64::from(asked)), ("protected", f64::from(protected))];
        (Because::new("{asked} asked for, {protected} are protected from scale-in", numbers), None)
    };
    Some(Bend { rule: "protected", replicas: floor, why })
}
