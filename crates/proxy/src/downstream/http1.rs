//! A connection that speaks HTTP/1.1: one request after the other, each with its answer; and a bare
//! socket while none come.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::answer::Framing;
use self::connection::Received;
use super::patience::Patience;
use super::{Client, Peer, Stream, rest};
use crate::answer::{AnswerBody, Reply};
use crate::body::Source;
use crate::request::Request;
use crate::serve::Thread;
use crate::strict::{Fault, Limits};
use crate::tunnel;
use crate::tunnel::Tunnel;

mod answer;
mod connection;
mod head;

pub(crate) use connection::Connection;
#[cfg(test)]
pub(crate) use head::parse as parse_head;

/// Where there are no more connections than this on a thread, each is ready for its next request for
/// [`REST_AFTER`]. Where there are more, most are idle, and what they need while they are busy would
/// cost some kilobytes each.
const CROWD: usize = 256;
/// After so long without a request a connection rests, wherever it is.
const REST_AFTER: Duration = Duration::from_millis(500);
/// A client that closes its side after its request may have gone, or wait for the answer: which, only
/// sending to it would tell. So a worker that has the request has this long to begin its answer.
const HALF_CLOSED: Duration = Duration::from_secs(2);

/// A client that is still sending when it has its answer hears it only if its socket is read on:
/// closing one with bytes in it destroys what was sent to the other side. For so long,
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// and for so many bytes.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

const HEAD_TOO_SLOW: Fault = Fault {
    status: StatusCode::REQUEST_TIMEOUT,
    code: "header_timeout",
    text: "the request's head took too long in",
};

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
/// over.
async fn exchanges(thread: &Rc<Thread>, stream: Stream, peer: &Rc<Peer>) -> Option<Stream> {
    let mut conversation = Conversation::new(thread, stream, peer);
    loop {
        let next = match conversation.next().await {
            Next::Head(request) => conversation.exchange(*request).await,
            Next::Fault(fault) => conversation.refuse(fault).await,
            Next::Rest => return conversation.connection.into_stream(),
            Next::End => After::Close,
        };
        match next {
            After::GoOn => {}
            After::Gone => return None,
            After::Close => {
                conversation.close().await;
                return None;
            }
            After::Switch(tunnel) => {
                conversation.connection.decide(true);
                let stream = conversation.connection.into_stream()?;
                tunnel::run(thread.clock, stream, *tunnel).await;
                return None;
            }
        }
    }
}

/// What came where a request was awaited.
enum Next {
    Head(Box<Request>),
    Fault(Fault),
    /// Nothing for a while.
    Rest,
    End,
}

/// What becomes of a connection after an answer.
enum After {
    GoOn,
    /// The client has all there is for it.
    Close,
    /// The client is gone, or is to learn that its answer broke off.
    Gone,
    /// The protocol changes.
    Switch(Box<Tunnel>),
}

struct Conversation {
    thread: Rc<Thread>,
    client: Rc<Client>,
    connection: Rc<Connection>,
    patience: Patience,
    stopping: Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>,
}

impl Conversation {
    fn new(thread: &Rc<Thread>, stream: Stream, peer: &Rc<Peer>) -> Self {
        let config = thread.config();
        let limits = Limits { head_bytes: config.head_bytes_max };
        Self {
            client: Rc::new(Client::new(peer)),
            connection: Rc::new(Connection::new(stream, limits)),
            patience: Patience::new(thread.clock, REST_AFTER),
            stopping: Box::pin(thread.stopping.clone().cancelled_owned()),
            thread: Rc::clone(thread),
        }
    }

    /// Waits for the next request.
    async fn next(&mut self) -> Next {
        self.patience.begin();
        let mut in_head = self.connection.is_in_head();
        let mut stop_asked = false;
        poll_fn(|cx| {
            if let Poll::Ready(received) = self.connection.poll_head(cx) {
                return Poll::Ready(match received {
                    Received::Head(head) => Next::Head(head),
                    Received::Fault(fault) => Next::Fault(fault),
                    Received::End => Next::End,
                });
            }
            if self.connection.is_in_head() {
                if !in_head {
                    in_head = true;
                    self.patience.begin();
                }
                ready!(self.patience.poll_over(cx, self.thread.config().header_timeout));
                return Poll::Ready(Next::Fault(HEAD_TOO_SLOW));
            }
            if !stop_asked && self.stopping.as_mut().poll(cx).is_ready() {
                stop_asked = true;
                // Nothing else keeps the thread.
                self.patience.begin();
            }
            if stop_asked {
                ready!(self.patience.poll_over(cx, rest::grace(&self.thread, false)));
                return Poll::Ready(Next::End);
            }
            if self.thread.tasks.len() <= CROWD {
                ready!(self.patience.poll_over(cx, REST_AFTER));
            }
            Poll::Ready(Next::Rest)
        })
        .await
    }

    /// Has a request answered.
    async fn exchange(&mut self, request: Request) -> After {
        self.client.asker.begin(request.version == http::Version::HTTP_11);
        let source = Source::Http1(Rc::clone(&self.connection));
        let answering = super::answer(Rc::clone(&self.thread), Rc::clone(&self.client), request, source);
        let reply = {
            let mut answering = std::pin::pin!(answering);
            let mut has_ended = false;
            poll_fn(|cx| {
                let answered = answering.as_mut().poll(cx);
                for hint in self.client.asker.take_hints() {
                    self.connection.put(|out| answer::put_interim(out, &hint));
                }
                if let Poll::Ready(reply) = answered {
                    return Poll::Ready(Some(reply));
                }
                if self.connection.unwritten() > 0 {
                    // What the socket does not take goes out with the answer; whether it is broken is
                    // found there.
                    let _ = self.connection.poll_flush(cx);
                }
                ready!(self.poll_gone(cx, &mut has_ended));
                Poll::Ready(None)
            })
            .await
        };
        match reply {
            Some(reply) => self.say(reply).await,
            // The answer nobody waits for any more is dropped, and counts as cancelled.
            None => After::Gone,
        }
    }

    /// Answers what is no request.
    async fn refuse(&mut self, fault: Fault) -> After {
        let reply = super::refuse(&self.thread, &self.client, fault);
        self.say(Reply { is_last: true, ..reply }).await
    }

    /// Ready when a client that waits for its answer is taken for gone: its connection is broken, or it
    /// has ended its side, and no worker has its request, or has had it for a while.
    fn poll_gone(&mut self, cx: &mut Context<'_>, has_ended: &mut bool) -> Poll<()> {
        if self.connection.poll_listen(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.connection.has_ended() {
            return Poll::Pending;
        }
        if !std::mem::replace(has_ended, true) {
            self.patience.begin();
        }
        if self.client.asker.is_at_worker() {
            self.patience.poll_over(cx, HALF_CLOSED)
        } else {
            Poll::Ready(())
        }
    }

    /// Writes an answer.
    async fn say(&mut self, mut reply: Reply) -> After {
        let said = self.connection.said();
        let tunnel = reply.body.take_tunnel();
        let closes = reply.is_last
            // A client that was not told to send its body may send it nevertheless, or not.
            | self.connection.withhold_continue()
            || !said.may_go_on()
            // Told with its answer, before it sends the next request.
            || self.thread.stopping.is_cancelled();
        let mut framing = Framing::Bodiless;
        let now = self.thread.clock.now();
        self.connection.put(|out| framing = answer::put(out, said, &reply, closes, now));
        let mut saying =
            Saying { body: reply.body, framing, takes_trailers: said.takes_trailers, state: State::Going };
        let mut blocked_at = None;
        let is_whole = poll_fn(|cx| self.poll_say(cx, &mut saying, &mut blocked_at)).await;
        drop(saying);
        if !is_whole {
            if framing == Framing::Close {
                // An end would pass for the answer's.
                self.connection.break_off();
            }
            return After::Gone;
        }
        match tunnel {
            Some(tunnel) => After::Switch(tunnel),
            None if closes || framing == Framing::Close => After::Close,
            None => self.skip_body().await,
        }
    }

    /// Writes on; ready when all is written (true), or no more can be (false).
    fn poll_say(
        &mut self,
        cx: &mut Context<'_>,
        saying: &mut Saying,
        blocked_at: &mut Option<usize>,
    ) -> Poll<bool> {
        loop {
            let waits = saying.poll_put(cx, &self.connection);
            match self.connection.poll_flush(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {
                    // A client that stops reading holds a worker's place for nothing.
                    let unwritten = self.connection.unwritten();
                    if blocked_at.replace(unwritten) != Some(unwritten) {
                        self.patience.begin();
                    }
                    ready!(self.patience.poll_over(cx, self.thread.config().send_timeout));
                    return Poll::Ready(false);
                }
                Poll::Ready(Ok(())) => *blocked_at = None,
            }
            match saying.state {
                State::Whole => return Poll::Ready(true),
                State::Broken => return Poll::Ready(false),
                State::Going | State::Ended if waits => {
                    ready!(self.connection.poll_listen(cx));
                    return Poll::Ready(false);
                }
                State::Going | State::Ended => {}
            }
        }
    }

    /// Reads what is left of a request that was answered before all of it was read.
    async fn skip_body(&mut self) -> After {
        if !self.connection.is_over() {
            let mut left = LINGER_BYTES_MAX;
            let skip = poll_fn(|cx| {
                while let Some(frame) = ready!(self.connection.poll_body(cx)) {
                    let length = frame.ok().map(|frame| frame.data_ref().map_or(0, Bytes::len));
                    match length.and_then(|length| left.checked_sub(length)) {
                        Some(fewer) => left = fewer,
                        None => return Poll::Ready(false),
                    }
                }
                Poll::Ready(true)
            });
            if !matches!(self.thread.clock.timeout(LINGER, skip).await, Ok(true)) {
                return After::Close;
            }
        }
        self.connection.decide(false);
        After::GoOn
    }

    /// Closes, so that the client gets what was written.
    async fn close(self) {
        let is_clean = self.connection.is_between();
        let Some(mut stream) = self.connection.into_stream() else { return };
        let clock = self.thread.clock;
        let ended = clock.timeout(LINGER, stream.shutdown()).await;
        if !is_clean && matches!(ended, Ok(Ok(()))) {
            let _ = clock.timeout(LINGER, drain(stream)).await;
        }
    }
}

/// An answer's body on its way out.
struct Saying {
    body: AnswerBody,
    framing: Framing,
    takes_trailers: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// Trailers have ended it.
    Ended,
    /// All of it is put.
    Whole,
    /// No more comes, and it is not whole.
    Broken,
}

impl Saying {
    /// Puts as much of the body as is worth one write; whether it waits for more of it.
    fn poll_put(&mut self, cx: &mut Context<'_>, connection: &Connection) -> bool {
        while matches!(self.state, State::Going | State::Ended) && connection.has_room() {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(frame) => frame.transpose(),
            };
            let frame = frame.map(|frame| frame.map(Frame::into_data));
            match frame {
                Ok(Some(Ok(data))) => self.framing.put(connection, data),
                Ok(Some(Err(frame))) => {
                    self.framing.put_end(connection, frame.trailers_ref().filter(|_| self.takes_trailers));
                    self.state = State::Ended;
                }
                Ok(None) => {
                    if self.state == State::Going {
                        self.framing.put_end(connection, None);
                    }
                    self.state = State::Whole;
                }
                Err(_) => self.state = State::Broken,
            }
        }
        false
    }
}

/// Reads what a client goes on sending, until it has noticed that nobody listens.
pub(super) async fn drain(mut stream: Stream) {
    let mut scrap = [0; 4096];
    let mut left = LINGER_BYTES_MAX;
    while let Ok(read @ 1..) = stream.read(&mut scrap).await {
        let Some(fewer) = left.checked_sub(read) else { return };
        left = fewer;
    }
}
