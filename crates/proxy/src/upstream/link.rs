//! A connection to a worker, used by one request after the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use clock::Timer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_util::io::poll_read_buf;

use super::reader::Reader;
use super::wall::Wall;

/// Room for a head with a small body; the buffer is used again and again.
const ROOM_BYTES: usize = 8 * 1024;
/// Room for what comes of a long body: more at once costs fewer system calls.
const LONG_ROOM_BYTES: usize = 64 * 1024;

/// A socket to a worker.
pub(super) enum Io {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg(test)]
    Other(Pin<Box<dyn Duplex>>),
}

/// Anything that can be read and written.
#[cfg(test)]
pub(super) trait Duplex: AsyncRead + AsyncWrite {}

/// Runs an expression on whichever socket it is.
macro_rules! with {
    ($io:expr, $socket:ident => $do:expr) => {
        match $io {
            Io::Tcp(socket) => {
                let $socket = Pin::new(socket);
                $do
            }
            #[cfg(unix)]
            Io::Unix(socket) => {
                let $socket = Pin::new(socket);
                $do
            }
            #[cfg(test)]
            Io::Other(socket) => {
                let $socket = socket.as_mut();
                $do
            }
        }
    };
}

/// A connection, and what was read of it ahead.
pub(crate) struct Link {
    io: Io,
    pub(super) reader: Reader,
    /// Where requests are put together; empty between them.
    pub(super) outbox: Vec<u8>,
    wall: Option<Wall>,
    /// The last request's, and to what length it was set: the next mostly waits as long, so that it
    /// need not be set for each.
    pub(super) timer: Option<(Timer, Duration)>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("reader", &self.reader).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(io: Io, wall: Option<Wall>) -> Self {
        Self { io, reader: Reader::new(), outbox: Vec::new(), wall, timer: None }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with!(&mut self.io, socket => socket.poll_write(cx, bytes))
    }

    /// Reads more; how many bytes, 0 at the end. `is_long`: of a body that is under way.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, is_long: bool) -> Poll<io::Result<usize>> {
        let inbox = self.reader.inbox();
        let room = if is_long { LONG_ROOM_BYTES } else { ROOM_BYTES };
        if inbox.capacity() - inbox.len() < room / 2 {
            inbox.reserve(room);
        }
        let read = ready!(with!(&mut self.io, socket => poll_read_buf(socket, cx, inbox)));
        Poll::Ready(match self.wall.take() {
            Some(wall) => {
                wall.lift(&self.io);
                read.map_err(Wall::explain)
            }
            None => read,
        })
    }

    /// Whether nothing has come since the last answer, not even the end: then the connection works,
    /// for all that is known. Costs no system call where the runtime knows that nothing has.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match &self.io {
            Io::Tcp(socket) => socket.try_read(&mut byte),
            #[cfg(unix)]
            Io::Unix(socket) => socket.try_read(&mut byte),
            #[cfg(test)]
            Io::Other(_) => return true,
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection after it has changed protocol.
    pub(super) fn into_tunnel(mut self) -> Tunnel {
        Tunnel { early: self.reader.inbox().split().freeze(), io: self.io }
    }
}

impl Wall {
    /// `None` where the system has no such thing, or the socket needs none.
    pub(super) fn around(io: &Io) -> Option<Self> {
        match io {
            Io::Tcp(stream) if stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) => {
                Self::build(stream)
            }
            _ => None,
        }
    }

    /// The worker is there: it may take its time.
    fn lift(self, io: &Io) {
        if let Io::Tcp(stream) = io {
            self.remove(stream);
        }
    }
}

/// Bytes of another protocol.
pub(crate) struct Tunnel {
    /// Came behind the answer that changed it.
    early: Bytes,
    io: Io,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return with!(&mut self.io, socket => socket.poll_read(cx, buffer));
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..length]);
        self.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with!(&mut self.io, socket => socket.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut self.io, socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(&mut self.io, socket => socket.poll_shutdown(cx))
    }
}
