//! A client's connection: what it speaks, who speaks it, and for how long it may say nothing.
//!
//! `open` finds out what a connection speaks; `http1` and `http2` serve it; while it waits for its
//! next request in HTTP/1 it is only a socket (`rest`), without a parser and its buffers.

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use http::HeaderValue;
use tokio::net::TcpStream;

use crate::answer::Reply;
use crate::body::Source;
use crate::places::Place;
use crate::request::Request;
use crate::serve::Thread;
use crate::strict::Fault;
use crate::{forward, redirect};

mod asker;
mod http1;
mod http2;
mod open;
mod patience;
mod rest;
mod stream;
pub(crate) mod turn_away;

pub(crate) use asker::{Asker, Hint};
pub(crate) use http1::Connection;
#[cfg(test)]
pub(crate) use http1::parse_head;
pub(crate) use http2::Inflow;
pub(crate) use stream::Stream;

/// Through which listener a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The one that serves.
    Front,
    /// The one that only tells where that is.
    Redirect,
}

/// What a client's requests get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// A worker's answer.
    Forward,
    /// The address that is spoken to in TLS.
    Redirect,
}

/// Who is at the other end of a connection.
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    pub(crate) address: HeaderValue,
    /// The address as `Forwarded` wants it.
    pub(crate) forwarded_for: String,
    /// Whether what it says of those before it is believed.
    pub(crate) is_trusted: bool,
    /// Equal for equal clients.
    pub(crate) key: u64,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    service: Service,
}

impl Peer {
    fn new(ip: IpAddr, is_trusted: bool, is_tls: bool, service: Service) -> Self {
        Self {
            ip,
            forwarded_for: match ip {
                IpAddr::V4(ip) => format!("for={ip}"),
                IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
            },
            is_trusted,
            address: HeaderValue::from_str(&ip.to_string()).expect("an IP address is visible ASCII"),
            key: key_of(ip),
            scheme: if is_tls { "https" } else { "http" },
            service,
        }
    }
}

/// A peer that asks: one after the other by HTTP/1, each request for itself by HTTP/2.
pub(crate) struct Client {
    peer: Rc<Peer>,
    pub(crate) asker: Rc<Asker>,
}

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Client {
    fn new(peer: &Rc<Peer>) -> Self {
        Self { peer: Rc::clone(peer), asker: Rc::default() }
    }
}

/// Serves one client until either side closes.
pub(crate) async fn serve(thread: Rc<Thread>, tcp: TcpStream, ip: IpAddr, place: Option<Place>, door: Door) {
    let stream = Stream::new(tcp, place);
    let Some(open::Opened { stream, peer, protocol }) = open::open(&thread, stream, ip, door).await else {
        return;
    };
    match protocol {
        open::Protocol::Http1 => http1::serve(&thread, stream, &peer).await,
        open::Protocol::Http2 => Box::pin(http2::serve(&thread, stream, &peer)).await,
    }
}

/// Answers a request, however it came.
async fn answer(thread: Rc<Thread>, client: Rc<Client>, request: Request, source: Source) -> Reply {
    match client.service {
        Service::Forward => forward::answer(thread, client, request, source).await,
        Service::Redirect => redirect::answer(&thread, &request),
    }
}

/// Answers what is no proper request.
fn refuse(thread: &Thread, client: &Client, fault: Fault) -> Reply {
    match client.service {
        Service::Forward => forward::refuse_fault(thread, client, fault),
        Service::Redirect => redirect::refuse(fault),
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
