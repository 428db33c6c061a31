//! What a request under way and its client's connection know of each other.

use std::cell::{Cell, RefCell};

use http::StatusCode;

use super::http1::put_head;
use crate::headers;
use crate::upstream::AnswerParts;

/// A worker's interim answers that the client has not taken yet, in bytes; more are dropped, as
/// nothing depends on them.
const HINTS_BYTES_MAX: usize = 64 * 1024;

/// Shared by a connection and the request that it has last brought.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    at_worker: Cell<bool>,
    /// Whether the client understands interim answers, on this connection.
    takes_hints: Cell<bool>,
    hints: RefCell<Vec<u8>>,
}

impl Asker {
    /// A request begins.
    pub(super) fn begin(&self, takes_hints: bool) {
        self.at_worker.set(false);
        self.takes_hints.set(takes_hints);
    }

    /// A worker has the request now, or it waits for one.
    pub(crate) fn set_at_worker(&self, at_worker: bool) {
        self.at_worker.set(at_worker);
    }

    /// Whether a client that says nothing more may still want what it has asked for: while it waits for
    /// a worker, it is taken for one that has gone.
    pub(super) fn is_at_worker(&self) -> bool {
        self.at_worker.get()
    }

    /// A worker has sent an interim answer, which is the client's (RFC 9110, 15.2), but for the one
    /// that was ours to give.
    pub(crate) fn hint(&self, head: &AnswerParts) {
        let mut hints = self.hints.borrow_mut();
        if self.takes_hints.get() && head.status != StatusCode::CONTINUE && hints.len() < HINTS_BYTES_MAX {
            put_head(&mut hints, "HTTP/1.1", head.status, head.reason.as_deref(), &headers::interim(head));
            hints.extend_from_slice(b"\r\n");
        }
    }

    /// What the client has not been told yet.
    pub(super) fn take_hints(&self) -> Option<Vec<u8>> {
        let mut hints = self.hints.borrow_mut();
        (!hints.is_empty()).then(|| std::mem::take(&mut *hints))
    }
}
