//! The ledger: where every request went, in totals that must add up.
//!
//! Two sets of books are kept apart: at the front door each request is counted in, and out with its
//! one outcome; at the back each worker counts what it was handed and how that ended. What the two
//! must have in common is what proves that no request was lost or given to two workers.

mod audit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use audit::{Audit, RULES, Violation};

use crate::{Meter, Pool, Reading, WorkerId};

/// Totals since the balancer started. The front's are [`accepted`](Self::accepted) to
/// [`retries`](Self::retries), the workers' own the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Requests that came in.
    pub accepted: u64,
    /// Ended by a worker's answer, passed on whole, whatever its status.
    pub answered: u64,
    /// Ended by an answer of ours, by its reason (`x-autoscale-reason`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// Ended by an answer that broke off after its head.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Ended by a client that did not wait for the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u64,
    /// Came in and have not ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: u64,
    /// Times that a request was handed to a worker once more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
    /// Each worker that is routed or drains, in order of id.
    #[serde(default)]
    pub workers: Vec<WorkerLedger>,
    /// All workers that have left, together.
    #[serde(default, skip_serializing_if = "Handed::is_nothing")]
    pub gone: Handed,
}

/// One worker's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLedger {
    /// Whose.
    pub id: WorkerId,
    /// What became of the requests that it was handed.
    #[serde(flatten)]
    pub handed: Handed,
}

/// Requests handed to a worker, and what became of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// All of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leased: u64,
    /// It answered whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub answered: u64,
    /// It broke off, before or after the head, or was too slow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// It could not be connected to, and got nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreached: u64,
    /// Taken back: the client had gone, or another worker was quicker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u64,
    /// At it now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_flight: u64,
}

impl Handed {
    /// Those that have ended.
    pub fn ended(&self) -> u64 {
        self.answered + self.failed + self.unreached + self.cancelled
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.leased += other.leased;
        self.answered += other.answered;
        self.failed += other.failed;
        self.unreached += other.unreached;
        self.cancelled += other.cancelled;
        self.in_flight += other.in_flight;
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Ledger {
    /// The books at `reading`, which was taken just before: a worker counts an answer before the
    /// front does, so that no answer is seen without its worker.
    pub fn of(reading: &Reading, pool: &Pool) -> Self {
        let (workers, gone) = pool.handed();
        Self {
            accepted: reading.arrivals,
            answered: reading.answered(),
            refused: reading.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            failed: reading.broken,
            cancelled: reading.cancelled,
            open: reading.open(),
            retries: reading.retries,
            workers,
            gone,
        }
    }

    /// The books now.
    pub fn take(pool: &Pool, meter: &Meter, at: jiff::Timestamp) -> Self {
        Self::of(&meter.read(at), pool)
    }

    /// All that were refused.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Those that have ended, each by its one outcome.
    pub fn ended(&self) -> u64 {
        self.answered + self.refused_in_all() + self.failed + self.cancelled
    }

    /// All workers together, those that have left too.
    pub fn handed(&self) -> Handed {
        let mut sum = self.gone;
        self.workers.iter().for_each(|worker| sum.add(&worker.handed));
        sum
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
