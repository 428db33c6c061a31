//! The threads: each a runtime, a listener, connections of its own.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use http::HeaderValue;
use parking_lot::Mutex;
use rand_pcg::Pcg64;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use traffic::pool::AlreadyWatched;
use traffic::{Meter, Pool, RateLimit, RetryBudget, Shard};

use crate::downstream::{self, Door, turn_away};
use crate::places::{Idle, Place, Places};
use crate::refusal::Refusals;
use crate::retire::{DrainNotice, Router};
use crate::retry::Hedges;
use crate::settings::{InForce, Settings};
use crate::upstream::Connections;
use crate::waiting::Waiting;
use crate::{Config, Sockets, learning, probe, settings};

/// How often, within the time that a connection to a worker may be idle, a thread looks for such
/// as have been: one is closed at most a quarter late.
const SWEEPS_PER_TIMEOUT: u32 = 4;
/// Sweeping more often than this would cost more than the connections do.
const SWEEP_EVERY_MIN: Duration = Duration::from_millis(100);
/// After a failed accept (no file descriptors left, mostly) the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When serving stops, a request may already be in the socket of an idle connection: this is time
/// for the runtime to look.
const NEXT_REQUEST_GRACE_MILLIS: u64 = 5;

/// The balancer could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be listened on; `AddrInUse` when another program has it.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The pool belongs to another proxy.
    #[error(transparent)]
    Watched(#[from] AlreadyWatched),
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Client connections that were cut because they had not finished in time.
    pub cut: usize,
}

/// A running balancer. Dropped, it cuts all connections; [`shutdown`](Proxy::shutdown) lets them
/// finish.
#[derive(Debug)]
pub struct Proxy {
    local_addr: SocketAddr,
    router: Router,
    clock: Clock,
    /// Copies of what the threads accept from.
    sockets: Sockets,
    opened: CancellationToken,
    /// Milliseconds that an idle connection gets for its next request once serving stops.
    idle_grace: Arc<AtomicU64>,
    stopping: CancellationToken,
    cut: CancellationToken,
    threads: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    handle: JoinHandle<usize>,
    /// Resolves when the thread is about to end.
    ended: oneshot::Receiver<()>,
}

/// Requests of each address, for all threads; only where there is a limit.
pub(crate) type Rates = Mutex<RateLimit<IpAddr>>;

/// What a thread's requests share.
pub(crate) struct Thread {
    pub(crate) in_force: InForce,
    pub(crate) clock: Clock,
    pub(crate) pool: Arc<Pool>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) shard: Rc<Shard>,
    pub(crate) connections: Rc<Connections>,
    pub(crate) random: RefCell<Pcg64>,
    pub(crate) own_host: HeaderValue,
    /// Where TLS is spoken, if it is.
    pub(crate) tls_port: u16,
    pub(crate) retries: RefCell<RetryBudget>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) hedges: Arc<Hedges>,
    pub(crate) places: Arc<Places>,
    /// Client connections between requests.
    pub(crate) idle: Idle,
    /// Client connections and tunnels.
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    idle_grace: Arc<AtomicU64>,
}

impl Thread {
    /// The settings as they are now.
    pub(crate) fn config(&self) -> Rc<Settings> {
        self.in_force.get()
    }

    /// How long an idle connection is waited for once serving stops.
    pub(crate) fn idle_grace(&self) -> Duration {
        Duration::from_millis(self.idle_grace.load(Relaxed))
    }
}

/// What a thread is started with.
struct Seed {
    index: usize,
    config: Config,
    clock: Clock,
    pool: Arc<Pool>,
    waiting: Arc<Waiting>,
    shard: Shard,
    refusals: Arc<Refusals>,
    hedges: Arc<Hedges>,
    places: Arc<Places>,
    settings: watch::Receiver<Arc<Settings>>,
    retirements: watch::Receiver<()>,
    local_addr: SocketAddr,
    /// A listener whose clients are sent to the other.
    redirecting: Option<StdListener>,
    /// Accepting begins then.
    opened: CancellationToken,
    idle_grace: Arc<AtomicU64>,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl Proxy {
    /// Starts serving. `pool` must not have a watcher: this proxy becomes it. Each thread counts
    /// in its own shard of `meter`.
    ///
    /// # Errors
    /// When the address cannot be listened on, a thread cannot be started, or the pool belongs to
    /// another proxy.
    pub fn start(
        config: Config,
        pool: Arc<Pool>,
        meter: &Meter,
        clock: Clock,
        on_drained: DrainNotice,
    ) -> Result<Self, StartError> {
        let proxy = Self::prepare(Sockets::bind(&config)?, config, pool, meter, clock, on_drained)?;
        proxy.open();
        Ok(proxy)
    }

    /// The same on sockets that listen already, wherever `config` says; accepting begins with
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn prepare(
        sockets: Sockets,
        config: Config,
        pool: Arc<Pool>,
        meter: &Meter,
        clock: Clock,
        on_drained: DrainNotice,
    ) -> Result<Self, StartError> {
        let address = config.listen;
        let not_listening = |cause| StartError::Listen { address, cause };
        let local_addr = sockets.local_addr().map_err(not_listening)?;
        let hands = sockets.dealt(config.threads.get()).map_err(not_listening)?;
        let mut redirecting = sockets.redirecting().map_err(not_listening)?;
        let waiting = Arc::new(Waiting::new(config.queue_max));
        let settings = Settings::new(config.clone(), clock);
        let router = Router::new(settings, Arc::clone(&pool), Arc::clone(&waiting), clock, on_drained)?;
        let (stopping, cut) = (CancellationToken::new(), CancellationToken::new());
        let opened = CancellationToken::new();
        let idle_grace = Arc::new(AtomicU64::new(NEXT_REQUEST_GRACE_MILLIS));
        // Built as it grows: if a thread cannot be started, dropping it ends those that were.
        let threads = Vec::new();
        let mut proxy =
            Self { local_addr, router, clock, sockets, opened, idle_grace, stopping, cut, threads };
        for (index, listeners) in hands.into_iter().enumerate() {
            let seed = Seed {
                index,
                config: config.clone(),
                clock,
                pool: Arc::clone(&pool),
                waiting: Arc::clone(&waiting),
                shard: meter.shard(),
                refusals: proxy.router.refusals(),
                hedges: proxy.router.hedges(),
                places: proxy.router.places(),
                settings: proxy.router.settings(),
                retirements: proxy.router.retirements(),
                local_addr,
                // One thread will do: each client comes there once.
                redirecting: redirecting.take(),
                opened: proxy.opened.clone(),
                idle_grace: Arc::clone(&proxy.idle_grace),
                stopping: proxy.stopping.clone(),
                cut: proxy.cut.clone(),
            };
            proxy.threads.push(start_thread(seed, listeners).map_err(StartError::Thread)?);
        }
        Ok(proxy)
    }

    /// Begins to accept.
    pub fn open(&self) {
        self.opened.cancel();
    }

    /// Copies of the listening sockets, for a process that is to take over.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub fn sockets(&self) -> io::Result<Sockets> {
        self.sockets.try_clone()
    }

    /// As [`shutdown`](Self::shutdown), once another process accepts from the same sockets: there is
    /// no hurry, so a kept connection is told to close by the answer to its next request, and only
    /// closed unasked when none came for `idle_grace`.
    pub async fn hand_over(self, idle_grace: Duration, grace: Duration) -> Shutdown {
        let millis = u64::try_from(idle_grace.as_millis()).unwrap_or(u64::MAX);
        self.idle_grace.store(millis, Relaxed);
        self.shutdown(grace).await
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What changes the workers that get requests; may be kept beyond the proxy.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Stops accepting, lets requests finish for up to `grace`, then cuts what is left. When it
    /// returns, no thread of the proxy runs. Connections that the kernel had accepted are served
    /// first: a request that got in is answered.
    pub async fn shutdown(mut self, grace: Duration) -> Shutdown {
        // Ours would keep the backlog open after the threads have closed theirs.
        self.sockets.close();
        self.stopping.cancel();
        let threads = std::mem::take(&mut self.threads);
        let (handles, ended): (Vec<_>, Vec<_>) = threads.into_iter().map(|t| (t.handle, t.ended)).unzip();
        let mut all_ended = std::pin::pin!(futures_util::future::join_all(ended));
        tokio::select! {
            _ = &mut all_ended => {}
            () = self.clock.sleep(grace) => {
                self.cut.cancel();
                all_ended.await;
            }
        }
        // A thread that panicked has cut its connections; the panic has been reported.
        Shutdown { cut: handles.into_iter().map(|handle| handle.join().unwrap_or_default()).sum() }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.cut.cancel();
        for thread in self.threads.drain(..) {
            // Quick: nothing is waited for once `cut` is set. A panic has been reported.
            let _ = thread.handle.join();
        }
    }
}

fn start_thread(seed: Seed, listeners: Vec<StdListener>) -> io::Result<Running> {
    let (started, starting) = std::sync::mpsc::sync_channel(1);
    let (ending, ended) = oneshot::channel();
    let name = format!("proxy-{}", seed.index);
    let handle = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = started.send(Err(error));
                return 0;
            }
        };
        let cut = runtime.block_on(serve(seed, listeners, started));
        // Cuts what is left, and gives back its leases.
        drop(runtime);
        let _ = ending.send(());
        cut
    })?;
    let running = Running { handle, ended };
    match starting.recv() {
        Ok(Ok(())) => Ok(running),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the thread ended before it had started")),
    }
}

/// Serves until told to stop; returns how many connections were left when told to cut.
async fn serve(
    mut seed: Seed,
    listeners: Vec<StdListener>,
    started: std::sync::mpsc::SyncSender<io::Result<()>>,
) -> usize {
    let doors = match doors(listeners, seed.redirecting.take()) {
        Ok(doors) => doors,
        Err(error) => {
            let _ = started.send(Err(error));
            return 0;
        }
    };
    let Seed { ref retirements, ref cut, ref local_addr, ref opened, .. } = seed;
    let stream = u128::try_from(seed.index).unwrap_or_default();
    let thread = Rc::new(Thread {
        connections: Rc::new(Connections::new(&seed.config, seed.clock)),
        random: RefCell::new(Pcg64::new(seed.config.seed.into(), stream)),
        own_host: HeaderValue::from_str(&local_addr.to_string()).expect("an address is visible ASCII"),
        tls_port: local_addr.port(),
        retries: RefCell::new(RetryBudget::new(seed.clock.now())),
        refusals: Arc::clone(&seed.refusals),
        hedges: Arc::clone(&seed.hedges),
        places: Arc::clone(&seed.places),
        idle: Idle::new(Arc::clone(&seed.places), seed.index),
        in_force: InForce::new(Settings::clone(&seed.settings.borrow())),
        clock: seed.clock,
        pool: Arc::clone(&seed.pool),
        waiting: Arc::clone(&seed.waiting),
        shard: Rc::new(seed.shard),
        tasks: TaskTracker::new(),
        stopping: seed.stopping.clone(),
        idle_grace: Arc::clone(&seed.idle_grace),
    });
    let _ = started.send(Ok(()));
    if seed.index == 0 {
        tokio::task::spawn_local(learning::run(Rc::clone(&thread)));
        tokio::task::spawn_local(probe::run(Rc::clone(&thread), seed.settings.clone()));
    }
    tokio::task::spawn_local(settings::follow(Rc::clone(&thread), seed.settings.clone()));
    tokio::task::spawn_local(sweep(Rc::clone(&thread), retirements.clone()));
    tokio::task::spawn_local(give_way(Rc::clone(&thread)));
    tokio::select! {
        biased;
        () = opened.cancelled() => {}
        () = thread.stopping.cancelled() => {}
    }
    let accepting = doors.into_iter().map(|(listener, door)| accept(&thread, listener, door));
    futures_util::future::join_all(accepting).await;
    thread.tasks.close();
    tokio::select! {
        biased;
        () = thread.tasks.wait() => 0,
        () = cut.cancelled() => thread.tasks.len(),
    }
}

/// What a thread accepts from, and what those who come there get.
fn doors(front: Vec<StdListener>, redirecting: Option<StdListener>) -> io::Result<Vec<(TcpListener, Door)>> {
    let front = front.into_iter().map(|listener| (listener, Door::Front));
    let all = front.chain(redirecting.map(|listener| (listener, Door::Redirect)));
    all.map(|(listener, door)| Ok((TcpListener::from_std(listener)?, door))).collect()
}

/// Accepts until told to stop, and then what the kernel has accepted by that time.
async fn accept(thread: &Rc<Thread>, listener: TcpListener, door: Door) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = thread.stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, client)) = accepted else {
            thread.clock.sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match thread.places.enter() {
            Some(place) => welcome(thread, stream, client, Some(place), door),
            None => refuse(thread, stream, client, door),
        }
    }
    // Closing a listener resets the connections in its backlog. These get no place: the backlog
    // bounds them, and their clients have been waiting.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, client)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            welcome(thread, stream, client, None, door);
        }
    }
}

fn welcome(thread: &Rc<Thread>, stream: TcpStream, client: SocketAddr, place: Option<Place>, door: Door) {
    // Fails only for a connection that is gone already.
    let _ = stream.set_nodelay(true);
    thread.tasks.spawn_local(downstream::serve(Rc::clone(thread), stream, client.ip(), place, door));
}

/// Never waits with a client in its hands: the next may find a place, or hears that there is none.
fn refuse(thread: &Rc<Thread>, stream: TcpStream, client: SocketAddr, door: Door) {
    let Some(told) = thread.places.turn_away() else {
        thread.refusals.count(turn_away::CODE_UNTOLD);
        return;
    };
    let _ = stream.set_nodelay(true);
    thread.tasks.spawn_local(turn_away::or_serve(Rc::clone(thread), stream, client.ip(), told, door));
}

/// Has idle clients give way to new ones.
async fn give_way(thread: Rc<Thread>) {
    thread.idle.give_way().await;
}

/// Closes idle connections to workers: at once when workers retire, else when their time is up.
async fn sweep(thread: Rc<Thread>, mut retirements: watch::Receiver<()>) {
    let every = (thread.config().upstream_idle_timeout / SWEEPS_PER_TIMEOUT).max(SWEEP_EVERY_MIN);
    loop {
        // An error means that the router is gone, and with it the thread's reason to be.
        match thread.clock.timeout(every, retirements.changed()).await {
            Ok(Err(_)) => return,
            Ok(Ok(())) | Err(_) => thread.connections.sweep(&thread.pool.ready()),
        }
    }
}
