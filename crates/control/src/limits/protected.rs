//! Workers protected from scale-in: the pool does not shrink below their number.

use crate::decision::{Because, Step};
use crate::fleet::status::State;
use crate::number;
use crate::observation::Observation;

/// A step back up to the number of protected workers.
pub(super) fn limit(seen: &Observation, asked: u32) -> Option<Step> {
    let current = seen.fleet.desired;
    if asked >= current {
        return None;
    }
    if !seen.workers.kinds().iter().any(|worker| worker.protected) {
        return None;
    }
    let stays = seen.workers.iter().filter(|worker| worker.protected && worker.state != State::Draining);
    let protected = number::len(stays.count());
    let floor = protected.min(current);
    if asked >= floor {
        return None;
    }
    let numbers = [("asked", f64::from(asked)), ("protected", f64::from(protected))];
    let because = Because::new("{asked} asked for, {protected} are protected from scale-in", numbers);
    Some(Step { rule: "protected".into(), replicas: floor, because })
}
