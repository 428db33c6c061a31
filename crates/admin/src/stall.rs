//! A connection whose reader has stopped reading is closed, so that it cannot be held open,
//! and its place with it, for good.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use clock::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fails a write that makes no progress for too long.
pub(crate) struct Stalling<S> {
    stream: S,
    clock: Clock,
    most: Duration,
    deadline: Option<BoxFuture<'static, ()>>,
}

impl<S> Stalling<S> {
    pub(crate) fn new(stream: S, clock: Clock, most: Duration) -> Self {
        Self { stream, clock, most, deadline: None }
    }

    /// Passes progress on; without any, waits for the deadline.
    fn watch<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.deadline = None;
            return progress;
        }
        let (clock, most) = (self.clock, self.most);
        let deadline = self.deadline.get_or_insert_with(|| async move { clock.sleep(most).await }.boxed());
        ready!(deadline.poll_unpin(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader has stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_given_up_a_slow_one_is_not() {
        let (near, mut far) = tokio::io::duplex(4);
        let clock = Clock::start();
        let most = Duration::from_secs(10);
        let mut near = Stalling::new(near, clock, most);
        let reading = async {
            let mut four = [0; 4];
            for _ in 0..3 {
                clock.sleep(Duration::from_secs(9)).await;
                far.read_exact(&mut four).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(near.write_all(b"twelve bytes"), reading);
        written.unwrap();
        let error = near.write_all(b"more bytes").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(clock.uptime(), Duration::from_secs(27) + most);
    }
}
