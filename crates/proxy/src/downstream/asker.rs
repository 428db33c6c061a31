//! What a request under way and its client's connection know of each other.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use http::StatusCode;

use crate::headers::{self, Fields};
use crate::upstream::AnswerParts;

/// A worker's interim answers that the client has not been told yet; more are dropped, as nothing
/// depends on them.
const HINTS_MAX: usize = 16;

/// An interim answer.
#[derive(Debug)]
pub(crate) struct Hint {
    pub(super) status: StatusCode,
    /// The reason phrase, where it is not the usual one.
    pub(super) reason: Option<Bytes>,
    pub(super) fields: Fields,
}

/// Shared by a connection and the request that it has last brought.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    at_worker: Cell<bool>,
    /// Whether the client understands interim answers, on this connection.
    takes_hints: Cell<bool>,
    hints: RefCell<Vec<Hint>>,
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
        if self.takes_hints.get() && head.status != StatusCode::CONTINUE && hints.len() < HINTS_MAX {
            let (status, reason, fields) = (head.status, head.reason.clone(), headers::interim(head));
            hints.push(Hint { status, reason, fields });
        }
    }

    /// What the client has not been told yet.
    pub(super) fn take_hints(&self) -> Vec<Hint> {
        std::mem::take(&mut *self.hints.borrow_mut())
    }
}
