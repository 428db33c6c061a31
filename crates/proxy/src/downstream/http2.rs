//! A connection that speaks HTTP/2: each stream a request on the same road as any other.
//!
//! What a client may make us hold is bounded: streams at once, windows, header lists, streams that
//! it resets before we have looked at them (CVE-2023-44487), and the time for which it may leave an
//! answer unread. Frames and windows are the crate h2's.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use h2::server::Builder;
use jiff::Timestamp;

use super::{Peer, Stream};
use crate::serve::Thread;

mod answer;
mod body;
mod exchange;

pub(crate) use body::Inflow;

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
    let handshake = Builder::new()
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX))
        .max_header_list_size(u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake(stream);
    // Errors are the client's, here and below.
    let Ok(Ok(mut connection)) = clock.timeout(config.header_timeout, handshake).await else { return };
    let streams = Rc::new(Streams::new(clock));
    let mut check = std::pin::pin!(clock.sleep(config.header_timeout));
    let mut stopping = std::pin::pin!(thread.stopping.cancelled());
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            begun = connection.accept() => {
                let Some(Ok((request, respond))) = begun else { return };
                streams.has_begun.set(true);
                let (thread, peer, place) = (Rc::clone(thread), Rc::clone(peer), Place::take(&streams));
                tokio::task::spawn_local(async move {
                    exchange::carry(thread, &peer, request, respond).await;
                    drop(place);
                });
            }
            () = &mut stopping, if !is_leaving => {
                is_leaving = true;
                clock.sleep(LOOK_ONCE_MORE).await;
                connection.graceful_shutdown();
            }
            () = &mut check => {
                let patience = if streams.has_begun.get() { config.idle_timeout } else { config.header_timeout };
                let idle = streams.idle_for();
                if idle.is_some_and(|idle| idle >= patience.saturating_mul(2)) {
                    return;
                }
                if idle.is_some_and(|idle| idle >= patience) {
                    is_leaving = true;
                    connection.graceful_shutdown();
                }
                check.set(clock.sleep(config.header_timeout.min(patience)));
            }
        }
    }
}

/// The streams of a connection.
struct Streams {
    clock: Clock,
    open: Cell<u32>,
    has_begun: Cell<bool>,
    /// Since when there is none.
    idle_since: Cell<Timestamp>,
}

impl Streams {
    fn new(clock: Clock) -> Self {
        let (open, has_begun, idle_since) = (Cell::new(0), Cell::new(false), Cell::new(clock.now()));
        Self { clock, open, has_begun, idle_since }
    }

    /// For how long there has been no stream; `None` while there is one.
    fn idle_for(&self) -> Option<Duration> {
        let idle = self.clock.now().duration_since(self.idle_since.get());
        (self.open.get() == 0).then(|| Duration::try_from(idle).unwrap_or_default())
    }
}

/// One open stream.
struct Place(Rc<Streams>);

impl Place {
    fn take(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.idle_since.set(self.0.clock.now());
    }
}

/// What a client is told on a stream before its answer.
type Respond = h2::server::SendResponse<Bytes>;
