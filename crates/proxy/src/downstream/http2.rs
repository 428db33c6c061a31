//! A connection that speaks HTTP/2: each stream a request on the same road as any other.
//!
//! What a client may make us hold is bounded: streams at once, windows, header lists, streams that
//! it resets before we have looked at them (CVE-2023-44487), and the time for which it may leave an
//! answer unread.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use http::{Request, Response, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;

use super::{Client, Peer, Stream};
use crate::answer::AnswerBody;
use crate::body::Source;
use crate::serve::Thread;
use crate::strict;
use crate::upstream::Broken;

/// When serving stops, a request may already be in the socket: this is time for the runtime to look.
/// Streams begun before the client has the GOAWAY are served (RFC 9113, 6.8).
const LOOK_ONCE_MORE: Duration = Duration::from_millis(5);

/// Requests at once on one connection; what nginx allows, and twice what load generators use.
const STREAMS_MAX: u32 = 128;
/// Streams reset by the client that we have not looked at: beyond it, the client is attacking.
const RESETS_PENDING_MAX: usize = 20;
/// Streams that we reset for errors of the client's, before it is taken for an attacker.
const ERRORS_MAX: usize = 256;
/// What a client may send of one body before we have read it,
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// and of all bodies of its connection together: what a slow worker can make one client cost.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What we hold of one answer that the client does not take.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Serves a connection until either side closes.
pub(super) async fn serve(thread: &Rc<Thread>, stream: Stream, peer: &Rc<Peer>) {
    let (clock, config) = (thread.clock, thread.config());
    let streams = Rc::new(Streams::new(clock, config.send_timeout));
    let service = service_fn({
        let (thread, peer, streams) = (Rc::clone(thread), Rc::clone(peer), Rc::clone(&streams));
        move |request| {
            let client = Rc::new(Client::new(&peer));
            let pace = streams.begin();
            let answered = answer(Rc::clone(&thread), client, request);
            async move { Ok::<_, Infallible>(answered.await.map(|body| Paced { body, pace })) }
        }
    });
    let mut connection = std::pin::pin!(
        http2::Builder::new(Spawner(Rc::clone(&streams)))
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
            .max_local_error_reset_streams(ERRORS_MAX)
            .max_header_list_size(u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut check = std::pin::pin!(clock.sleep(config.header_timeout));
    let mut stopping = std::pin::pin!(thread.stopping.cancelled());
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            // Errors are the client's.
            _ = connection.as_mut() => return,
            () = &mut stopping, if !is_leaving => {
                is_leaving = true;
                clock.sleep(LOOK_ONCE_MORE).await;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut check => {
                let patience = if streams.has_begun() { config.idle_timeout } else { config.header_timeout };
                let idle = streams.idle_for();
                if idle.is_some_and(|idle| idle >= patience.saturating_mul(2)) {
                    return;
                }
                if idle.is_some_and(|idle| idle >= patience) {
                    is_leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                check.set(clock.sleep(config.header_timeout.min(patience)));
            }
        }
    }
}

async fn answer(thread: Rc<Thread>, client: Rc<Client>, request: Request<Incoming>) -> Response<AnswerBody> {
    let (mut parts, body) = request.into_parts();
    let reply = match strict::http2::settle(&mut parts, !body.is_end_stream()) {
        Ok(()) => super::answer(thread, client, Request::from_parts(parts, Source::Http2(body))).await,
        Err(fault) => super::refuse(&thread, &client, fault),
    };
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.fields.into_map(Version::HTTP_2);
    response
}

/// The streams of a connection.
struct Streams {
    clock: Clock,
    send_timeout: Duration,
    open: Cell<u32>,
    has_begun: Cell<bool>,
    /// Since when there is none.
    idle_since: Cell<Timestamp>,
    /// That of the stream begun last, until its task is made.
    next: Cell<Option<Rc<Pace>>>,
}

impl Streams {
    fn new(clock: Clock, send_timeout: Duration) -> Self {
        Self {
            clock,
            send_timeout,
            open: Cell::new(0),
            has_begun: Cell::new(false),
            idle_since: Cell::new(clock.now()),
            next: Cell::new(None),
        }
    }

    fn begin(&self) -> Rc<Pace> {
        self.has_begun.set(true);
        let pace = Rc::new(Pace::default());
        self.next.set(Some(Rc::clone(&pace)));
        pace
    }

    fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    /// For how long there has been no stream; `None` while there is one.
    fn idle_for(&self) -> Option<Duration> {
        let idle = self.clock.now().duration_since(self.idle_since.get());
        (self.open.get() == 0).then(|| Duration::try_from(idle).unwrap_or_default())
    }
}

/// How a stream's answer leaves.
#[derive(Default)]
struct Pace {
    /// Pieces of it that were handed over.
    pieces: Cell<u64>,
    /// Whether none was asked for since.
    is_unread: Cell<bool>,
}

impl Pace {
    fn asked(&self, piece: bool) {
        self.is_unread.set(piece);
        if piece {
            self.pieces.set(self.pieces.get() + 1);
        }
    }

    /// The number of the latest piece, while the client has no room for the next.
    fn unread(&self) -> Option<u64> {
        self.is_unread.get().then(|| self.pieces.get())
    }
}

/// An answer's body that notes when it is asked for more.
struct Paced {
    body: AnswerBody,
    pace: Rc<Pace>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.pace.asked(matches!(polled, Poll::Ready(Some(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Makes a task of each stream.
#[derive(Clone)]
struct Spawner(Rc<Streams>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, stream: F) {
        // hyper makes a stream's task as soon as it has called the service for it.
        let pace = self.0.next.take().unwrap_or_default();
        tokio::task::spawn_local(carry(Rc::clone(&self.0), pace, stream));
    }
}

/// Carries a stream to its end, or resets it when the client leaves its answer unread for too long:
/// until then it holds a worker's place.
async fn carry(streams: Rc<Streams>, pace: Rc<Pace>, stream: impl Future<Output = ()>) {
    let _place = Place::take(&streams);
    let (clock, send_timeout) = (streams.clock, streams.send_timeout);
    let mut stream = std::pin::pin!(stream);
    let mut patience = None;
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = pace.unread() else {
            patience = None;
            return Poll::Pending;
        };
        if patience.as_ref().is_none_or(|(of, _)| *of != piece) {
            patience = Some((piece, Box::pin(async move { clock.sleep(send_timeout).await })));
        }
        patience.as_mut().map_or(Poll::Pending, |(_, timer)| timer.as_mut().poll(cx))
    })
    .await;
}

/// One open stream.
struct Place<'a>(&'a Streams);

impl<'a> Place<'a> {
    fn take(streams: &'a Streams) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(streams)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.idle_since.set(self.0.clock.now());
    }
}
