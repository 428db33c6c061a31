//! One thread's connections to workers: made when needed, kept while idle, bounded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use jiff::Timestamp;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use traffic::{Address, Backend, WorkerId};

use crate::body::RequestBody;
use crate::headers::Head;

mod exchange;
mod link;
mod reader;
mod wall;

pub(crate) use exchange::{Broken, Exchange};
use link::Io;
pub(crate) use link::{Link, Tunnel};
pub(crate) use reader::AnswerParts;
#[cfg(test)]
pub(crate) use reader::{Piece, Reader};
use wall::Wall;
pub(crate) use wall::suits;

impl Link {
    /// Begins an exchange. Of the request's body, `whole` is all, or `rest` is still to come.
    pub(crate) fn send(
        self: Box<Self>,
        head: &Head,
        whole: Option<&RequestBody>,
        rest: Option<RequestBody>,
    ) -> Exchange {
        Exchange::new(self, head, whole, rest)
    }
}

/// Idle connections by worker, the latest last.
#[derive(Debug)]
pub(crate) struct Connections {
    idle: RefCell<BTreeMap<WorkerId, Vec<Idle>>>,
    idle_max: usize,
    idle_timeout: Duration,
    connect_timeout: Duration,
    clock: Clock,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: Timestamp,
}

/// No connection to a worker could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("accepted no connection within {0:?}")]
    TooSlow(Duration),
    #[error("refused the connection")]
    Refused,
    #[error("could not be connected to: {0}")]
    Failed(#[from] io::Error),
}

impl Connections {
    pub(crate) fn new(config: &crate::Config, clock: Clock) -> Self {
        Self {
            idle: RefCell::default(),
            idle_max: config.upstream_idle_max,
            idle_timeout: config.upstream_idle_timeout,
            connect_timeout: config.connect_timeout,
            clock,
        }
    }

    /// The idle connection to `backend` used last, if there is one that works.
    pub(crate) fn take(&self, backend: &Backend, now: Timestamp) -> Option<Box<Link>> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&backend.id())?;
        let oldest = self.oldest(now);
        std::iter::from_fn(|| list.pop())
            .find(|kept| kept.since >= oldest && kept.link.is_quiet())
            .map(|kept| kept.link)
    }

    /// Keeps the connection of an exchange that is over for the next request, if it will do.
    pub(crate) fn give_back(&self, backend: &Backend, exchange: Exchange, now: Timestamp) {
        let Some(link) = exchange.into_link().filter(|_| !backend.is_retired()) else { return };
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(backend.id()).or_default();
        if list.len() < self.idle_max {
            list.push(Idle { link, since: now });
        }
    }

    /// Closes connections that have been idle too long, that the worker has closed, or whose
    /// worker gets no more requests. `ready` are the workers that do.
    pub(crate) fn sweep(&self, ready: &[Arc<Backend>]) {
        let oldest = self.oldest(self.clock.now());
        self.idle.borrow_mut().retain(|id, list| {
            list.retain(|kept| kept.since >= oldest && kept.link.is_quiet());
            !list.is_empty() && ready.iter().any(|backend| backend.id() == *id)
        });
    }

    /// Since when a connection must have been idle, at the latest, to be used again.
    fn oldest(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.idle_timeout).unwrap_or(Timestamp::MIN)
    }

    /// Makes a new connection. With a wall, it is given up if its first bytes are not acknowledged
    /// in time.
    pub(crate) async fn connect(&self, backend: &Backend, walled: bool) -> Result<Box<Link>, ConnectError> {
        let connected = self.clock.timeout(self.connect_timeout, open(backend.address(), walled)).await;
        connected.map_err(|_| ConnectError::TooSlow(self.connect_timeout))?
    }
}

pub(crate) async fn open(address: &Address, walled: bool) -> Result<Box<Link>, ConnectError> {
    let io = match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(refused)?;
            stream.set_nodelay(true)?;
            Io::Tcp(stream)
        }
        #[cfg(unix)]
        Address::Unix(path) => Io::Unix(UnixStream::connect(path).await.map_err(refused)?),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    };
    let wall = walled.then(|| Wall::around(&io)).flatten();
    Ok(Box::new(Link::new(io, wall)))
}

fn refused(error: io::Error) -> ConnectError {
    match error.kind() {
        // A socket's path that is not there is a worker that is not there.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectError::Refused,
        _ => ConnectError::Failed(error),
    }
}
