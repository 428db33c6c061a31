//! A client's bytes, plain or within TLS, with those that were read before anybody knew which.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::io::poll_read_buf;

use crate::places::Place;

/// A head with a small body fits.
const SCRATCH_BYTES: usize = 16 * 1024;
/// Room for what comes of a long body: more at once costs fewer system calls.
const LONG_ROOM_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where connections read what may be short: while nothing comes, they hold no memory for it.
    static SCRATCH: RefCell<[u8; SCRATCH_BYTES]> = const { RefCell::new([0; SCRATCH_BYTES]) };
}

/// A client's connection.
pub(crate) struct Stream {
    /// Read already, and read again before anything else.
    early: Bytes,
    transport: Transport,
    /// A place among the connections that there may be, given back when this one is closed.
    _place: Option<Place>,
}

enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<Stream>>),
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, place: Option<Place>) -> Self {
        Self { early: Bytes::new(), transport: Transport::Tcp(tcp), _place: place }
    }

    pub(super) fn within(tls: TlsStream<Self>) -> Self {
        Self { early: Bytes::new(), transport: Transport::Tls(Box::new(tls)), _place: None }
    }

    /// What was read early and not yet again.
    pub(super) fn early(&self) -> &[u8] {
        &self.early
    }

    /// Takes away the first bytes of those, which concerned nobody further on.
    pub(super) fn skip_early(&mut self, length: usize) {
        self.early.advance(length);
    }

    /// Reads more bytes early; how many, 0 at the end.
    pub(super) async fn read_early(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_early(cx)).await
    }

    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.transport.poll_scratch(cx, |read| {
            self.early = if self.early.is_empty() {
                Bytes::copy_from_slice(read)
            } else {
                let mut joined = BytesMut::from(&self.early[..]);
                joined.extend_from_slice(read);
                joined.freeze()
            };
        })
    }

    /// Has these bytes read again, before anything else.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.early = bytes;
    }

    /// Reads to the end of `inbox`; how many bytes, 0 at the end. `is_long`: of a body that has many
    /// more.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        inbox: &mut BytesMut,
        is_long: bool,
    ) -> Poll<io::Result<usize>> {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            let length = early.len();
            match early.try_into_mut() {
                Ok(early) if inbox.is_empty() => *inbox = early,
                Ok(early) => inbox.extend_from_slice(&early),
                Err(early) => inbox.extend_from_slice(&early),
            }
            return Poll::Ready(Ok(length));
        }
        if !is_long {
            return self.transport.poll_scratch(cx, |read| inbox.extend_from_slice(read));
        }
        if inbox.capacity() - inbox.len() < LONG_ROOM_BYTES / 2 {
            inbox.reserve(LONG_ROOM_BYTES);
        }
        poll_read_buf(Pin::new(self), cx, inbox)
    }

    /// Has a connection that is dropped tell its client so in an error, not in an end.
    pub(super) fn break_off(&self) {
        let tcp = match &self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(tls) => return tls.get_ref().0.break_off(),
        };
        // Fails only for a connection that is gone already.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}

impl Transport {
    /// Reads what fits, and takes it; how many bytes, 0 at the end.
    fn poll_scratch(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8])) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.poll_read(cx, &mut buffer))?;
            take(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return self.transport.poll_read(cx, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..length]);
        self.early.advance(length);
        if self.early.is_empty() {
            // Gives the memory back.
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
