//! One thread's connections to workers: made when needed, kept while idle, bounded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use traffic::{Address, Backend, WorkerId};

use crate::body::RequestBody;
use crate::strict::Wire;

mod socket;
mod wall;

use socket::WorkerIo;
pub(crate) use socket::fault_of;
use wall::Wall;
pub(crate) use wall::{is_unacknowledged, suits};

/// A worker's answers' heads, in bytes: what it sends in cookies and policies fits.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Sends requests over one connection, one after the other.
#[derive(Debug)]
pub(crate) struct Sender {
    requests: http1::SendRequest<RequestBody>,
    wire: Arc<Wire>,
}

impl Sender {
    /// Sends a request; it comes back with the error if nothing of it was sent.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        self.wire.ask(request.method() == Method::HEAD);
        self.requests.try_send_request(request)
    }

    fn is_ready(&self) -> bool {
        self.requests.is_ready() && !self.wire.is_tainted()
    }

    fn is_closed(&self) -> bool {
        self.requests.is_closed() || self.wire.is_tainted()
    }
}

/// Idle connections by worker, the latest last.
#[derive(Debug)]
pub(crate) struct Connections {
    idle: RefCell<HashMap<WorkerId, Vec<Idle>>>,
    idle_max: usize,
    idle_timeout: Duration,
    connect_timeout: Duration,
    clock: Clock,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
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
    #[error("could not be spoken to: {0}")]
    Handshake(#[from] hyper::Error),
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
    pub(crate) fn take(&self, backend: &Backend) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&backend.id())?;
        let oldest = self.oldest();
        std::iter::from_fn(|| list.pop())
            .find(|kept| kept.since >= oldest && kept.sender.is_ready())
            .map(|kept| kept.sender)
    }

    /// Keeps a connection for the next request, as soon as it has finished with this one.
    pub(crate) fn give_back(self: &Rc<Self>, backend: &Arc<Backend>, mut sender: Sender) {
        if sender.is_ready() {
            self.keep(backend, sender);
        } else if !sender.is_closed() {
            // The answer came before the whole request had gone out.
            let (connections, backend) = (Rc::clone(self), Arc::clone(backend));
            tokio::task::spawn_local(async move {
                if sender.requests.ready().await.is_ok() && sender.is_ready() {
                    connections.keep(&backend, sender);
                }
            });
        }
    }

    fn keep(&self, backend: &Backend, sender: Sender) {
        if backend.is_retired() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(backend.id()).or_default();
        if list.len() < self.idle_max {
            list.push(Idle { sender, since: self.clock.now() });
        }
    }

    /// Closes connections that have been idle too long, that the worker has closed, or whose
    /// worker gets no more requests. `ready` are the workers that do.
    pub(crate) fn sweep(&self, ready: &[Arc<Backend>]) {
        let oldest = self.oldest();
        self.idle.borrow_mut().retain(|id, list| {
            list.retain(|kept| kept.since >= oldest && !kept.sender.is_closed());
            !list.is_empty() && ready.iter().any(|backend| backend.id() == *id)
        });
    }

    /// Since when a connection must have been idle, at the latest, to be used again.
    fn oldest(&self) -> Timestamp {
        self.clock.now().saturating_sub(self.idle_timeout).unwrap_or(Timestamp::MIN)
    }

    /// Makes a new connection. With a wall, it is given up if its first bytes are not acknowledged
    /// in time.
    pub(crate) async fn connect(&self, backend: &Backend, walled: bool) -> Result<Sender, ConnectError> {
        let connected = self.clock.timeout(self.connect_timeout, open(backend.address(), walled)).await;
        connected.map_err(|_| ConnectError::TooSlow(self.connect_timeout))?
    }
}

pub(crate) async fn open(address: &Address, walled: bool) -> Result<Sender, ConnectError> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(refused)?;
            stream.set_nodelay(true)?;
            let wall = (walled && address.ip().is_loopback()).then(|| Wall::build(&stream)).flatten();
            handshake(stream, wall).await
        }
        #[cfg(unix)]
        Address::Unix(path) => handshake(UnixStream::connect(path).await.map_err(refused)?, None).await,
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    }
}

fn refused(error: io::Error) -> ConnectError {
    match error.kind() {
        // A socket's path that is not there is a worker that is not there.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectError::Refused,
        _ => ConnectError::Failed(error),
    }
}

async fn handshake<S>(stream: S, wall: Option<Wall<S>>) -> Result<Sender, ConnectError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let wire = Arc::<Wire>::default();
    let io = TokioIo::new(WorkerIo::new(stream, Arc::clone(&wire), wall));
    let (requests, connection) = http1::handshake(io).await?;
    // It ends when the sender is dropped or the worker closes; what went wrong with a request is
    // told to that request.
    tokio::task::spawn_local(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(Sender { requests, wire })
}
