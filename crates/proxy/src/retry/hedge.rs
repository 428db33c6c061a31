//! A second attempt beside the first, where that takes longer than most: the first answer wins, the
//! other attempt is broken off.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use traffic::{Draw, Lease};

use super::Fault;
use super::attempt::{self, Received};
use crate::body::RequestBody;
use crate::headers::Head;
use crate::serve::Thread;

/// Second attempts of all threads.
#[derive(Debug, Default)]
pub(crate) struct Hedges {
    sent: AtomicU64,
    won: AtomicU64,
}

impl Hedges {
    /// How many there were, and how many of them answered first.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent.load(Relaxed), self.won.load(Relaxed))
    }
}

/// What came of a request at its worker, or at two.
pub(super) struct Tried {
    /// That of the answer, or of the fault.
    pub(super) lease: Lease,
    pub(super) result: Result<Received, Fault>,
    /// Workers that were asked.
    pub(super) attempts: u32,
}

/// Makes an attempt, and another if hedging is on and the first takes long.
pub(super) async fn run(
    thread: &Thread,
    lease: Lease,
    head: &Head,
    body: &mut Option<RequestBody>,
    draw: Draw,
) -> Tried {
    let Some(after) = thread.pool.hedge_after().filter(|_| suits(head, body.as_ref())) else {
        let result = attempt::run(thread, &lease, head, body, draw.at).await;
        return Tried { lease, result, attempts: 1 };
    };
    // In a box: who does not hedge does not pay for a second attempt's memory.
    match Box::pin(race(thread, &lease, head, body, after, draw)).await {
        Ended::Own { result, attempts } => Tried { lease, result, attempts },
        Ended::Hedge { other, received, fault } => {
            thread.hedges.won.fetch_add(1, Relaxed);
            // Without a fault it was only slower: dropped, its lease counts as cancelled.
            if let Some(fault) = fault {
                fault.blame(lease, thread.clock.now());
            }
            Tried { lease: other, result: Ok(received), attempts: 2 }
        }
    }
}

/// Whether there may be a second attempt: at nothing but a question without consequences, which has no
/// body and ends with its answer.
fn suits(head: &Head, body: Option<&RequestBody>) -> bool {
    let is_bare = body.is_some_and(|body| body.is_whole() && body.length() == Some(0));
    is_bare && head.method.is_safe() && head.upgrade.is_none()
}

enum Ended {
    Own { result: Result<Received, Fault>, attempts: u32 },
    Hedge { other: Lease, received: Received, fault: Option<Fault> },
}

enum First<T> {
    Own(T),
    Hedge(T),
}

async fn race(
    thread: &Thread,
    lease: &Lease,
    head: &Head,
    body: &mut Option<RequestBody>,
    after: Duration,
    draw: Draw,
) -> Ended {
    let mut own = std::pin::pin!(attempt::run(thread, lease, head, body, draw.at));
    if let Ok(result) = thread.clock.timeout(after, own.as_mut()).await {
        return Ended::Own { result, attempts: 1 };
    }
    let Some(other) = second(thread, lease, draw) else {
        return Ended::Own { result: own.await, attempts: 1 };
    };
    thread.hedges.sent.fetch_add(1, Relaxed);
    // In the ledger it is handed to a worker once more.
    thread.shard.count_retry();
    let mut none = Some(RequestBody::empty(thread.clock));
    let (result, fault) = {
        let mut hedge = std::pin::pin!(attempt::run(thread, &other, head, &mut none, thread.clock.now()));
        let first = tokio::select! {
            biased;
            result = own.as_mut() => First::Own(result),
            result = hedge.as_mut() => First::Hedge(result),
        };
        match first {
            First::Own(result @ (Ok(_) | Err(Fault::Client(_)))) => (First::Own(result), None),
            // Whoever fails first leaves it to the other.
            First::Own(Err(fault)) => match hedge.await {
                Ok(received) => (First::Hedge(Ok(received)), Some(fault)),
                Err(others) => (First::Own(Err(fault)), Some(others)),
            },
            First::Hedge(Ok(received)) => (First::Hedge(Ok(received)), None),
            First::Hedge(Err(fault)) => (First::Own(own.await), Some(fault)),
        }
    };
    match result {
        First::Hedge(Ok(received)) => Ended::Hedge { other, received, fault },
        First::Own(result) | First::Hedge(result) => {
            if let Some(fault) = fault {
                fault.blame(other, thread.clock.now());
            }
            Ended::Own { result, attempts: 2 }
        }
    }
}

/// Another worker, if one is free, nobody waits for it, and the budget of retries pays.
fn second(thread: &Thread, first: &Lease, draw: Draw) -> Option<Lease> {
    let (pool, now) = (&thread.pool, thread.clock.now());
    if pool.waiting() > 0 || (pool.has_circuit_breaker() && pool.admit(now).is_err()) {
        return None;
    }
    let other = pool.lease(Draw { at: now, ..draw }, Some(first.backend().id()))?;
    thread.retries.borrow_mut().spend(now).then_some(other)
}
