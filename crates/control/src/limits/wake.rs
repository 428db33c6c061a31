//! From zero: a waiting request wakes the first worker whatever the policy says, since most
//! signals cannot be measured without one.

use super::bend::{Bend, Why};
use crate::decision::Because;
use crate::observation::Observation;

/// One replica, if requests wait and none would run.
pub(super) fn limit(seen: &Observation, asked: u32) -> Option<Bend<impl FnOnce() -> Why>> {
    let queued = seen.traffic.as_ref().map_or(0, |window| window.queued);
    if asked > 0 || queued == 0 {
        return None;
    }
    let why = move || {
        let numbers = [("queued", f64::from(queued))];
        (Because::new("{queued} requests wait and no worker runs", numbers), None)
    };
    Some(Bend { rule: "wake", replicas: 1, why })
}
