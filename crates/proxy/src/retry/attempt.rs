//! One attempt: a connection to the leased worker, the request out, the answer in.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::StatusCode;
use hyper::body::Body;
use jiff::Timestamp;
use traffic::{Backend, Lease};

use super::{Answer, Content, Fault};
use crate::body::{Progress, RequestBody};
use crate::downstream::Asker;
use crate::headers::Head;
use crate::serve::Thread;
use crate::upstream::{self, AnswerParts, Broken, ConnectError, Exchange};

/// What a worker answered.
pub(super) struct Received {
    head: AnswerParts,
    content: Content,
    /// When that was there.
    at: Timestamp,
    connect: Duration,
}

impl Received {
    pub(super) fn under(self, lease: Lease, queued: Duration) -> Answer {
        let Self { head, content, at, connect } = self;
        Answer { head, content, at, lease, queued, connect, attempts: 0 }
    }
}

/// Sends the request to the leased worker, now. `body` is left in place where it can be sent again,
/// and `None` where it cannot.
pub(super) async fn run(
    thread: &Thread,
    lease: &Lease,
    head: &Head,
    body: &mut Option<RequestBody>,
    now: Timestamp,
) -> Result<Received, Fault> {
    let backend = lease.backend();
    let walled = body.as_ref().is_some_and(upstream::suits);
    let connecting = Cell::new(Duration::ZERO);
    let connect = async || {
        let begun = thread.clock.now();
        let connected = thread.connections.connect(backend, walled).await.map_err(not_connected);
        let took = Duration::try_from(thread.clock.now().duration_since(begun)).unwrap_or_default();
        connecting.set(connecting.get() + took);
        connected
    };
    let (mut link, mut kept) = match thread.connections.take(backend, now) {
        Some(link) => (link, true),
        None => (connect().await?, false),
    };
    if kept && !head.is_idempotent() {
        // The runtime looks at its sockets once more, so that a connection that the worker has
        // closed is known to be so before a request that cannot be repeated is written to it.
        tokio::task::yield_now().await;
        if !link.is_quiet() {
            (link, kept) = (connect().await?, false);
        }
    }
    let asker = Rc::clone(body.as_ref().expect("an attempt is made with a body at hand").asker());
    let watched = head.is_idempotent().then_some(&**backend);
    loop {
        let progress = body.as_ref().expect("an attempt is made with a body at hand").progress();
        let rest = body.take_if(|body| !body.is_whole());
        progress.moved_at.set(if kept { now } else { thread.clock.now() });
        let mut exchange = link.send(head, body.as_ref(), rest);
        match answer(thread, &mut exchange, &progress, &asker, watched).await {
            Ok(parts) => {
                let received = receive(thread, lease, head, exchange, parts).await?;
                return Ok(Received { connect: connecting.get(), ..received });
            }
            Err(Unanswered::Broken(Broken::Unwritten)) => {
                if body.is_none() {
                    *body = exchange.into_rest();
                }
                if !kept {
                    return Err(Fault::Unsent(Broken::Unwritten.to_string()));
                }
                // A kept connection had been closed meanwhile: that says nothing of the worker.
                (link, kept) = (connect().await?, false);
            }
            Err(Unanswered::Broken(broken)) => return Err(blame(&progress, &broken)),
            Err(Unanswered::Given(fault)) => return Err(fault),
        }
    }
}

fn not_connected(error: ConnectError) -> Fault {
    Fault::Unsent(error.to_string())
}

/// Why a request that was handed to a connection has no answer.
enum Unanswered {
    /// The connection.
    Broken(Broken),
    /// It was not waited for any longer.
    Given(Fault),
}

/// Sends the request and waits for the head of the answer. The time a worker may take counts from
/// the last of the request, whose progress has begun.
async fn answer(
    thread: &Thread,
    exchange: &mut Exchange,
    progress: &Rc<Progress>,
    asker: &Asker,
    watched: Option<&Backend>,
) -> Result<AnswerParts, Unanswered> {
    let patience = thread.config().first_byte_timeout;
    // Somebody's slow body must not wake us for nothing: without probes to heed, the end is the next look.
    let look_every = if watched.is_some() { LOOK_EVERY.min(patience) } else { patience };
    exchange.look_within(thread.clock, look_every);
    std::future::poll_fn(|cx| {
        let hint = |interim: AnswerParts| asker.hint(&interim);
        if let Poll::Ready(answer) = exchange.poll_head(cx, hint) {
            return Poll::Ready(answer.map_err(Unanswered::Broken));
        }
        while exchange.poll_look(cx).is_ready() {
            if watched.is_some_and(Backend::is_given_up) {
                let cause = "fails its probes with the request unanswered".to_owned();
                return Poll::Ready(Err(Unanswered::Given(Fault::Broke(cause))));
            }
            let waited = thread.clock.now().duration_since(progress.moved_at.get());
            let left = patience.saturating_sub(Duration::try_from(waited).unwrap_or_default());
            if left.is_zero() {
                let slow = if progress.starved.get() {
                    Fault::Client(super::body_too_slow())
                } else {
                    Fault::TooSlow
                };
                return Poll::Ready(Err(Unanswered::Given(slow)));
            }
            exchange.look_in(look_every.min(left));
        }
        Poll::Pending
    })
    .await
}

/// A request that waits looks this often at whether its time is up, and whether probes say that its
/// backend is gone: then one that may be repeated need not wait there for its time-out.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Whose fault a broken exchange is.
fn blame(progress: &Progress, broken: &Broken) -> Fault {
    match (progress.fault.get(), broken) {
        (Some(fault), _) => Fault::Client(fault.into()),
        (None, Broken::Unacknowledged) => Fault::Unsent(broken.to_string()),
        (None, _) => Fault::Broke(broken.to_string()),
    }
}

/// Takes the answer: whole if it is short and says how long it is, so that a worker that dies
/// over it can still be replaced unnoticed.
async fn receive(
    thread: &Thread,
    lease: &Lease,
    head: &Head,
    mut exchange: Exchange,
    parts: AnswerParts,
) -> Result<Received, Fault> {
    let mut at = None;
    let content = if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        if head.upgrade.is_none() {
            return Err(Fault::Broke("changed protocol without being asked to".to_owned()));
        }
        Content::Tunnel(exchange.into_tunnel())
    } else if parts.length.is_some_and(RequestBody::can_be_held) {
        let bytes = hold(&mut exchange, thread.config().first_byte_timeout, thread).await?;
        let now = *at.insert(thread.clock.now());
        thread.connections.give_back(lease.backend(), exchange, now);
        Content::Held(bytes)
    } else {
        Content::Streamed(Box::new(exchange))
    };
    let at = at.unwrap_or_else(|| thread.clock.now());
    Ok(Received { head: parts, content, at, connect: Duration::ZERO })
}

async fn hold(exchange: &mut Exchange, patience: Duration, thread: &Thread) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    while !exchange.is_end_stream() {
        let mut next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *exchange).poll_frame(cx));
        // A small answer mostly comes with its head.
        let frame = match (&mut next).now_or_never() {
            Some(frame) => frame,
            None => thread.clock.timeout(patience, next).await.map_err(|_| Fault::TooSlow)?,
        };
        match frame {
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else { continue };
                if whole.is_empty() && exchange.is_end_stream() {
                    return Ok(bytes);
                }
                if whole.is_empty() {
                    // Room for all of it at once: growing would copy it again and again.
                    let left = exchange.size_hint().exact().and_then(|left| usize::try_from(left).ok());
                    whole.reserve(bytes.len() + left.unwrap_or_default());
                }
                whole.extend_from_slice(&bytes);
            }
            Some(Err(_)) => {
                return Err(Fault::Broke("closed the connection in the middle of its answer".to_owned()));
            }
            None => break,
        }
    }
    Ok(whole.freeze())
}
