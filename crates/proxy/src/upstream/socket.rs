//! A worker's socket: what comes in passes the gate before it is parsed.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::HEAD_BYTES_MAX;
use super::wall::Wall;
use crate::gather::gather;
use crate::strict::{AnswerHead, Fault, Gate, Limits, Wire};

/// A worker's answer cannot be taken for one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.text)]
struct BadAnswer(Fault);

/// What was wrong with an answer, if that is what `error` is about.
pub(crate) fn fault_of(error: &hyper::Error) -> Option<Fault> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    Some(io.get_ref()?.downcast_ref::<BadAnswer>()?.0)
}

pub(super) struct WorkerIo<S> {
    stream: S,
    gate: Gate<AnswerHead>,
    wire: Arc<Wire>,
    fault: Option<Fault>,
    wall: Option<Wall<S>>,
}

impl<S> WorkerIo<S> {
    pub(super) fn new(stream: S, wire: Arc<Wire>, wall: Option<Wall<S>>) -> Self {
        let limits = Limits { head_bytes: HEAD_BYTES_MAX };
        let gate = Gate::new(AnswerHead::new(Arc::clone(&wire)), limits);
        Self { stream, gate, wire, fault: None, wall }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WorkerIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.gate.release(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = this.fault {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, BadAnswer(fault))));
            }
            let before = buffer.filled().len();
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
            if let Some(wall) = this.wall.take() {
                wall.lift(&this.stream);
                read.map_err(Wall::<S>::explain)?;
            } else {
                read?;
            }
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            this.fault = this.gate.take(buffer, before);
            if this.fault.is_some() {
                this.wire.taint();
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WorkerIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        gather(slices, |bytes| Pin::new(&mut *stream).poll_write(cx, bytes))
            .unwrap_or_else(|| Pin::new(&mut *stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
