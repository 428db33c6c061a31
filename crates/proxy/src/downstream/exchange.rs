//! What a client's socket and the requests that come out of it know of each other.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::strict::Fault;

/// No request of a connection has this number.
const NEVER: u64 = u64::MAX;

/// Shared by a connection's socket and its requests, which one thread serves; hyper wants to be
/// able to send the socket of a tunnel to another.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Heads that became requests.
    begun: AtomicU64,
    /// Requests whose answer has been handed over.
    answered: AtomicU64,
    /// Heads that the socket has let through, where it stands before the next; else [`NEVER`].
    passed: AtomicU64,
    switched: AtomicBool,
    leaving: AtomicBool,
    /// Who reads the socket, while it may not until a request is answered.
    reader: AtomicWaker,
    expired: AtomicBool,
    /// Whether a worker has the request that was begun last.
    at_worker: AtomicBool,
    /// Whether the client has ended its side.
    ended: AtomicBool,
    refused: AtomicBool,
    /// Which request is none, but stands in for one that could not be let through.
    stands_in_at: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            switched: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            expired: AtomicBool::new(false),
            at_worker: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            stands_in_at: AtomicU64::new(NEVER),
            fault: Mutex::default(),
        }
    }

    /// A request has come out. It is to be refused for the fault, if there is one.
    pub(super) fn begin(&self) -> Option<Fault> {
        self.set_at_worker(false);
        let number = self.begun.fetch_add(1, Relaxed) + 1;
        (number == self.stands_in_at.load(Relaxed)).then(|| self.fault()).flatten()
    }

    /// Its answer is handed over; `switched` says that the protocol changes with it.
    pub(super) fn answered(&self, switched: bool) {
        self.switched.store(switched, Relaxed);
        self.answered.fetch_add(1, Relaxed);
        self.reader.wake();
    }

    /// So many heads have been let through, and the next has not begun; or else it has, or a body.
    pub(super) fn set_passed(&self, heads: Option<u64>) {
        self.passed.store(heads.unwrap_or(NEVER), Relaxed);
    }

    /// Whether every head that was let through became a request, every request has its answer, and
    /// nothing of a next one has come.
    pub(super) fn is_at_rest(&self) -> bool {
        let begun = self.begun.load(Relaxed);
        begun == self.passed.load(Relaxed)
            && begun == self.answered.load(Relaxed)
            && !self.is_refused()
            && !self.is_expired()
    }

    /// The client has ended its side: has the task of `cx` look again when a request has got further.
    pub(super) fn end(&self, cx: &Context<'_>) {
        self.reader.register(cx.waker());
        self.ended.store(true, Relaxed);
    }

    /// Whether every head of these has become a request.
    pub(super) fn has_begun(&self, heads: u64) -> bool {
        self.begun.load(Relaxed) >= heads
    }

    /// Whether every request has its answer, or its beginning.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed) >= self.begun.load(Relaxed)
    }

    /// A worker has the request now, or it waits for one.
    pub(crate) fn set_at_worker(&self, at_worker: bool) {
        self.at_worker.store(at_worker, Relaxed);
        if self.ended.load(Relaxed) {
            self.reader.wake();
        }
    }

    /// Whether a client that says nothing more may still want what it has asked for: while it waits for
    /// a worker, it is taken for one that has gone.
    pub(super) fn is_at_worker(&self) -> bool {
        self.at_worker.load(Relaxed) && !self.switched.load(Relaxed)
    }

    /// From now on the socket is to outlive its parser.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// Has the task of `cx` woken when the next answer is handed over.
    pub(super) fn wake_when_answered(&self, cx: &Context<'_>) {
        self.reader.register(cx.waker());
    }

    /// Whether the protocol changed after the `heads`-th head; `None` while nobody knows.
    pub(super) fn switched_after(&self, heads: u64) -> Option<bool> {
        (self.answered.load(Relaxed) >= heads).then(|| self.switched.load(Relaxed))
    }

    /// The `number`-th head is one that stands in for a bad one.
    pub(super) fn stand_in(&self, number: u64, fault: Fault) {
        self.set_fault(fault);
        self.stands_in_at.store(number, Relaxed);
    }

    /// What is wrong with the body that the client sends.
    pub(super) fn set_fault(&self, fault: Fault) {
        self.set_refused();
        *self.fault.lock() = Some(fault);
    }

    /// What is wrong with what the client sends.
    pub(crate) fn fault(&self) -> Option<Fault> {
        *self.fault.lock()
    }

    /// The head under way has taken too long.
    pub(super) fn expire(&self) {
        self.expired.store(true, Relaxed);
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// A request was refused before all of it was read.
    pub(super) fn set_refused(&self) {
        self.refused.store(true, Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }
}
