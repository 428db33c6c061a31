//! A client for whom there is no place: told so at once, in whatever it speaks.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use traffic::Outcome;

use super::open::{PREFACE, TLS_HANDSHAKE};
use super::{Door, Stream, http1};
use crate::account::Account;
use crate::places::TurnedAway;
use crate::proxy_header;
use crate::refusal::Refusal;
use crate::serve::Thread;

/// Why.
pub(crate) const CODE: &str = "max_connections";
/// Why one was cut that could not even be told.
pub(crate) const CODE_UNTOLD: &str = "max_connections_untold";

/// A client sends its request with its connection. One who has not by then is told nothing: an
/// answer to nothing is for nobody.
const HEAR_WITHIN: Duration = Duration::from_secs(1);
/// RFC 8446, 6.1: `close_notify`, which may come before the handshake.
const TLS_CLOSE: &[u8] = &[21, 3, 1, 0, 2, 1, 0];
/// RFC 9113, 3.4 and 6.8: our settings, and GOAWAY with `ENHANCE_YOUR_CALM`. No stream was looked
/// at, so that the client may try all of them again.
const HTTP_2_CLOSE: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// Serves a client if an idle connection gives way, and tells it to come back later if none does.
pub(crate) async fn or_serve(thread: Rc<Thread>, tcp: TcpStream, ip: IpAddr, told: TurnedAway, door: Door) {
    if let Some(place) = thread.places.make_room(thread.clock).await {
        drop(told);
        return Box::pin(super::serve(thread, tcp, ip, Some(place), door)).await;
    }
    let mut stream = Stream::new(tcp, None);
    let heard = thread.clock.timeout(HEAR_WITHIN, stream.read_early()).await;
    if !matches!(heard, Ok(Ok(1..))) {
        thread.refusals.count(CODE_UNTOLD);
        return;
    }
    let config = thread.config();
    if config.awaits_proxy_header(ip)
        && let Ok(Some(header)) = proxy_header::read(stream.early())
    {
        stream.skip_early(header.length);
    }
    let closing = |words: &[u8]| {
        thread.refusals.count(CODE);
        words.to_vec()
    };
    let answer = match stream.early() {
        [TLS_HANDSHAKE, ..] if door == Door::Front && config.tls.is_some() => closing(TLS_CLOSE),
        early if early.starts_with(PREFACE) => closing(HTTP_2_CLOSE),
        early => refuse(&thread, ip, early.starts_with(b"HEAD ")),
    };
    let tell = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    // Bytes that are not read would make the kernel take back what was said.
    if let Ok(Ok(())) = thread.clock.timeout(http1::LINGER, tell).await {
        let _ = thread.clock.timeout(http1::LINGER, http1::drain(stream)).await;
    }
}

/// Counts and writes down the request, whatever it is, and says what it is told.
fn refuse(thread: &Thread, ip: IpAddr, is_head: bool) -> Vec<u8> {
    let text = format!(
        "{} connections are open already; hint: raise --max-connections",
        thread.config().connections_max
    );
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, CODE, text);
    let mut account = Account::open(thread, ip);
    account.refused(&refusal);
    let now = thread.clock.now();
    account.finish(now, Outcome::Refused { status: refusal.status.as_u16(), reason: refusal.code });
    refusal.into_last_words(now, is_head)
}
