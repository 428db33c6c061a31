//! One request over one connection, and its answer; both move only while somebody waits for them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use clock::Clock;
use http::{HeaderMap, Method};
use hyper::body::{Body, Frame, SizeHint};

use super::link::{Link, Tunnel};
use super::reader::{AnswerParts, Piece};
use super::wall;
use crate::body::RequestBody;
use crate::headers::{Framing, Head};
use crate::lines::{put_chunk, put_last_chunk};
use crate::strict::Fault;

/// A body's pieces up to this size go out in one write with what frames them.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// A connection keeps no more room than this for its next request.
const KEPT_OUTBOX_BYTES: usize = 8 * 1024;

/// An exchange that will have no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Not a byte of the request was written.
    #[error("was closed while it was idle")]
    Unwritten,
    /// The request was received by nobody.
    #[error("took no request: its queue of connections is full")]
    Unacknowledged,
    /// What came is no answer.
    #[error("{}", .0.text)]
    Bad(Fault),
    /// The worker closed the connection.
    #[error("closed the connection before answering")]
    Closed,
    /// The client's body broke off; what is wrong with it is known to its progress.
    #[error("the request's body broke off")]
    Request,
}

/// A request on its way, and then its answer as a body. Dropped, it closes its connection.
#[derive(Debug)]
pub(crate) struct Exchange {
    link: Box<Link>,
    /// Of the link's outbox, so much is written.
    written: usize,
    /// A long piece of the body, to be written behind the outbox.
    piece: Bytes,
    /// What is still to be sent.
    rest: Option<RequestBody>,
    chunked: bool,
    /// Whether a byte of the request has been written.
    is_begun: bool,
    /// Whether sending has failed; an answer may be there nevertheless.
    is_unheard: bool,
    length_left: Option<u64>,
    is_ended: bool,
}

impl Exchange {
    /// Begins to send a request; `rest` is what follows of its body, and `whole` all of it that is
    /// there.
    pub(super) fn new(
        mut link: Box<Link>,
        head: &Head,
        whole: Option<&RequestBody>,
        rest: Option<RequestBody>,
    ) -> Self {
        link.reader.ask(head.method == Method::HEAD);
        let has_body = whole.map_or(rest.is_some(), |whole| !whole.is_end_stream());
        let chunked = match head.framing {
            Framing::Chunked => true,
            Framing::Length => false,
            Framing::Unsaid => has_body,
        };
        let out = &mut link.outbox;
        out.clear();
        out.extend_from_slice(head.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(&head.fields);
        if chunked && head.framing == Framing::Unsaid {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let mut exchange = Self {
            link,
            written: 0,
            piece: Bytes::new(),
            rest,
            chunked,
            is_begun: false,
            is_unheard: false,
            length_left: None,
            is_ended: false,
        };
        if let Some(whole) = whole {
            whole.held().for_each(|bytes| exchange.put(bytes));
            exchange.put_end(whole.trailers());
        }
        exchange
    }

    /// Adds a piece of the body to what is to be written.
    fn put(&mut self, data: &[u8]) {
        let out = &mut self.link.outbox;
        if self.chunked { put_chunk(out, data) } else { out.extend_from_slice(data) }
    }

    fn put_end(&mut self, trailers: Option<&HeaderMap>) {
        if self.chunked {
            put_last_chunk(&mut self.link.outbox, trailers);
        }
    }

    /// Writes what the socket takes; ready once all of the request is written.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if let Err(_gone) = ready!(self.poll_write(cx)) {
                // Perhaps the worker has answered without hearing all: that decides.
                self.is_unheard = true;
                self.rest = None;
                self.piece = Bytes::new();
                self.link.outbox.clear();
                return Poll::Ready(Ok(()));
            }
            let Some(rest) = &mut self.rest else { return Poll::Ready(Ok(())) };
            let frame = match ready!(Pin::new(rest).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(Broken::Request)),
                None => {
                    self.rest = None;
                    self.put_end(None);
                    continue;
                }
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) if data.len() > GATHERED_BYTES_MAX && !self.chunked => self.piece = data,
                Ok(data) => self.put(&data),
                Err(frame) => {
                    self.rest = None;
                    self.put_end(frame.trailers_ref());
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.link.outbox.len() {
            let outbox = std::mem::take(&mut self.link.outbox);
            let written = self.link.poll_write(cx, &outbox[self.written..]);
            self.link.outbox = outbox;
            self.written += some(ready!(written)?)?;
            self.is_begun = true;
        }
        self.link.outbox.clear();
        self.written = 0;
        while !self.piece.is_empty() {
            let written = some(ready!(self.link.poll_write(cx, &self.piece))?)?;
            self.piece.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends on, and waits for the head of the answer. `hint` gets the interim answers before it.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut hint: impl FnMut(AnswerParts),
    ) -> Poll<Result<AnswerParts, Broken>> {
        if let Poll::Ready(Err(broken)) = self.poll_send(cx) {
            return Poll::Ready(Err(broken));
        }
        loop {
            match self.link.reader.next().map_err(Broken::Bad)? {
                Some(Piece::Head(head)) => {
                    self.length_left = head.length;
                    self.is_ended = head.length == Some(0);
                    return Poll::Ready(Ok(head));
                }
                Some(Piece::Interim(head)) => {
                    hint(head);
                    continue;
                }
                _ => {}
            }
            match ready!(self.link.poll_read(cx, false)) {
                Ok(1..) => {}
                _ if !self.is_begun => return Poll::Ready(Err(Broken::Unwritten)),
                Err(error) if wall::is_unacknowledged(&error) => {
                    return Poll::Ready(Err(Broken::Unacknowledged));
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Closed)),
            }
        }
    }

    /// Has [`Self::poll_look`] be ready in so long, or sooner.
    pub(crate) fn look_within(&mut self, clock: Clock, length: Duration) {
        match &mut self.link.timer {
            Some((timer, last)) if *last > length => {
                timer.set(length);
                *last = length;
            }
            Some(_) => {}
            None => self.link.timer = Some((clock.timer(length), length)),
        }
    }

    /// Has [`Self::poll_look`] be ready in so long.
    pub(crate) fn look_in(&mut self, length: Duration) {
        if let Some((timer, last)) = &mut self.link.timer {
            timer.set(length);
            *last = length;
        }
    }

    /// Ready when it is time to look how long the worker takes.
    pub(crate) fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.timer.as_mut().map_or(Poll::Pending, |(timer, _)| Pin::new(timer).poll(cx))
    }

    /// The body again, of which nothing was sent.
    pub(crate) fn into_rest(self) -> Option<RequestBody> {
        self.rest
    }

    /// The connection, for the next request if it will do for one.
    pub(crate) fn into_link(mut self) -> Option<Box<Link>> {
        // What follows the last byte of a body is known when it is looked for.
        let is_over = matches!(self.link.reader.next(), Ok(None | Some(Piece::End)));
        let is_sent = self.rest.is_none() && self.piece.is_empty() && !self.is_unheard;
        let is_written = self.link.outbox.is_empty();
        if !(is_over && is_sent && is_written && self.link.reader.is_reusable()) {
            return None;
        }
        if self.link.outbox.capacity() > KEPT_OUTBOX_BYTES {
            self.link.outbox = Vec::new();
        }
        Some(self.link)
    }

    /// The connection after it has changed protocol.
    pub(crate) fn into_tunnel(self) -> Tunnel {
        self.link.into_tunnel()
    }
}

impl Body for Exchange {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if this.is_ended {
            return Poll::Ready(None);
        }
        // An answer may come before all of its request is sent; then both go on.
        if let Poll::Ready(Err(broken)) = this.poll_send(cx) {
            return Poll::Ready(Some(Err(broken)));
        }
        loop {
            match this.link.reader.next().map_err(Broken::Bad)? {
                Some(Piece::Data(data)) => {
                    if let Some(left) = &mut this.length_left {
                        *left = left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
                        this.is_ended = *left == 0;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Piece::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Some(Piece::End) => {
                    this.is_ended = true;
                    return Poll::Ready(None);
                }
                Some(Piece::Interim(_) | Piece::Head(_)) | None => {}
            }
            match ready!(this.link.poll_read(cx, true)) {
                Ok(1..) => {}
                Ok(0) if this.link.reader.close() => {
                    this.is_ended = true;
                    return Poll::Ready(None);
                }
                Ok(0) | Err(_) => return Poll::Ready(Some(Err(Broken::Closed))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }

    fn size_hint(&self) -> SizeHint {
        self.length_left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}
