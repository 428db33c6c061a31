//! Backends that somebody else runs: the loop watches them, and there is nothing to scale.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use admin::{AdminConfig, Board, LogLine, Logs, Orders, OrdersError, Ports};
use clock::Clock;
use control::{Command, Controller, ControllerConfig, FleetStatus, InForce, PolicyConfig, State, WorkerSeen};
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use live::{Loop, Mode, Status, Target, TargetError};
use proxy::Router;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use traffic::{Backend, Meter, Pool};

use super::orders::{Reload, slot};
use super::{balancing, source};
use crate::config::Admin;
use crate::failure::{FAILED, Hint, coded};

/// Orders that may wait for the next turn: none is carried out, but each is answered.
const ORDERS_MAX: usize = 4;
/// Turns are what the status and the dashboard are drawn from.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the admin API of a balancer stands on.
pub(crate) struct Parts {
    pub(crate) admin: Admin,
    pub(crate) pool: Arc<Pool>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    pub(crate) balancing: Arc<balancing::Desk>,
    pub(crate) reload: Reload,
    pub(crate) router: Router,
    /// Where it listens already, if it does.
    pub(crate) socket: Option<TcpListener>,
    pub(crate) upgrade: Arc<Notify>,
}

/// The admin API and the loop behind it, at work.
pub(crate) struct Watch {
    server: admin::Handle,
    turning: JoinHandle<Fixed>,
    stop: CancellationToken,
}

impl Watch {
    /// Where the admin API is.
    pub(crate) fn server(&self) -> &admin::Handle {
        &self.server
    }

    /// Ends both.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.server.finished().await;
        // Fails only if the loop panicked, and that has been reported by the panic itself.
        let _ = self.turning.await;
    }
}

/// Starts to watch.
pub(crate) async fn start(parts: Parts) -> anyhow::Result<Watch> {
    let Parts { admin, pool, meter, clock, stop, balancing, reload, router, socket, upgrade } = parts;
    let backends = u32::try_from(pool.ready().len()).unwrap_or(u32::MAX);
    let policy = PolicyConfig { name: "threshold".to_owned(), settings: serde_json::Map::new() };
    let control =
        ControllerConfig { policy, min: backends, max: backends, interval: INTERVAL, shadows: Vec::new() };
    let controller = Controller::new(control).hint("this is a defect: please report it")?;
    let board = Arc::new(Board::new());
    let ports = Arc::new(Ports {
        board: Arc::clone(&board),
        totals: {
            let meter = Arc::clone(&meter);
            Arc::new(move || source::totals(&meter.read(clock.now()), &router))
        },
        orders: Arc::new(Desk { pool: Arc::clone(&pool), stop, reload, upgrade }),
        balancing,
        logs: Arc::new(NoLogs),
        record: None,
        prediction: None,
        in_force: InForce {
            policy: "fixed".to_owned(),
            min: backends,
            max: backends,
            paused: false,
            scale_in_paused: false,
            paused_until: None,
            held: None,
            held_until: None,
        },
        signal: "none".into(),
        version: env!("CARGO_PKG_VERSION"),
        page: dashboard::web::PAGE.into(),
    });
    let ended = CancellationToken::new();
    let settings = AdminConfig { listen: admin.listen, token: admin.token, hosts: Vec::new() };
    let server = match socket {
        Some(socket) => admin::serve_on(socket, settings, ports, clock, ended.clone()),
        None => admin::serve(settings, ports, clock, ended.clone()).await,
    };
    let server = server.map_err(|error| {
        let advice = error.hint();
        coded(error.into(), advice, FAILED)
    })?;
    let (_, commands) = mpsc::channel(ORDERS_MAX);
    let turning = Loop {
        source: source::MeterSource::new(Arc::clone(&pool), meter, clock.now()),
        target: Fixed { pool, clock, since: clock.now() },
        controller,
        commands,
        mode: Mode::Recommend,
        forecasting: None,
        slow: Box::new(live::NoSlow),
        clock,
    };
    let turning = tokio::spawn(turning.run(ended.clone(), move |cycle| drop(board.push(cycle))));
    Ok(Watch { server, turning, stop: ended })
}

/// Backends as a target that is as it is.
struct Fixed {
    pool: Arc<Pool>,
    clock: Clock,
    since: Timestamp,
}

impl Fixed {
    fn worker(&self, backend: &Backend, state: State) -> WorkerSeen {
        WorkerSeen {
            id: backend.id(),
            pid: None,
            address: Some(backend.address().clone()),
            state,
            since: self.since,
            started_at: self.since,
            ready_at: Some(self.since),
            first_request_at: None,
            cpu_percent: None,
            memory_bytes: None,
            in_flight: 0,
            requests: 0,
            restarts: 0,
            version: backend.version(),
            protected: false,
            metrics: Vec::new(),
        }
    }
}

impl Target for Fixed {
    async fn status(&mut self) -> Result<Status, TargetError> {
        let now = self.clock.now();
        let mut fleet = FleetStatus::default();
        let mut workers = Vec::new();
        for backend in self.pool.ready().iter() {
            let (state, count) = match backend.target_health(now).state {
                "healthy" => (State::Ready, &mut fleet.ready),
                "initial" => (State::Starting, &mut fleet.starting),
                _ => (State::Unhealthy, &mut fleet.unhealthy),
            };
            *count += 1;
            fleet.desired += 1;
            workers.push(self.worker(backend, state));
        }
        Ok(Status { fleet, workers, ..Status::default() })
    }

    async fn scale_to(&mut self, _desired: u32, _seen: &[WorkerSeen]) -> Result<(), TargetError> {
        Ok(())
    }
}

/// Takes the orders that make sense without a fleet.
struct Desk {
    pool: Arc<Pool>,
    stop: CancellationToken,
    reload: Reload,
    upgrade: Arc<Notify>,
}

impl Orders for Desk {
    fn command(&self, _command: Command) -> Result<(), OrdersError> {
        Err(OrdersError::Refused("these backends run elsewhere: there is nothing to scale".to_owned()))
    }

    /// A backend without weight gets no new request; it is in again with the next start.
    fn drain(&self, worker: &str) -> Result<(), OrdersError> {
        let unknown = || OrdersError::UnknownWorker(worker.to_owned());
        let asked = slot(worker).ok_or_else(unknown)?;
        let ready = self.pool.ready();
        let backend = ready.iter().find(|backend| backend.id().slot == asked).ok_or_else(unknown)?;
        backend.set_weight(Some(0));
        Ok(())
    }

    fn kill(&self, _worker: &str) -> Result<(), OrdersError> {
        Err(OrdersError::Refused("this backend runs elsewhere: it can be drained, not killed".to_owned()))
    }

    fn protect(&self, _worker: &str, _on: bool) -> Result<(), OrdersError> {
        Err(OrdersError::Refused("these backends run elsewhere: none is taken away".to_owned()))
    }

    fn stop(&self) -> Result<(), OrdersError> {
        self.stop.cancel();
        Ok(())
    }

    fn upgrade(&self) -> Result<(), OrdersError> {
        self.upgrade.notify_one();
        Ok(())
    }

    fn reload(&self) -> Result<(), OrdersError> {
        (self.reload)("admin API").map(drop).map_err(|error| OrdersError::Refused(format!("{error:#}")))
    }
}

/// What backends print is read by whoever runs them.
struct NoLogs;

impl Logs for NoLogs {
    fn last(&self, _worker: &str, _n: usize) -> Option<Vec<LogLine>> {
        None
    }

    fn follow(&self, _worker: &str, _n: usize) -> Option<BoxStream<'static, LogLine>> {
        None
    }
}
