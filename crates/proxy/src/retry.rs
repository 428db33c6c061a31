//! Attempts: which failure may be tried again on another worker, and how often.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use traffic::{Draw, Lease, Outcome, WorkerId};

use crate::account::Trace;
use crate::body::{BodyFault, RequestBody};
use crate::headers::Head;
use crate::refusal::Refusal;
use crate::serve::Thread;
use crate::upstream::{AnswerParts, Exchange, Tunnel};

mod attempt;
mod hedge;
mod lease;

pub(crate) use hedge::Hedges;

/// An idempotent request whose worker dies over it goes on to the next while the retry budget pays,
/// but in a pool of more than this not to the last one that is left: a request that itself kills
/// workers does not kill all of them.
const SENT_MIN: usize = 3;
/// This many deaths in a row are beyond chance in a pool of any size.
const SENT_MAX: usize = 8;
/// A request that reached no worker is tried again until its waiting time is used up; with the
/// pauses below that is far fewer than this.
const UNSENT_MAX: u32 = 64;
/// Where workers refuse one after the other, each further try waits twice as long, up to this:
/// a worker that restarts on its old address is found soon, and no thread spins.
const PAUSE_MAX: Duration = Duration::from_millis(200);
const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// A worker's answer, with all that it still occupies.
pub(crate) struct Answer {
    pub(crate) head: AnswerParts,
    pub(crate) content: Content,
    /// When that was there.
    pub(crate) at: Timestamp,
    pub(crate) lease: Lease,
    /// How long the request waited for leases.
    pub(crate) queued: Duration,
    /// How long connecting took, where a kept connection was not there.
    pub(crate) connect: Duration,
    /// How many times it was handed to a worker.
    pub(crate) attempts: u32,
}

/// The rest of an answer.
pub(crate) enum Content {
    /// All of it; the connection is free again.
    Held(Bytes),
    /// Still coming.
    Streamed(Box<Exchange>),
    /// The worker changed protocol.
    Tunnel(Tunnel),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    /// The client's body broke off: it is gone, or talks nonsense.
    ClientGone,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BodyFault> for Failure {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Broken => Self::ClientGone,
            BodyFault::Malformed(fault) => Refusal::from(fault).into(),
            BodyFault::TooLarge => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                Refusal::new(status, "body_too_large", fault.to_string()).into()
            }
        }
    }
}

pub(crate) fn body_too_slow() -> Failure {
    let text = "the request's body took too long in";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", text).into()
}

/// How one attempt failed.
#[derive(Debug)]
enum Fault {
    /// The worker got nothing of the request.
    Unsent(String),
    /// The worker may have got the request; nothing of its answer went to the client.
    Broke(String),
    /// The worker has the request and does not answer.
    TooSlow,
    /// It was not the worker.
    Client(Failure),
}

impl Fault {
    /// Ends the lease of an attempt that failed in this way.
    fn blame(&self, lease: Lease, at: Timestamp) {
        match self {
            Self::Unsent(_) => lease.unreached(at),
            Self::Broke(_) | Self::TooSlow => lease.finish(at, Outcome::Broken),
            // Dropping the lease counts as cancelled: the worker is not to blame.
            Self::Client(_) => {}
        }
    }
}

/// Sends a request to one worker after another until one answers, or none may be tried any more.
pub(crate) async fn send(
    thread: &Thread,
    head: &Head,
    body: RequestBody,
    draw: Draw,
    trace: Option<Trace>,
) -> Result<Answer, Failure> {
    let asker = Rc::clone(body.asker());
    let mut body = Some(body);
    let mut patience = thread.config().queue_timeout;
    let mut queued = Duration::ZERO;
    let mut avoid = None;
    let (mut sent, mut unsent) = (0, 0);
    let sent_max = (thread.pool.ready().len().saturating_sub(1)).clamp(SENT_MIN, SENT_MAX);
    loop {
        let before = patience;
        let lease = lease::acquire(thread, draw, avoid, &mut patience, body.as_mut()).await?;
        asker.set_at_worker(true);
        queued += before.saturating_sub(patience);
        let worker = lease.backend().id();
        if let Some(trace) = &trace {
            trace.set(Some((worker, sent_before(sent, unsent) + 1)));
        }
        let tried_at = thread.clock.now();
        let tried = hedge::run(thread, lease, head, &mut body, Draw { at: tried_at, ..draw }).await;
        let fault = match tried.result {
            Ok(received) => {
                let attempts = sent_before(sent, unsent) + tried.attempts;
                return Ok(Answer { attempts, ..received.under(tried.lease, queued) });
            }
            Err(fault) => fault,
        };
        fault.blame(tried.lease, thread.clock.now());
        match fault {
            Fault::Client(failure) => return Err(failure),
            Fault::Unsent(cause) => {
                unsent += 1;
                let tried = thread.clock.now().duration_since(tried_at);
                patience = patience.saturating_sub(Duration::try_from(tried).unwrap_or_default());
                if unsent == UNSENT_MAX || patience.is_zero() {
                    return Err(bad_gateway((worker, sent_before(sent, unsent)), "connect_failed", &cause));
                }
                pause(thread, unsent, &mut patience).await;
            }
            Fault::Broke(cause) => {
                sent += 1;
                let may_again = sent < sent_max && head.is_idempotent() && body.is_some();
                if !may_again || !thread.retries.borrow_mut().spend(thread.clock.now()) {
                    return Err(bad_gateway((worker, sent_before(sent, unsent)), "worker_failed", &cause));
                }
            }
            Fault::TooSlow => {
                let tried = (worker, sent_before(sent, unsent) + 1);
                return Err(too_slow(tried, thread.config().first_byte_timeout));
            }
        }
        avoid = Some(worker);
        asker.set_at_worker(false);
        thread.shard.count_retry();
    }
}

/// Waits before the third and further tries to connect: the second is for another worker, and
/// comes at once.
async fn pause(thread: &Thread, unsent: u32, patience: &mut Duration) {
    let Some(doublings) = unsent.checked_sub(2) else { return };
    let length = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(PAUSE_MAX).min(*patience);
    thread.clock.sleep(length).await;
    *patience -= length;
}

/// Attempts so far.
fn sent_before(sent: usize, unsent: u32) -> u32 {
    unsent.saturating_add(u32::try_from(sent).unwrap_or(u32::MAX))
}

fn bad_gateway(tried: (WorkerId, u32), code: &'static str, cause: &str) -> Failure {
    let text = format!("worker {} {cause}", tried.0);
    Refusal { tried: Some(tried), ..Refusal::new(StatusCode::BAD_GATEWAY, code, text) }.into()
}

fn too_slow(tried: (WorkerId, u32), after: Duration) -> Failure {
    let text = format!("worker {} sent nothing for {after:?}", tried.0);
    let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "worker_too_slow", text);
    Refusal { tried: Some(tried), ..refusal }.into()
}
