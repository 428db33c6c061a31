//! From zero: a waiting request wakes the first worker whatever the policy says, since most
//! signals cannot be measured without one.

use crate::decision::{Because, Step};
use crate::observation::Observation;

/// A step to one replica if requests wait and none would run.
pub(super) fn limit(seen: &Observation, asked: u32) -> Option<Step> {
    let queued = seen.traffic.as_ref().map_or(0, |window| window.queued);
    if asked > 0 || queued == 0 {
        return None;
    }
    let because = Because::new("{queued} requests wait and no worker runs", [("queued", f64::from(queued))]);
    Some(Step { rule: "wake".into(), replicas: 1, because })
}
