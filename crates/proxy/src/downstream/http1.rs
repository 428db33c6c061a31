//! A connection that speaks HTTP/1.1: hyper while requests come, a bare socket while none do.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;

use super::pulse::{Phase, Verdict};
use super::rest;
use super::socket::ClientIo;
use super::{Client, Peer, Stream};
use crate::answer::AnswerBody;
use crate::serve::Thread;
use crate::strict::Limits;

/// Where there are no more connections than this on a thread, each keeps its parser for
/// [`REST_AFTER`]: making one anew costs some 3 % of a small request. Where there are more, most
/// are idle, and their buffers would cost some 30 KiB each.
const CROWD: usize = 256;
/// After so long without a request a connection's parser is given up, wherever it is.
const REST_AFTER: Duration = Duration::from_millis(500);

/// A client that is still sending when it is refused hears why only if its socket is read on:
/// closing one with bytes in it destroys what was sent to the other side. For so long,
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// and for so many bytes.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Serves a connection that has brought its first bytes, until either side closes.
pub(super) async fn serve(thread: &Rc<Thread>, mut stream: Stream, peer: &Rc<Peer>) {
    loop {
        // In a box: at rest, a connection does not pay for what it needs while it is busy.
        let Some(rested) = Box::pin(exchanges(thread, stream, peer)).await else { return };
        stream = rested;
        if !rest::until_bytes(thread, &mut stream, thread.config().idle_timeout, false).await {
            return;
        }
    }
}

/// Serves requests until there are none for a while; then the bare connection, or `None` if it is
/// closed.
async fn exchanges(thread: &Rc<Thread>, stream: Stream, peer: &Rc<Peer>) -> Option<Stream> {
    let (clock, config) = (thread.clock, thread.config());
    let client = Rc::new(Client::new(peer, clock));
    let (pulse, exchange) = (Arc::clone(&client.pulse), Arc::clone(&client.exchange));
    let service = service_fn({
        let thread = Rc::clone(thread);
        move |request| {
            let (thread, client) = (Rc::clone(&thread), Rc::clone(&client));
            async move { Ok::<_, Infallible>(answer(thread, client, request).await) }
        }
    });
    let limits = Limits { head_bytes: config.head_bytes_max };
    let io = ClientIo::new(stream, limits, Arc::clone(&pulse), Arc::clone(&exchange));
    let mut connection = http1::Builder::new()
        // Ours: hyper's counts the time between requests as part of the next head.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let leave = || {
        let is_at_rest = pulse.is_at_rest() && exchange.is_at_rest();
        if is_at_rest {
            exchange.leave();
        }
        is_at_rest
    };
    let mut check = Box::pin(clock.sleep(REST_AFTER));
    let mut stopping = Box::pin(thread.stopping.cancelled());
    let mut stop_asked = false;
    loop {
        let ended = std::future::poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            if ended.is_ready() || thread.tasks.len() <= CROWD || !leave() {
                return ended;
            }
            Pin::new(&mut connection).graceful_shutdown();
            Pin::new(&mut connection).poll(cx)
        });
        tokio::select! {
            biased;
            // Errors are the client's: it is gone.
            _ = ended => break,
            () = &mut stopping, if !stop_asked => {
                stop_asked = true;
                let fresh = pulse.phase() == Phase::Fresh;
                check.set(clock.sleep(rest::grace(thread, fresh)));
            }
            () = &mut check => {
                if stop_asked || (pulse.phase_age() >= REST_AFTER && leave()) {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                match pulse.judge(&thread.config()) {
                    Verdict::Wait(next) => check.set(clock.sleep(next.min(REST_AFTER))),
                    Verdict::Expired(Phase::Head) if !exchange.is_expired() => {
                        // The socket, asked again now, refuses in the request's stead.
                        exchange.expire();
                        check.set(clock.sleep(config.header_timeout));
                    }
                    Verdict::Expired(_) => return None,
                }
            }
        }
    }
    let parts = connection.into_parts()?;
    // What the gate let through and the parser did not see would be lost.
    let is_whole = parts.read_buf.is_empty();
    let io = parts.io.into_inner();
    if exchange.is_leaving() {
        return io.at_rest().filter(|_| is_whole);
    }
    if exchange.is_refused() {
        let _ = clock.timeout(LINGER, drain(io.into_stream())).await;
    }
    None
}

/// Answers; once serving stops, a client is told so with its answer, before it sends the next request.
async fn answer(thread: Rc<Thread>, client: Rc<Client>, request: Request<Incoming>) -> Response<AnswerBody> {
    let mut response = super::answer(Rc::clone(&thread), client, request).await;
    if thread.stopping.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads what a refused client goes on sending, until it has noticed.
pub(super) async fn drain(mut stream: Stream) {
    let mut scrap = [0; 4096];
    let mut left = LINGER_BYTES_MAX;
    while let Ok(read @ 1..) = stream.read(&mut scrap).await {
        let Some(fewer) = left.checked_sub(read) else { return };
        left = fewer;
    }
}
