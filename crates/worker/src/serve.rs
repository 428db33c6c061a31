//! Listens, serves connections, and ends without losing a request that was accepted.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::burn::Burner;
use crate::config::{WorkerConfig, WorkerError};
use crate::work::CPU_MS_MAX;

/// Connections waiting to be accepted: what Linux allows by default for a burst.
const BACKLOG: u32 = 4096;
/// Connections served at once; more wait in the backlog. Bounds memory at some 20 KiB each.
const CONNECTIONS_MAX: usize = 4096;
/// Read and write buffer of one connection: our requests and answers are small.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Time for a request's header to arrive, which also ends idle connections. Longer than a
/// proxy keeps an idle connection, so that it is the proxy that closes and nothing crosses.
const HEADER_TIME_MAX: Duration = Duration::from_secs(120);
/// When told to stop: how long a connection that has never carried a request may still bring one.
const LINGER: Duration = Duration::from_millis(500);
/// Pause after the system refused a connection for want of file descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Runs a worker until `shutdown` resolves and its requests are answered.
///
/// # Errors
/// When it cannot start, or when requests are left at the drain deadline.
pub async fn run(config: WorkerConfig, shutdown: impl Future<Output = ()>) -> Result<(), WorkerError> {
    Worker::bind(config, Clock::start())?.serve(shutdown).await
}

/// A worker that listens but does not answer yet.
pub struct Worker {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    clock: Clock,
    drain_deadline: Duration,
}

impl Worker {
    /// Takes the port and starts the burning thread. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When a setting makes no sense or the port cannot be had.
    pub fn bind(config: WorkerConfig, clock: Clock) -> Result<Self, WorkerError> {
        let name = check(&config)?;
        let address = SocketAddr::new(config.host, config.port);
        let listener = listen(address).map_err(|because| match because.kind() {
            ErrorKind::AddrInUse => WorkerError::PortTaken(address),
            _ => WorkerError::Listen { address, because },
        })?;
        let address = listener.local_addr().map_err(|because| WorkerError::Listen { address, because })?;
        let burner = Burner::start(config.cpus, clock).map_err(WorkerError::Thread)?;
        let drain_deadline = config.drain_deadline;
        let app = Arc::new(App::new(config, name, burner, clock));
        Ok(Self { app, listener, address, clock, drain_deadline })
    }

    /// Where it listens; with port 0 this tells the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then answers what was accepted and queued.
    ///
    /// # Errors
    /// When requests are left at the drain deadline; they are cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let Self { app, listener, clock, drain_deadline, .. } = self;
        let draining = CancellationToken::new();
        let mut open = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = open.join_next() => {}
                accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        open.spawn(connection(stream, Arc::clone(&app), draining.clone(), clock));
                    }
                    // A client that left between connect and accept is no reason to pause.
                    Err(error) if is_clients(error.kind()) => {}
                    Err(_) => clock.sleep(REFUSED_PAUSE).await,
                },
            }
        }
        app.drain();
        for stream in last_accepted(listener) {
            open.spawn(connection(stream, Arc::clone(&app), draining.clone(), clock));
        }
        draining.cancel();
        let finished = async { while open.join_next().await.is_some() {} };
        if clock.timeout(drain_deadline, finished).await.is_err() {
            let unfinished = u64::try_from(open.len()).unwrap_or(u64::MAX);
            return Err(WorkerError::DrainDeadline { unfinished, deadline: drain_deadline });
        }
        Ok(())
    }
}

fn check(config: &WorkerConfig) -> Result<HeaderValue, WorkerError> {
    let cpus = config.cpus;
    if !(cpus > 0.0 && cpus <= 1.0) {
        let text = format!("cpus is {cpus}: expected a share of one core, above 0 and at most 1");
        return Err(WorkerError::Setting(text));
    }
    if !(0.0..=CPU_MS_MAX).contains(&config.cpu_ms) {
        let text = format!("cpu_ms is {}: expected 0 to {CPU_MS_MAX}", config.cpu_ms);
        return Err(WorkerError::Setting(text));
    }
    HeaderValue::from_str(&config.id).map_err(|_| {
        let text = format!("the worker's id {:?} cannot stand in an HTTP header", config.id);
        WorkerError::Setting(text)
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A successor must get the port although connections of its predecessor are in TIME_WAIT.
    // SO_REUSEPORT stays off: two workers on one port must be an error.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_clients(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Closes the listener after taking what the kernel had already accepted: closing alone would
/// reset those connections.
fn last_accepted(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let mut streams = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            streams.push(stream);
        }
    }
    streams
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, app: Arc<App>, draining: CancellationToken, clock: Clock) {
    // Without it a small answer may wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let used = CancellationToken::new();
    let service = service_fn(|request| {
        used.cancel();
        app.answer(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME_MAX).max_buf_size(BUFFER_BYTES_MAX);
    let served = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // Errors here are broken or malformed connections: the client's affair, and it has been told.
    tokio::select! {
        _ = served.as_mut() => return,
        () = draining.cancelled() => {}
    }
    // hyper would close a connection that it has not read from, although a request may be there.
    tokio::select! {
        _ = served.as_mut() => return,
        () = used.cancelled() => {}
        () = clock.sleep(LINGER) => return,
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
