//! One attempt: a connection to the leased worker, the request out, the answer in.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use jiff::Timestamp;
use traffic::{Backend, Lease};

use super::{Answer, Content, Fault};
use crate::body::{Progress, RequestBody};
use crate::headers::Head;
use crate::serve::Thread;
use crate::upstream::{self, ConnectError, Sender};

/// What a worker answered.
pub(super) struct Received {
    status: StatusCode,
    headers: HeaderMap,
    extensions: Extensions,
    content: Content,
    connect: Duration,
}

impl Received {
    pub(super) fn under(self, lease: Lease, queued: Duration) -> Answer {
        let Self { status, headers, extensions, content, connect } = self;
        Answer { status, headers, extensions, content, lease, queued, connect, attempts: 0 }
    }
}

/// Sends the request to the leased worker. `body` is left in place where it can be sent again,
/// and `None` where it cannot.
pub(super) async fn run(
    thread: &Thread,
    lease: &Lease,
    head: &Head,
    body: &mut Option<RequestBody>,
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
    let (mut sender, kept) = match thread.connections.take(backend) {
        Some(sender) => (sender, true),
        None => (connect().await?, false),
    };
    if kept && !head.is_idempotent() {
        // The runtime looks at its sockets once more, so that a connection that the worker has
        // closed is known to be so before a request that cannot be repeated is written to it.
        tokio::task::yield_now().await;
    }
    let whole = body.as_ref().and_then(RequestBody::copy);
    let original = body.take().expect("an attempt is made with a body at hand");
    let replayable = whole.is_some();
    let (to_send, progress) = match whole {
        Some(copy) => {
            *body = Some(original);
            let progress = copy.progress();
            (copy, progress)
        }
        None => {
            let progress = original.progress();
            (original, progress)
        }
    };
    let mut request = head.request(to_send);
    let mut fresh = !kept;
    loop {
        let watched = head.is_idempotent().then_some(&**backend);
        match exchange(thread, &mut sender, request, &progress, watched).await {
            Ok(response) => {
                let received = receive(thread, lease, head, sender, response).await?;
                return Ok(Received { connect: connecting.get(), ..received });
            }
            Err(Unanswered::Returned(returned, cause)) => {
                request = *returned;
                if fresh {
                    if !replayable {
                        *body = Some(request.into_body());
                    }
                    return Err(Fault::Unsent(cause));
                }
                // A kept connection had been closed meanwhile: that says nothing of the worker.
                sender = match connect().await {
                    Ok(sender) => sender,
                    Err(fault) => {
                        if !replayable {
                            *body = Some(request.into_body());
                        }
                        return Err(fault);
                    }
                };
                fresh = true;
            }
            Err(Unanswered::Failed(fault)) => return Err(fault),
        }
    }
}

impl Head {
    fn request(&self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        *request.version_mut() = Version::HTTP_11;
        request
    }
}

fn not_connected(error: ConnectError) -> Fault {
    Fault::Unsent(error.to_string())
}

/// Why a request that was handed to a connection has no answer.
enum Unanswered {
    /// Not a byte of it was written; here it is again.
    Returned(Box<Request<RequestBody>>, String),
    Failed(Fault),
}

/// Sends the request and waits for the head of the answer. The time a worker may take counts from
/// the last of the request.
async fn exchange(
    thread: &Thread,
    sender: &mut Sender,
    request: Request<RequestBody>,
    progress: &Rc<Progress>,
    watched: Option<&Backend>,
) -> Result<Response<Incoming>, Unanswered> {
    let patience = thread.config().first_byte_timeout;
    let mut now = thread.clock.now();
    progress.moved_at.set(now);
    let mut answered = std::pin::pin!(sender.send(request));
    loop {
        let moved_at = progress.moved_at.get();
        let deadline = moved_at.saturating_add(patience).unwrap_or(Timestamp::MAX);
        tokio::select! {
            biased;
            answer = &mut answered => {
                return answer.map_err(|mut error| match error.take_message() {
                    Some(request) => Unanswered::Returned(Box::new(request), cause(&error.into_error())),
                    None => Unanswered::Failed(blame(progress, &error.into_error())),
                });
            }
            () = thread.clock.sleep(look_after(watched, deadline, now)) => {
                now = thread.clock.now();
                if watched.is_some_and(Backend::is_given_up) {
                    let cause = "fails its probes with the request unanswered".to_owned();
                    return Err(Unanswered::Failed(Fault::Broke(cause)));
                }
                if now < deadline {
                    continue;
                }
                if progress.moved_at.get() == moved_at {
                    let slow = if progress.starved.get() {
                        Fault::Client(super::body_too_slow())
                    } else {
                        Fault::TooSlow
                    };
                    return Err(Unanswered::Failed(slow));
                }
            }
        }
    }
}

/// Where probes say that a backend is gone, a request that may be repeated need not wait there for
/// its time-out: it looks this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

fn look_after(watched: Option<&Backend>, deadline: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
    watched.map_or(left, |_| LOOK_EVERY.min(left))
}

/// Whose fault a broken exchange is.
fn blame(progress: &Progress, error: &hyper::Error) -> Fault {
    match progress.fault.get() {
        Some(fault) => Fault::Client(fault.into()),
        None if upstream::is_unacknowledged(error) => {
            Fault::Unsent("took no request: its queue of connections is full".to_owned())
        }
        None => Fault::Broke(cause(error)),
    }
}

fn cause(error: &hyper::Error) -> String {
    if let Some(fault) = upstream::fault_of(error) {
        return fault.text.to_owned();
    }
    if error.is_parse() {
        return format!("did not answer in HTTP/1.1 ({error})");
    }
    "closed the connection before answering".to_owned()
}

/// Takes the answer: whole if it is short and says how long it is, so that a worker that dies
/// over it can still be replaced unnoticed.
async fn receive(
    thread: &Thread,
    lease: &Lease,
    head: &Head,
    sender: Sender,
    mut response: Response<Incoming>,
) -> Result<Received, Fault> {
    let to_worker = hyper::upgrade::on(&mut response);
    let (parts, mut incoming) = response.into_parts();
    let content = if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        if head.upgrade.is_none() {
            return Err(Fault::Broke("changed protocol without being asked to".to_owned()));
        }
        Content::Tunnel(to_worker)
    } else if incoming.size_hint().exact().is_some_and(RequestBody::can_be_held) {
        let bytes = hold(&mut incoming, thread.config().first_byte_timeout, thread).await?;
        thread.connections.give_back(lease.backend(), sender);
        Content::Held(bytes)
    } else {
        Content::Streamed(incoming, sender)
    };
    let (status, headers, extensions) = (parts.status, parts.headers, parts.extensions);
    Ok(Received { status, headers, extensions, content, connect: Duration::ZERO })
}

async fn hold(incoming: &mut Incoming, patience: Duration, thread: &Thread) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    while !incoming.is_end_stream() {
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *incoming).poll_frame(cx));
        let frame = thread.clock.timeout(patience, next).await.map_err(|_| Fault::TooSlow)?;
        match frame {
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else { continue };
                if whole.is_empty() && incoming.is_end_stream() {
                    return Ok(bytes);
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
