//! A request under way: counted when it comes, and on its end, whatever that is, counted and
//! written down once.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::HeaderValue;
use jiff::Timestamp;
use traffic::{Arrival, Outcome, WorkerId};

use crate::access_log::{AccessLog, Asked, Line};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::retry::Answer;
use crate::serve::Thread;

/// Status of a request whose client did not wait for its answer, as nginx counts it.
const CLIENT_GONE: u16 = 499;

/// Dropped without [`finish`](Account::finish), the client has gone.
pub(crate) struct Account {
    arrival: Option<Arrival>,
    at: Timestamp,
    note: Option<Note>,
}

/// The worker that a request was given to last, and the how-manieth that was; none yet. Shared with
/// whoever tries workers, as a request whose client goes has no other way to say where it was.
pub(crate) type Trace = Rc<Cell<Option<(WorkerId, u32)>>>;

/// Only where there is a log.
struct Note {
    log: Arc<AccessLog>,
    line: Box<Line>,
    trace: Trace,
    clock: Clock,
}

impl Account {
    /// A request has come in.
    pub(crate) fn open(thread: &Thread, client: IpAddr) -> Self {
        let at = thread.clock.now();
        let note = thread.config().access_log.as_ref().map(|log| Note {
            log: Arc::clone(log),
            line: Box::new(Line::new(at, client)),
            trace: Trace::default(),
            clock: thread.clock,
        });
        Self { arrival: Some(thread.shard.arrive(at)), at, note }
    }

    /// When it came in.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// What is asked for.
    pub(crate) fn asked(&mut self, request: &Request) {
        if let Some(note) = &mut self.note {
            note.line.asked = Some(Asked::of(request));
        }
    }

    /// Where to note which worker has it; `None` where nobody will ask.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.note.as_ref().map(|note| Rc::clone(&note.trace))
    }

    /// What it is called.
    pub(crate) fn named(&mut self, request_id: &HeaderValue) {
        if let Some(note) = &mut self.note {
            note.line.request_id = Some(request_id.clone());
        }
    }

    /// A worker has begun to answer.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        let Some(note) = &mut self.note else { return };
        note.line.worker = Some(answer.lease.backend().id());
        note.line.attempts = answer.attempts;
        note.line.status = answer.head.status.as_u16();
        note.line.queue = answer.queued;
        note.line.connect = answer.connect;
        note.line.first_byte = Some(between(self.at, answer.at));
    }

    /// We answer in a worker's stead.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let Some(note) = &mut self.note else { return };
        note.line.reason = Some(refusal.code);
        if let Some((worker, attempts)) = refusal.tried {
            note.line.worker = Some(worker);
            note.line.attempts = attempts;
        }
    }

    /// So many more bytes of the answer's body are on their way.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some(note) = &mut self.note {
            note.line.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
    }

    /// Counts it as ended.
    pub(crate) fn finish(mut self, at: Timestamp, outcome: Outcome) {
        if let Some(arrival) = self.arrival.take() {
            arrival.finish(at, outcome);
        }
        let Some(Note { log, mut line, trace, .. }) = self.note.take() else { return };
        line.traced(trace.get());
        line.status = outcome.status().unwrap_or(line.status);
        line.total = between(self.at, at);
        line.outcome = match outcome {
            Outcome::Answered(_) => "answered",
            Outcome::Refused { .. } => "refused",
            Outcome::Broken => "broken",
        };
        if outcome == Outcome::Broken {
            line.reason = Some("worker_broke_off");
        }
        log.put(line);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // The arrival, dropped too, counts as cancelled.
        let Some(Note { log, mut line, trace, clock }) = self.note.take() else { return };
        line.traced(trace.get());
        if line.status == 0 {
            line.status = CLIENT_GONE;
        }
        line.reason = line.reason.or(Some("client_gone"));
        line.total = between(self.at, clock.now());
        log.put(line);
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
