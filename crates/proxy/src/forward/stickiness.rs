//! The cookie that keeps a browser with its worker.

use traffic::WorkerId;

use crate::fields::FieldLines;
use crate::headers::Fields;
use crate::serve::Thread;

/// Its name; its value is a worker's id, which tells nobody more than `x-worker` does.
const NAME: &str = "autoscale_worker";

/// The worker that the client was with, where the algorithm cares.
pub(super) fn wanted(thread: &Thread, fields: &FieldLines) -> Option<WorkerId> {
    thread.pool.is_sticky().then(|| named(fields)).flatten()
}

/// The worker that a cookie names.
pub(crate) fn named(fields: &FieldLines) -> Option<WorkerId> {
    let cookies = fields.get_all("cookie").filter_map(|value| std::str::from_utf8(value).ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME)?.1.parse().ok()
}

/// Has the client remember the worker, unless it was there already.
pub(super) fn remember(thread: &Thread, worker: WorkerId, fields: &mut Fields, wanted: Option<WorkerId>) {
    let WorkerId { slot, run } = worker;
    if wanted == Some(WorkerId { slot, run }) || !thread.pool.is_sticky() {
        return;
    }
    let cookie = format!("{NAME}=w{slot}.{run}; Path=/; HttpOnly; SameSite=Lax");
    fields.put("set-cookie", cookie.as_bytes());
}
