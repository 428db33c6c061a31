//! A client's connection: the seam behind which requests are parsed, and its time-outs.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::forward;
use crate::serve::Thread;
use crate::strict::{Fault, Limits};

mod exchange;
mod pulse;
mod socket;

pub(crate) use exchange::Exchange;
pub(crate) use pulse::Turn;
use pulse::{Phase, Pulse, Verdict};
use socket::ClientIo;

/// When serving stops, a new connection may still bring the request it was made for.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);
/// When serving stops, a request may already be in the socket of an idle connection: this is time
/// for the runtime to look.
const NEXT_REQUEST_GRACE: Duration = Duration::from_millis(5);

/// A client that is still sending when it is refused hears why only if its socket is read on:
/// closing one with bytes in it destroys what was sent to the other side. For so long,
const LINGER: Duration = Duration::from_secs(1);
/// and for so many bytes.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who is asking.
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    pub(crate) address: HeaderValue,
    /// The address as `Forwarded` wants it.
    pub(crate) forwarded_for: String,
    /// Whether what it says of those before it is believed.
    pub(crate) is_trusted: bool,
    /// Equal for equal clients.
    pub(crate) key: u64,
    pulse: Arc<Pulse>,
    exchange: Arc<Exchange>,
}

impl Client {
    /// Marks the connection as busy with a request, until the turn is dropped. With a fault, the
    /// request only stands in for one that has it.
    pub(crate) fn begin(&self) -> (Turn, Option<Fault>) {
        (Pulse::turn(&self.pulse), self.exchange.begin())
    }

    /// A request's answer is handed over; `switched` says that the protocol changes with it.
    pub(crate) fn answered(&self, switched: bool) {
        self.exchange.answered(switched);
    }

    /// A request is refused, perhaps before all of it was read.
    pub(crate) fn refused(&self) {
        self.exchange.set_refused();
    }

    /// Where a body's reader learns what is wrong with it.
    pub(crate) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.exchange)
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
    let (pulse, exchange) = (Arc::new(Pulse::new(clock)), Arc::new(Exchange::new()));
    let client = Rc::new(Client {
        ip: address,
        forwarded_for: match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        },
        is_trusted: config.trusts(address),
        address: HeaderValue::from_str(&address.to_string()).expect("an IP address is visible ASCII"),
        key: key_of(address),
        pulse: Arc::clone(&pulse),
        exchange: Arc::clone(&exchange),
    });
    let service = service_fn({
        let thread = Rc::clone(&thread);
        move |request| {
            let (thread, client) = (Rc::clone(&thread), Rc::clone(&client));
            async move { Ok::<_, Infallible>(forward::answer(thread, client, request).await) }
        }
    });
    let limits = Limits { head_bytes: config.head_bytes_max };
    let io = ClientIo::new(stream, limits, Arc::clone(&pulse), Arc::clone(&exchange), permit);
    let mut connection = http1::Builder::new()
        // Ours: hyper's counts the time between requests as part of the next head.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut check = Box::pin(clock.sleep(config.header_timeout));
    let mut stopping = Box::pin(thread.stopping.cancelled());
    let mut stop_asked = false;
    loop {
        tokio::select! {
            biased;
            // Errors are the client's: it is gone.
            _ = &mut connection => break,
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
                    Verdict::Expired(Phase::Head) if !exchange.is_expired() => {
                        // The socket, asked again now, refuses in the request's stead.
                        exchange.expire();
                        check.set(clock.sleep(config.header_timeout));
                    }
                    Verdict::Expired(_) => return,
                }
            }
        }
    }
    if let Some(parts) = connection.into_parts()
        && exchange.is_refused()
    {
        let mut io = parts.io.into_inner();
        let _ = clock.timeout(LINGER, drain(io.stream())).await;
    }
}

/// Reads what a refused client goes on sending, until it has noticed.
async fn drain(stream: &mut TcpStream) {
    let mut scrap = [0; 4096];
    let mut left = LINGER_BYTES_MAX;
    while let Ok(read @ 1..) = stream.read(&mut scrap).await {
        let Some(fewer) = left.checked_sub(read) else { return };
        left = fewer;
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
