//! A client's socket: what comes in passes the gate, and what moves is told to the pulse.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchange::Exchange;
use super::pulse::{Phase, Pulse};
use super::stream::Stream;
use crate::gather::gather;
use crate::strict::{Fault, Gate, Limits, RequestHead};

/// Given to the parser in place of a request that must not get to it, so that the refusal takes
/// the road of every answer: in its turn, counted, and last on its connection.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// The same where an answer must have no body.
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

const HEAD_TOO_SLOW: Fault = Fault {
    status: StatusCode::REQUEST_TIMEOUT,
    code: "header_timeout",
    text: "the request's head took too long in",
};
const HEAD_BROKE_OFF: Fault = Fault {
    status: StatusCode::BAD_REQUEST,
    code: "head_broke_off",
    text: "the connection was closed in the middle of the request's head",
};

/// A stream with a gate before it.
pub(super) struct ClientIo {
    stream: Stream,
    gate: Gate<RequestHead>,
    /// Nothing more is read after a fault.
    end: Option<End>,
    pulse: Arc<Pulse>,
    exchange: Arc<Exchange>,
    /// The client has ended its side, and is believed to listen for so long.
    half_closed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The last request stands in for a bad one.
    StoodIn,
    /// A body is malformed.
    Broken,
}

impl ClientIo {
    pub(super) fn new(stream: Stream, limits: Limits, pulse: Arc<Pulse>, exchange: Arc<Exchange>) -> Self {
        let gate = Gate::new(RequestHead::default(), limits);
        Self { stream, gate, end: None, pulse, exchange, half_closed: None }
    }

    /// The stream itself, once nothing is to be judged any more.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// The stream itself if it stands before a request; another gate will do for that.
    pub(super) fn at_rest(self) -> Option<Stream> {
        (self.is_at_rest() && self.end.is_none()).then_some(self.stream)
    }

    fn is_at_rest(&self) -> bool {
        self.gate.is_at_head() && !self.gate.is_in_head()
    }

    fn fail(&mut self, fault: Fault) {
        if self.gate.is_at_head() {
            let is_head = self.gate.head().is_head();
            self.exchange.stand_in(self.gate.heads() + 1, fault);
            self.gate.put(if is_head { STAND_IN_HEAD } else { STAND_IN });
            self.end = Some(End::StoodIn);
        } else {
            self.exchange.set_fault(fault);
            self.end = Some(End::Broken);
        }
    }

    /// Whether the end of what the client sends is the end of the connection: not while a worker has
    /// its request, for a while, and not while the answer goes out.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_at_rest() {
            return Poll::Ready(());
        }
        self.exchange.end(cx);
        if !self.exchange.has_begun(self.gate.heads()) {
            return Poll::Pending;
        }
        if self.pulse.phase() != Phase::Busy {
            return Poll::Ready(());
        }
        if self.exchange.is_answered() {
            // The parser asks again when the answer is out.
            return Poll::Pending;
        }
        if !self.exchange.is_at_worker() {
            return Poll::Ready(());
        }
        let pulse = &self.pulse;
        let patience = self.half_closed.get_or_insert_with(|| Box::pin(pulse.patience_with_half_closed()));
        patience.as_mut().poll(cx)
    }

    /// Whether the protocol has changed, where that was open.
    fn decide(&mut self) {
        if self.gate.is_undecided()
            && let Some(switched) = self.exchange.switched_after(self.gate.heads())
            && let Some(fault) = self.gate.decide(switched)
        {
            self.fail(fault);
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            this.decide();
            if this.gate.release(buffer) {
                return Poll::Ready(Ok(()));
            }
            match this.end {
                Some(End::StoodIn) => return Poll::Pending,
                Some(End::Broken) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                None => {}
            }
            if this.exchange.is_expired() && this.gate.is_in_head() {
                this.fail(HEAD_TOO_SLOW);
                continue;
            }
            if this.gate.is_undecided() {
                this.exchange.wake_when_answered(cx);
            }
            if this.gate.is_full() {
                return Poll::Pending;
            }
            this.exchange.set_passed(this.is_at_rest().then(|| this.gate.heads()));
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                if !this.gate.is_in_head() {
                    return this.poll_end(cx).map(Ok);
                }
                this.fail(HEAD_BROKE_OFF);
                continue;
            }
            this.pulse.received();
            if let Some(fault) = this.gate.take(buffer, before) {
                this.fail(fault);
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pulse.sent(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let written = gather(slices, |bytes| Pin::new(&mut *stream).poll_write(cx, bytes))
            .unwrap_or_else(|| Pin::new(&mut *stream).poll_write_vectored(cx, slices));
        self.pulse.sent(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.exchange.is_leaving() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
