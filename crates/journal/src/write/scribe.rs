//! The one who holds the pen: commits, pauses when the disk refuses, prunes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::Cycle;
use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::Health;
use crate::file::{JournalError, named};
use crate::session::Header;

/// First pause after a failed commit.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause: a minute after room returns, recording goes on.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Commits between two prunings of a bounded file; each commit holds at least one cycle.
const PRUNE_EVERY: u32 = 32;

/// Cycles deleted in one pruning at most, so that shortening a huge file holds nothing up.
const PRUNE_MAX: i64 = 8192;

/// What the writer and its thread both know.
#[derive(Default)]
pub(super) struct Ledger {
    recorded: AtomicU64,
    dropped: AtomicU64,
    error: Mutex<Option<String>>,
}

impl Ledger {
    pub(super) fn dropped(&self, cycles: usize) {
        self.dropped.fetch_add(cycles as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, because: String) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(because);
    }

    fn recorded(&self, cycles: usize) {
        self.recorded.fetch_add(cycles as u64, Ordering::Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn health(&self) -> Health {
        Health {
            recorded: self.recorded.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            error: self.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Recording is off until a cycle is this late. The cycles' own time is the clock: none
/// comes, none need be written.
struct Pause {
    until: Timestamp,
    length: Duration,
}

pub(super) struct Scribe {
    file: Connection,
    path: PathBuf,
    session: i64,
    keep: Option<u64>,
    commits: u32,
    pause: Option<Pause>,
    ledger: Arc<Ledger>,
}

impl Scribe {
    /// Enters a new session.
    pub(super) fn begin(
        file: Connection,
        path: &Path,
        header: &Header,
        keep: Option<u64>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, JournalError> {
        let entered = file.execute(
            "INSERT INTO sessions (kind, started_at, version, seed, config)
             VALUES (:kind, :started_at, :version, :seed, :config)",
            named_params! {
                ":kind": header.kind.to_string(),
                ":started_at": header.started_at.to_string(),
                ":version": header.version,
                ":seed": header.seed.to_string(),
                ":config": header.config.to_string(),
            },
        );
        entered.map_err(|error| named(path, "beginning a session", &error))?;
        let session = file.last_insert_rowid();
        Ok(Self { file, path: path.to_owned(), session, keep, commits: 0, pause: None, ledger })
    }

    /// Commits `batch`, or drops it while recording is paused.
    pub(super) fn write(&mut self, batch: &[(u64, Box<Cycle>)]) {
        let Some((_, newest)) = batch.last() else { return };
        let now = newest.at();
        if self.pause.as_ref().is_some_and(|pause| now < pause.until) {
            self.ledger.dropped(batch.len());
            return;
        }
        match self.commit(batch) {
            Ok(()) => {
                self.pause = None;
                self.ledger.recorded(batch.len());
            }
            Err(error) => {
                let before = self.pause.take();
                let length = before.map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
                let until = now.saturating_add(length).unwrap_or(Timestamp::MAX);
                self.pause = Some(Pause { until, length });
                self.ledger.dropped(batch.len());
                self.ledger.failed(named(&self.path, "recording", &error).to_string());
            }
        }
        self.commits = self.commits.wrapping_add(1);
        if self.pause.is_none() && self.commits.is_multiple_of(PRUNE_EVERY) {
            self.prune();
        }
    }

    /// Marks the session as ended, if it was, and folds the write-ahead log into the file.
    pub(super) fn end(mut self, ended: Option<(Timestamp, Option<serde_json::Value>)>) {
        self.prune();
        let Some((at, closing)) = ended else { return };
        let dropped = i64::try_from(self.ledger.health().dropped).unwrap_or(i64::MAX);
        let marked = self.file.execute(
            "UPDATE sessions SET ended_at = :at, dropped = :dropped, closing = :closing WHERE id = :session",
            named_params! {
                ":at": at.to_string(),
                ":dropped": dropped,
                ":closing": closing.map(|closing| closing.to_string()),
                ":session": self.session,
            },
        );
        // A file that nobody else has open leaves WAL behind, so that it can be read from a
        // medium that cannot be written. Where a reader is at it, the log stays until it goes.
        let folded = marked.and_then(|_| self.file.pragma_update(None, "journal_mode", "DELETE"));
        if let Err(error) = folded
            && !matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy))
        {
            self.ledger.failed(named(&self.path, "ending the session", &error).to_string());
        }
    }

    fn commit(&mut self, batch: &[(u64, Box<Cycle>)]) -> rusqlite::Result<()> {
        let whole = self.file.transaction()?;
        {
            let mut insert = whole.prepare_cached(
                "INSERT INTO cycles (session, seq, at_ms, desired, ready, cpu, rate, cycle)
                 VALUES (:session, :seq, :at_ms, :desired, :ready, :cpu, :rate, :cycle)",
            )?;
            for (seq, cycle) in batch {
                let glance = Glance::of(cycle);
                let json = serde_json::to_string(cycle)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                insert.execute(named_params! {
                    ":session": self.session,
                    ":seq": i64::try_from(*seq).unwrap_or(i64::MAX),
                    ":at_ms": cycle.at().as_millisecond(),
                    ":desired": glance.desired,
                    ":ready": glance.ready,
                    ":cpu": glance.cpu,
                    ":rate": glance.rate,
                    ":cycle": json,
                })?;
            }
        }
        whole.commit()
    }

    /// Deletes the oldest cycles beyond `keep`, and sessions that have none left.
    fn prune(&mut self) {
        let Some(keep) = self.keep.and_then(|keep| i64::try_from(keep).ok()) else { return };
        let pruned = self.file.execute(
            "DELETE FROM cycles WHERE id <= min((SELECT max(id) FROM cycles) - :keep,
                                                (SELECT min(id) FROM cycles) + :most)",
            named_params! { ":keep": keep, ":most": PRUNE_MAX },
        );
        let emptied = pruned.and_then(|_| {
            self.file.execute(
                "DELETE FROM sessions WHERE id < :session
                 AND NOT EXISTS (SELECT 1 FROM cycles WHERE cycles.session = sessions.id)",
                named_params! { ":session": self.session },
            )
        });
        if let Err(error) = emptied {
            self.ledger.failed(named(&self.path, "pruning", &error).to_string());
        }
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&mut self, pages: u32) {
        self.file.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

/// What a query wants to know without reading JSON.
#[derive(Default)]
struct Glance {
    desired: Option<u32>,
    ready: Option<u32>,
    cpu: Option<f64>,
    rate: Option<f64>,
}

impl Glance {
    fn of(cycle: &Cycle) -> Self {
        let Cycle::Decided { seen, decision, .. } = cycle else { return Self::default() };
        let (sum, measured) = seen
            .workers
            .iter()
            .filter_map(|worker| worker.cpu_percent)
            .fold((0.0, 0_u32), |(sum, count), percent| (sum + percent, count + 1));
        Self {
            desired: Some(decision.desired()),
            ready: Some(seen.fleet.ready),
            cpu: (measured > 0).then(|| sum / f64::from(measured)),
            rate: seen.traffic.as_ref().map(|window| window.rate_per_second()),
        }
    }
}
