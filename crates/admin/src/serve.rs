//! Listens, and bounds what any client can take up.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clock::Clock;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{self, App};
use crate::guard::Guard;
use crate::ports::Ports;
use crate::stall::Stalling;

/// Connections open at a time; further ones wait in the listener's backlog. Commands and
/// dashboards need one or two each.
const CONNECTIONS_MAX: usize = 128;

/// A connection that sends no whole head for this long is closed; also one kept alive unused.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of head that are read at most.
const HEAD_MAX: usize = 64 * 1024;

/// A connection whose reader takes nothing for this long is closed.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long open requests may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where to listen and whom to trust.
#[derive(Clone)]
pub struct AdminConfig {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// What every request must bring, but for `/healthz`. Without one only loopback addresses
    /// may be listened on.
    pub token: Option<String>,
    /// Names beside `localhost` by which clients may call this server.
    pub hosts: Vec<String>,
}

impl fmt::Debug for AdminConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("AdminConfig").field("listen", &self.listen).field("token", &token).finish()
    }
}

/// Why the admin API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anyone on the network could steer the pool.
    #[error("admin address {0} can be reached from the network, and no token is set")]
    Unguarded(SocketAddr),
    /// A token without a byte guards nothing.
    #[error("the admin token is empty or has characters that a header cannot carry")]
    BadToken,
    /// The address is taken, or not ours.
    #[error("admin address {listen}: {source}")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// The cause; of kind `AddrInUse` when another port may do.
        source: io::Error,
    },
}

impl ServeError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unguarded(_) => "set `--admin-token`, or listen on 127.0.0.1",
            Self::BadToken => "use letters and digits in `--admin-token`",
            Self::Bind { .. } => "choose another address with `--admin`; port 0 takes any free one",
        }
    }
}

impl AdminConfig {
    /// Refuses to be open to the network without a token.
    ///
    /// # Errors
    /// `Unguarded` or `BadToken`.
    pub fn check(&self) -> Result<(), ServeError> {
        match &self.token {
            None if !self.listen.ip().is_loopback() => Err(ServeError::Unguarded(self.listen)),
            Some(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(ServeError::BadToken)
            }
            _ => Ok(()),
        }
    }
}

/// A server at work.
#[derive(Debug)]
pub struct Handle {
    /// Where it listens.
    pub local_addr: SocketAddr,
    socket: StdListener,
    task: JoinHandle<()>,
}

impl Handle {
    /// A copy of its socket, for a process that is to take over.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub fn socket(&self) -> io::Result<StdListener> {
        self.socket.try_clone()
    }

    /// Waits until the server has stopped; order that with the token given to [`serve`].
    pub async fn finished(self) {
        drop(self.socket);
        // Fails only if the task panicked, and that has been reported by the panic itself.
        let _ = self.task.await;
    }
}

/// Starts to serve the admin API until `shutdown`.
///
/// # Errors
/// The configuration is unsafe or the address cannot be listened on.
pub async fn serve(
    config: AdminConfig,
    ports: Arc<Ports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<Handle, ServeError> {
    config.check()?;
    let listen = config.listen;
    let listener = StdListener::bind(listen).map_err(|source| ServeError::Bind { listen, source })?;
    serve_on(listener, config, ports, clock, shutdown)
}

/// The same on a socket that listens already, wherever `config` says.
///
/// # Errors
/// As [`serve`].
pub fn serve_on(
    socket: StdListener,
    config: AdminConfig,
    ports: Arc<Ports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<Handle, ServeError> {
    let bind_error = |source| ServeError::Bind { listen: config.listen, source };
    let local_addr = socket.local_addr().map_err(bind_error)?;
    AdminConfig { listen: local_addr, ..config.clone() }.check()?;
    socket.set_nonblocking(true).map_err(bind_error)?;
    let listener = socket.try_clone().and_then(TcpListener::from_std).map_err(bind_error)?;
    let guard = Guard::new(config.token, local_addr, &config.hosts);
    let router = api::router(App::new(ports, clock, shutdown.clone()), guard);
    let task = tokio::spawn(accept(listener, router, clock, shutdown));
    Ok(Handle { local_addr, socket, task })
}

async fn accept(listener: TcpListener, router: Router, clock: Clock, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    while let Some(stream) = next(&listener, &places, &shutdown).await {
        let (stream, place) = match stream {
            Ok(taken) => taken,
            Err(_) => {
                clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small answers and single events must not wait for each other; without it they work.
        let _ = stream.set_nodelay(true);
        let stream = TokioIo::new(Stalling::new(stream, clock, STALL_TIMEOUT));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX)
            .serve_connection(stream, TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        open.spawn(async move {
            // An error is the client's: it went away or sent no HTTP.
            let _ = connection.await;
            drop(place);
        });
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    // What is still open after the grace is aborted as the set is dropped.
    let _ = clock.timeout(GRACE, graceful.shutdown()).await;
}

type Taken = (TcpStream, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is a place for it; `None` when it is time to stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<io::Result<Taken>> {
    let taking = async {
        let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, place))
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        taken = taking => Some(taken),
    }
}
