//! Writes cycles to a run file from a thread of its own, so that no disk ever holds up a turn.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use control::Cycle;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::file::{self, JournalError};
use crate::session::Header;

mod scribe;

use scribe::{Ledger, Scribe};

/// Cycles that may wait for the disk: over a quarter of an hour of one-second turns, a few
/// megabytes. More are dropped, and counted.
pub const QUEUE_LENGTH: usize = 1024;

/// How recording goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Cycles that stand in the file.
    pub recorded: u64,
    /// Cycles that were lost: the queue was full or the file could not be written.
    pub dropped: u64,
    /// Why the file cannot be written at present.
    pub error: Option<String>,
}

enum Message {
    Cycle {
        seq: u64,
        cycle: Box<Cycle>,
    },
    Close {
        at: Timestamp,
        closing: Option<serde_json::Value>,
    },
    #[cfg(test)]
    Do(Box<dyn FnOnce(&mut Scribe) + Send>),
}

/// Appends one session to a run file. Dropped without [`Writer::close`], it still writes what
/// it was given, but the session counts as cut short.
pub struct Writer {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    next: AtomicU64,
    ledger: Arc<Ledger>,
}

impl Writer {
    /// Opens or makes the file at `path` and begins a session in it. With `keep`, only about
    /// that many newest cycles stay in the file.
    ///
    /// # Errors
    /// Refuses a file that is not ours or newer than this program; fails when it cannot be
    /// written.
    pub fn open(path: &Path, header: &Header, keep: Option<u64>) -> Result<Self, JournalError> {
        let file = file::open_to_write(path)?;
        let ledger = Arc::new(Ledger::default());
        let scribe = Scribe::begin(file, path, header, keep, Arc::clone(&ledger))?;
        let (queue, messages) = sync_channel(QUEUE_LENGTH);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || attend(scribe, &messages))
            .map_err(|error| JournalError::Io {
                path: path.to_owned(),
                because: format!("starting its thread: {error}"),
                full: false,
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), next: AtomicU64::new(1), ledger })
    }

    /// Hands a turn over; never waits and never fails. What cannot be taken is counted in
    /// [`Health::dropped`].
    pub fn record(&self, cycle: &Cycle) {
        let message = self.message(cycle);
        if self.queue.as_ref().is_none_or(|queue| queue.try_send(message).is_err()) {
            self.ledger.dropped(1);
        }
    }

    /// Hands a turn over, waiting while the queue is full: for simulations, which outrun any
    /// disk and have no deadline.
    pub fn record_waiting(&self, cycle: &Cycle) {
        let message = self.message(cycle);
        if self.queue.as_ref().is_none_or(|queue| queue.send(message).is_err()) {
            self.ledger.dropped(1);
        }
    }

    /// How recording goes. What waits in the queue is not counted yet.
    pub fn health(&self) -> Health {
        self.ledger.health()
    }

    /// A view of [`Writer::health`] that may outlive the writer.
    pub fn watch(&self) -> impl Fn() -> Health + Send + Sync + 'static {
        let ledger = Arc::clone(&self.ledger);
        move || ledger.health()
    }

    /// Writes what waits, marks the session as ended `at` and leaves a single file behind.
    pub fn close(self, at: Timestamp) -> Health {
        self.close_with(at, None)
    }

    /// The same, with what the session says of itself at its end.
    pub fn close_with(mut self, at: Timestamp, closing: Option<serde_json::Value>) -> Health {
        self.finish(Some((at, closing)));
        self.ledger.health()
    }

    fn message(&self, cycle: &Cycle) -> Message {
        // Also a dropped turn takes its number, so that the gap shows.
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        Message::Cycle { seq, cycle: Box::new(cycle.clone()) }
    }

    fn finish(&mut self, close: Option<(Timestamp, Option<serde_json::Value>)>) {
        let Some(queue) = self.queue.take() else { return };
        if let Some((at, closing)) = close {
            // Fails only if the thread is gone, and then there is nobody to tell.
            let _ = queue.send(Message::Close { at, closing });
        }
        drop(queue);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.ledger.failed("the recording thread panicked".to_owned());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish(None);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("health", &self.health()).finish_non_exhaustive()
    }
}

/// Writes whatever waits in one commit, as soon as there is something: at one turn a second
/// each is on its way to the disk at once, and a simulation gets large batches by itself.
fn attend(mut scribe: Scribe, messages: &Receiver<Message>) {
    /// Cycles in one commit: bounds how much a failing commit loses.
    const BATCH_MAX: usize = 128;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut ended = None;
    while ended.is_none() {
        let Ok(first) = messages.recv() else { break };
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Cycle { seq, cycle } => batch.push((seq, cycle)),
                Message::Close { at, closing } => ended = Some((at, closing)),
                #[cfg(test)]
                Message::Do(work) => {
                    scribe.write(&std::mem::take(&mut batch));
                    work(&mut scribe);
                }
            }
            next = if batch.len() < BATCH_MAX { messages.try_recv().ok() } else { None };
        }
        scribe.write(&batch);
        batch.clear();
    }
    scribe.end(ended);
}

#[cfg(test)]
mod tests;
