//! A new connection that only we believe in: its worker's backlog was full.
//!
//! When a listener's queue of connections is full, Linux drops the last step of the handshake: we
//! are connected, the worker is not, and what we send is dropped and sent again at growing
//! intervals, for a minute if the worker has died meanwhile. On loopback nothing is ever lost, so
//! bytes that nobody has acknowledged in [`PATIENCE`] were received by nobody, and the request may
//! go elsewhere whatever its method.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::body::RequestBody;

/// The kernel of the same machine acknowledges in microseconds.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// A request with a longer body could fill the buffers of a worker that is slow to read it, which
/// the kernel would take for the same.
const BODY_BYTES_MAX: u64 = 16 * 1024;

/// A request on a new connection was received by nobody.
#[derive(Debug, thiserror::Error)]
#[error("took no request within {PATIENCE:?}: its queue of connections is full")]
struct Unacknowledged;

/// Whether a request was received by nobody.
pub(super) fn is_unacknowledged(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Unacknowledged>())
}

/// Whether a request with this body may be behind a wall.
pub(crate) fn suits(body: &RequestBody) -> bool {
    body.is_whole() && body.length().is_some_and(|length| length <= BODY_BYTES_MAX)
}

/// Stands until the first byte comes from the other side.
#[derive(Debug)]
pub(super) struct Wall(());

impl Wall {
    /// `None` where the system has no such thing.
    #[cfg(target_os = "linux")]
    pub(super) fn build(stream: &TcpStream) -> Option<Self> {
        socket2::SockRef::from(stream).set_tcp_user_timeout(Some(PATIENCE)).ok()?;
        Some(Self(()))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn build(_stream: &TcpStream) -> Option<Self> {
        None
    }

    /// The worker is there: it may take its time.
    pub(super) fn remove(self, stream: &TcpStream) {
        // Fails only for a connection that is gone already.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(None);
        #[cfg(not(target_os = "linux"))]
        let _ = stream;
    }

    /// What the error of a connection with a wall means.
    pub(super) fn explain(error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::TimedOut {
            return io::Error::new(io::ErrorKind::TimedOut, Unacknowledged);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use clock::Clock;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::Broken;
    use super::super::link::{Duplex, Io, Link};
    use super::*;
    use crate::headers::Head;

    /// Takes what it is given, and then breaks as a connection does that nobody acknowledged.
    #[derive(Default)]
    struct Deaf {
        was_told: bool,
        reader: Option<Waker>,
    }

    impl AsyncRead for Deaf {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.was_told {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.reader = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.was_told = true;
            self.reader.take().into_iter().for_each(Waker::wake);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Duplex for Deaf {}

    #[tokio::test]
    async fn a_request_that_nobody_acknowledged_is_known() {
        let verdict = async |wall| {
            let link = Box::new(Link::new(Io::Other(Box::pin(Deaf::default())), wall));
            let body = RequestBody::empty(Clock::start());
            assert!(suits(&body));
            let head = Head::of_our_own(http::Uri::from_static("/"), &[("host", "a")]);
            let mut exchange = link.send(&head, Some(&body), None);
            std::future::poll_fn(|cx| exchange.poll_head(cx, |_| ())).await.unwrap_err()
        };
        assert!(matches!(verdict(Some(Wall(()))).await, Broken::Unacknowledged));
        assert!(matches!(verdict(None).await, Broken::Closed), "others have acknowledged something, perhaps");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_wall_stands_until_it_is_lifted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let timeout = || socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        let wall = Wall::build(&stream).unwrap();
        assert_eq!(timeout(), Some(PATIENCE));
        wall.remove(&stream);
        assert_eq!(timeout().unwrap_or_default(), Duration::ZERO);
    }
}
