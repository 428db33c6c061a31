//! A client's bytes, plain or within TLS, with those that were read before anybody knew which.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::places::Place;

/// A head with a small body fits.
const SCRATCH_BYTES: usize = 8 * 1024;

thread_local! {
    /// Where a connection without a parser reads its first bytes: while it has none, it holds no
    /// memory for them.
    static SCRATCH: RefCell<[u8; SCRATCH_BYTES]> = const { RefCell::new([0; SCRATCH_BYTES]) };
}

/// A client's connection.
pub(super) struct Stream {
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
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.transport.poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            self.early = if self.early.is_empty() {
                Bytes::copy_from_slice(read)
            } else {
                let mut joined = BytesMut::from(&self.early[..]);
                joined.extend_from_slice(read);
                joined.freeze()
            };
            Poll::Ready(Ok(read.len()))
        })
    }
}

impl Transport {
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
