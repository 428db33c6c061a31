//! A lease for one attempt: at once if a worker is free, else from the waiting queue.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use traffic::{Draw, Lease, Shard, WorkerId};

use super::Failure;
use crate::body::RequestBody;
use crate::refusal::Refusal;
use crate::serve::Thread;
use crate::waiting::Full;

/// For this long a worker that has just failed a request is not given it again, though it be the
/// only one: if it has died, its route is gone by then; if not, it may have closed that one
/// connection only.
const AVOID_FOR: Duration = Duration::from_millis(250);

/// Gets a worker other than `avoid`, waiting up to `patience`, from which the wait is taken.
pub(super) async fn acquire(
    thread: &Thread,
    draw: Draw,
    avoid: Option<WorkerId>,
    patience: &mut Duration,
    body: Option<&mut RequestBody>,
) -> Result<Lease, Failure> {
    let pool = &thread.pool;
    if pool.has_circuit_breaker() {
        pool.admit(thread.clock.now()).map_err(circuit_open)?;
    }
    // Those who wait came first.
    if pool.waiting() == 0
        && let Some(lease) = pool.lease(draw, avoid)
    {
        return Ok(lease);
    }
    let now = thread.clock.now();
    let ticket = thread.waiting.enter(pool, Draw { at: now, ..draw }, avoid);
    let mut ticket = ticket.map_err(|Full| queue_full(thread))?;
    let wait = Wait::begin(thread, now);
    let deadline = now.saturating_add(*patience).unwrap_or(Timestamp::MAX);
    let mut out_of_patience = std::pin::pin!(thread.clock.sleep_until(deadline));
    let mut avoided_enough = std::pin::pin!(thread.clock.sleep(AVOID_FOR));
    let mut avoiding = avoid.is_some();
    let mut reading = std::pin::pin!(async {
        match body {
            // Reading on is also how a client that goes away is noticed.
            Some(body) => body.read_ahead().await,
            None => Ok(()),
        }
    });
    let mut read = false;
    loop {
        tokio::select! {
            biased;
            lease = &mut ticket => {
                *patience = patience.saturating_sub(wait.so_far());
                return Ok(lease);
            }
            () = &mut out_of_patience => return Err(too_late(thread)),
            () = &mut avoided_enough, if avoiding => {
                avoiding = false;
                ticket.stop_avoiding(thread.clock.now());
            }
            result = &mut reading, if !read => {
                read = true;
                result?;
            }
        }
    }
}

/// Counts a request as waiting until it is dropped, which is also what a client that goes away
/// does to it.
struct Wait<'a> {
    shard: &'a Shard,
    clock: clock::Clock,
    since: Timestamp,
}

impl<'a> Wait<'a> {
    fn begin(thread: &'a Thread, since: Timestamp) -> Self {
        thread.shard.enter_queue();
        Self { shard: &thread.shard, clock: thread.clock, since }
    }

    fn so_far(&self) -> Duration {
        Duration::try_from(self.clock.now().duration_since(self.since)).unwrap_or_default()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.shard.leave_queue(self.so_far());
    }
}

fn circuit_open(left: Duration) -> Failure {
    let text = format!("most requests fail wherever they go: none is sent for another {left:.1?}");
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "circuit_open", text);
    Refusal { retry_after_s: left.as_secs().saturating_add(1), ..refusal }.into()
}

fn queue_full(thread: &Thread) -> Failure {
    let text = format!(
        "{} requests wait for a worker already; hint: more workers, or fewer requests",
        thread.config().queue_max
    );
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "queue_full", text).into()
}

fn too_late(thread: &Thread) -> Failure {
    let (ready, patience) = (thread.pool.ready().len(), thread.config().queue_timeout);
    let (code, text) = if ready == 0 {
        (
            "no_worker_ready",
            format!("no worker became ready within {patience:?}; hint: `autoscale status` says why"),
        )
    } else {
        (
            "workers_busy",
            format!("no worker became free within {patience:?}; hint: {ready} are ready, more may help"),
        )
    };
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, text).into()
}
