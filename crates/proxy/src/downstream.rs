//! A client's connection: the seam behind which requests are parsed, and its time-outs.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::forward;
use crate::serve::Thread;

mod pulse;

pub(crate) use pulse::Turn;
use pulse::{Phase, Pulse, Verdict};

/// When serving stops, a new connection may still bring the request it was made for.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);
/// When serving stops, a request may already be in the socket of an idle connection: this is time
/// for the runtime to look.
const NEXT_REQUEST_GRACE: Duration = Duration::from_millis(5);

/// Sent where hyper has nothing to say: a head that does not come to its end.
const HEAD_TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\nx-autoscale-reason: header_timeout\r\n\r\n\
    408 the request's head took too long in\n";

/// Who is asking.
pub(crate) struct Client {
    pub(crate) address: HeaderValue,
    /// Equal for equal clients.
    pub(crate) key: u64,
    pulse: Arc<Pulse>,
}

impl Client {
    /// Marks the connection as busy with a request, until the turn is dropped.
    pub(crate) fn turn(&self) -> Turn {
        Pulse::turn(&self.pulse)
    }
}

/// Serves one client until either side closes.
pub(crate) async fn serve(
    thread: Rc<Thread>,
    stream: TcpStream,
    address: IpAddr,
    permit: Option<OwnedSemaphorePermit>,
) {
    let (clock, config) = (thread.clock, &thread.config);
    let pulse = Arc::new(Pulse::new(clock));
    let client = Rc::new(Client {
        address: HeaderValue::from_str(&address.to_string()).expect("an IP address is visible ASCII"),
        key: key_of(address),
        pulse: Arc::clone(&pulse),
    });
    let service = service_fn({
        let thread = Rc::clone(&thread);
        move |request| {
            let (thread, client) = (Rc::clone(&thread), Rc::clone(&client));
            async move { Ok::<_, Infallible>(forward::answer(thread, client, request).await) }
        }
    });
    let io = TokioIo::new(ClientIo { stream, pulse: Arc::clone(&pulse), _permit: permit });
    let mut connection = http1::Builder::new()
        // Ours: hyper's counts the time between requests as part of the next head.
        .header_read_timeout(None)
        .max_header_size(config.head_bytes_max)
        .serve_connection(io, service)
        .with_upgrades();
    let mut check = Box::pin(clock.sleep(config.header_timeout));
    let mut stopping = Box::pin(thread.stopping.cancelled());
    let mut stop_asked = false;
    loop {
        tokio::select! {
            biased;
            // Errors are the client's: it was answered 400 or is gone.
            _ = &mut connection => return,
            () = &mut stopping, if !stop_asked => {
                stop_asked = true;
                let fresh = pulse.phase() == Phase::Fresh;
                check.set(clock.sleep(if fresh { FIRST_REQUEST_GRACE } else { NEXT_REQUEST_GRACE }));
            }
            () = &mut check => {
                if stop_asked {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                match pulse.judge(config) {
                    Verdict::Wait(next) => check.set(clock.sleep(next)),
                    Verdict::Expired(Phase::Head) => {
                        if let Some(parts) = connection.into_parts() {
                            // Nothing is under way to the client while its request is being read.
                            let _ = parts.io.inner().stream.try_write(HEAD_TOO_SLOW);
                        }
                        return;
                    }
                    Verdict::Expired(_) => return,
                }
            }
        }
    }
}

/// Spreads addresses evenly and the same way on every machine (FNV-1a).
fn key_of(address: IpAddr) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    match address {
        IpAddr::V4(address) => address.octets().iter().fold(0xcbf2_9ce4_8422_2325, mix),
        IpAddr::V6(address) => address.octets().iter().fold(0xcbf2_9ce4_8422_2325, mix),
    }
}

/// A client's socket that tells the pulse what moves, and gives its place back when it is closed,
/// also after its connection has become a tunnel.
struct ClientIo {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        read
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
