//! A client's socket while requests come: what is read of it, and what is still to be written.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::body::Frame;
use tokio::io::AsyncWrite;

use super::head;
use crate::body::BodyFault;
use crate::downstream::Stream;
use crate::gather::gather;
use crate::request::Request;
use crate::strict::{Fault, Limits, Piece, Pieces, RequestHead, Said};

/// What may be read ahead of a request that is not over, so that its client's going is noticed.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// A body with more than this to come is read with more room.
const LONG_BYTES: u64 = 16 * 1024;
/// Of an answer, so much is put together before it is written.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const HEAD_BROKE_OFF: Fault = Fault {
    status: StatusCode::BAD_REQUEST,
    code: "head_broke_off",
    text: "the connection was closed in the middle of the request's head",
};

/// One connection, shared by whoever serves it and the body of the request that it is bringing. One
/// task polls both, one after the other.
#[derive(Debug)]
pub(crate) struct Connection(RefCell<Wire>);

struct Wire {
    stream: Stream,
    pieces: Pieces<RequestHead>,
    /// To be written, of which `written` bytes are.
    outbox: Vec<u8>,
    written: usize,
    /// A long piece, to be written behind the outbox.
    piece: Bytes,
    /// Whether the client waits to be told to send its body.
    owes_continue: bool,
    /// Whether the client has ended its side.
    has_ended: bool,
    /// What is wrong with what it sent; nothing is read after that.
    fault: Option<Fault>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

/// What came where a request was awaited.
#[derive(Debug)]
pub(super) enum Received {
    Head(Box<Request>),
    /// No request, but something that must be answered.
    Fault(Fault),
    /// The client has ended its side, or is gone.
    End,
}

impl Connection {
    pub(super) fn new(stream: Stream, limits: Limits) -> Self {
        Self(RefCell::new(Wire {
            stream,
            pieces: Pieces::new(RequestHead::default(), limits),
            outbox: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            owes_continue: false,
            has_ended: false,
            fault: None,
        }))
    }

    /// Waits for the next request.
    pub(super) fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Received> {
        let wire = &mut *self.0.borrow_mut();
        loop {
            match wire.next() {
                Ok(Some(Piece::Head(text))) => {
                    let said = wire.pieces.head().said();
                    wire.owes_continue = said.awaits_continue && !said.is_http_1_0 && !wire.pieces.is_over();
                    return Poll::Ready(match head::parse(text, said.is_http_1_0) {
                        Ok(request) => Received::Head(Box::new(request)),
                        Err(fault) => Received::Fault(wire.fail(fault)),
                    });
                }
                Ok(Some(_)) => {}
                Ok(None) if wire.has_ended => return Poll::Ready(wire.end()),
                Ok(None) => match ready!(wire.stream.poll_fill(cx, wire.pieces.inbox(), false)) {
                    Ok(1..) => {}
                    Ok(0) => wire.has_ended = true,
                    Err(_) => return Poll::Ready(Received::End),
                },
                Err(fault) => return Poll::Ready(Received::Fault(fault)),
            }
        }
    }

    /// What the last request's head, or the one under way, says.
    pub(super) fn said(&self) -> Said {
        self.0.borrow_mut().pieces.head().said()
    }

    /// Whether some of a head has come, and not all of it.
    pub(super) fn is_in_head(&self) -> bool {
        self.0.borrow().pieces.is_in_head()
    }

    /// Whether all of the last request has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.0.borrow().pieces.is_over()
    }

    /// Whether nothing more has come than what was asked.
    pub(super) fn is_between(&self) -> bool {
        let wire = self.0.borrow();
        wire.fault.is_none() && wire.pieces.is_between()
    }

    /// The length of the request's body, as far as it was not read; `None` where the head does not
    /// say it.
    pub(crate) fn length_left(&self) -> Option<u64> {
        self.0.borrow().pieces.length_left()
    }

    /// The next of the request's body. The first time, a client that waits is told to send it.
    pub(crate) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let wire = &mut *self.0.borrow_mut();
        loop {
            // What comes next is the next request's.
            if wire.fault.is_none() && wire.pieces.is_over() {
                return Poll::Ready(None);
            }
            match wire.next() {
                Err(fault) => return Poll::Ready(Some(Err(BodyFault::Malformed(fault)))),
                Ok(Some(Piece::Data(data))) => {
                    wire.owes_continue = false;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Some(Piece::Trailers(trailers))) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Some(Piece::End | Piece::Head(_))) => continue,
                Ok(None) if wire.has_ended => return Poll::Ready(Some(Err(BodyFault::Broken))),
                Ok(None) => {}
            }
            wire.say_continue(cx);
            let is_long = wire.pieces.length_left().is_some_and(|left| left > LONG_BYTES);
            match ready!(wire.stream.poll_fill(cx, wire.pieces.inbox(), is_long)) {
                Ok(1..) => {}
                Ok(0) => wire.has_ended = true,
                Err(_) => return Poll::Ready(Some(Err(BodyFault::Broken))),
            }
        }
    }

    /// Reads ahead, so that a client's going is noticed; whether it has ended its side. Ready when the
    /// connection is broken.
    pub(super) fn poll_listen(&self, cx: &mut Context<'_>) -> Poll<()> {
        let wire = &mut *self.0.borrow_mut();
        if wire.fault.is_some() || !wire.pieces.is_over() {
            return Poll::Pending;
        }
        while !wire.has_ended && wire.pieces.inbox().len() < AHEAD_BYTES_MAX {
            match ready!(wire.stream.poll_fill(cx, wire.pieces.inbox(), false)) {
                Ok(1..) => {}
                Ok(0) => wire.has_ended = true,
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Whether the client has ended its side, and all of its request is here.
    pub(super) fn has_ended(&self) -> bool {
        let wire = self.0.borrow();
        wire.has_ended && wire.pieces.is_over()
    }

    /// Whether the client was not told to send its body. It will not be told any more: it may send it
    /// or not.
    pub(super) fn withhold_continue(&self) -> bool {
        let wire = &mut *self.0.borrow_mut();
        // One that sends already does not wait.
        let has_begun = wire.pieces.is_over() || !wire.pieces.inbox().is_empty();
        std::mem::take(&mut wire.owes_continue) && !has_begun
    }

    /// Adds to what is to be written.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.0.borrow_mut().outbox);
    }

    /// Adds a long piece, uncopied. There must be none, and nothing else may follow until it is
    /// written.
    pub(super) fn put_long(&self, piece: Bytes) {
        self.0.borrow_mut().piece = piece;
    }

    /// Whether more may be put before what is there is written.
    pub(super) fn has_room(&self) -> bool {
        let wire = self.0.borrow();
        wire.piece.is_empty() && wire.outbox.len() < GATHERED_BYTES_MAX
    }

    /// How many bytes wait to be written.
    pub(super) fn unwritten(&self) -> usize {
        let wire = self.0.borrow();
        wire.outbox.len() - wire.written + wire.piece.len()
    }

    /// Writes what waits; ready once all of it is.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_flush(cx)
    }

    /// Has the client learn, from how the connection ends, that what it got is not whole.
    pub(super) fn break_off(&self) {
        self.0.borrow().stream.break_off();
    }

    /// Decides whether the protocol changes, where the request has asked for it.
    pub(super) fn decide(&self, switched: bool) {
        self.0.borrow_mut().pieces.decide(switched);
    }

    /// The bare stream, with what was read of it ahead; `None` while a body still hangs on it.
    pub(super) fn into_stream(self: std::rc::Rc<Self>) -> Option<Stream> {
        let mut wire = std::rc::Rc::into_inner(self)?.0.into_inner();
        let ahead = std::mem::take(wire.pieces.inbox());
        if !ahead.is_empty() {
            wire.stream.put_back(ahead.freeze());
        }
        Some(wire.stream)
    }
}

impl Wire {
    fn next(&mut self) -> Result<Option<Piece>, Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.pieces.next().map_err(|fault| self.fail(fault)),
        }
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.fault = Some(fault);
        fault
    }

    /// The client has ended its side where a request was awaited.
    fn end(&mut self) -> Received {
        if self.pieces.is_in_head() { Received::Fault(self.fail(HEAD_BROKE_OFF)) } else { Received::End }
    }

    fn say_continue(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.owes_continue) && self.pieces.inbox().is_empty() {
            self.outbox.extend_from_slice(CONTINUE);
            // What the socket does not take now goes out with whatever is said next.
            let _ = self.poll_flush(cx);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let (outbox, piece) = (&self.outbox[self.written..], &self.piece[..]);
            if outbox.is_empty() && piece.is_empty() {
                self.outbox.clear();
                self.written = 0;
                return Pin::new(&mut self.stream).poll_flush(cx);
            }
            let slices = [io::IoSlice::new(outbox), io::IoSlice::new(piece)];
            let slices = if piece.is_empty() { &slices[..1] } else { &slices[..] };
            let mut stream = Pin::new(&mut self.stream);
            let written = gather(slices, |bytes| stream.as_mut().poll_write(cx, bytes))
                .unwrap_or_else(|| stream.poll_write_vectored(cx, slices));
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_outbox = written.min(self.outbox.len() - self.written);
            self.written += of_outbox;
            self.piece.advance(written - of_outbox);
        }
    }
}
