//! The beginning of a connection: TLS or not, and which HTTP.

use std::net::IpAddr;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;

use super::{Door, Peer, Service, Stream, rest};
use crate::proxy_header::{self, Told};
use crate::refusal::Refusal;
use crate::serve::Thread;
use crate::tls;

/// RFC 9113, 3.4: how a client begins that knows that HTTP/2 is spoken.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 8446, 5.1: the first byte of a TLS handshake. No method begins with it.
pub(super) const TLS_HANDSHAKE: u8 = 22;

/// A connection that is known.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) peer: Rc<Peer>,
    pub(super) protocol: Protocol,
}

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Waits for a client's first bytes and goes by them; `None` when the connection is over.
pub(super) async fn open(thread: &Thread, mut stream: Stream, sender: IpAddr, door: Door) -> Option<Opened> {
    let config = thread.config();
    let ip = match config.awaits_proxy_header(sender) {
        true => proxied(thread, &mut stream).await?.unwrap_or(sender),
        false => sender,
    };
    if stream.early().is_empty() && !rest::until_bytes(thread, &mut stream, config.header_timeout, true).await
    {
        return None;
    }
    let opened = |stream, service, is_tls, protocol| {
        let peer = Rc::new(Peer::new(ip, config.trusts(ip), is_tls, service));
        Some(Opened { stream, peer, protocol })
    };
    let service = match (door, &config.tls) {
        (Door::Front, Some(tls)) if stream.early().first() == Some(&TLS_HANDSHAKE) => {
            let handshake =
                Box::pin(thread.clock.timeout(config.header_timeout, tls.acceptor().accept(stream)));
            // What is wrong with it was told to the client by an alert.
            let tls = handshake.await.ok()?.ok()?;
            let is_h2 = tls.get_ref().1.alpn_protocol() == Some(tls::HTTP_2);
            let protocol = if is_h2 { Protocol::Http2 } else { Protocol::Http1 };
            return opened(Stream::within(tls), Service::Forward, true, protocol);
        }
        (Door::Front, None) => Service::Forward,
        // Plain HTTP where TLS is spoken.
        (Door::Front, Some(_)) | (Door::Redirect, _) => Service::Redirect,
    };
    while may_become_preface(stream.early()) {
        if !rest::until_bytes(thread, &mut stream, config.header_timeout, true).await {
            break;
        }
    }
    let protocol = if stream.early().starts_with(PREFACE) { Protocol::Http2 } else { Protocol::Http1 };
    opened(stream, service, false, protocol)
}

/// Awaits a PROXY header; the client that it tells of, if it does. `None` when the connection is
/// over, or begins with something else, which the sender is told in HTTP, as it may show it.
async fn proxied(thread: &Thread, stream: &mut Stream) -> Option<Option<IpAddr>> {
    let patience = thread.config().header_timeout;
    loop {
        if !rest::until_bytes(thread, stream, patience, true).await {
            return None;
        }
        match proxy_header::read(stream.early()) {
            Ok(Some(Told { client, length })) => {
                stream.skip_early(length);
                return Some(client);
            }
            // The reader decides before there are as many bytes as this.
            Ok(None) if stream.early().len() <= proxy_header::BYTES_MAX => {}
            Ok(None) => return None,
            Err(error) => {
                let refusal = Refusal::bad_request("bad_proxy_header", error.to_string());
                thread.refusals.count(refusal.code);
                let answer = refusal.into_last_words(thread.clock.now(), false);
                let told = async {
                    stream.write_all(&answer).await?;
                    stream.shutdown().await
                };
                let _ = thread.clock.timeout(patience, told).await;
                return None;
            }
        }
    }
}

/// Whether more bytes could make these HTTP/2's beginning.
fn may_become_preface(bytes: &[u8]) -> bool {
    bytes.len() < PREFACE.len() && PREFACE.starts_with(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_beginning_of_the_preface_is_waited_on() {
        assert!(may_become_preface(b"P") && may_become_preface(b"PRI * HTTP/2.0\r\n\r\n"));
        assert!(!may_become_preface(b"PO") && !may_become_preface(PREFACE) && !may_become_preface(b"GET / "));
    }
}
