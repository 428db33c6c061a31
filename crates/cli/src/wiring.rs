//! Joins the crates: routes down, drain notices up, cycles out, orders in.

pub(crate) mod access_log;
pub(crate) mod balancing;
pub(crate) mod expectation;
pub(crate) mod fixed;
mod forecasting;
mod listeners;
mod logs;
mod orders;
mod record;
pub(crate) mod sockets;
mod source;
pub(crate) mod tls;
pub(crate) mod upgrade;

pub(crate) use listeners::pool;
pub(crate) use orders::{Reload, reload_balance};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin::{Board, Ports};
use anyhow::Context;
use clock::Clock;
use control::{Command, Controller, Cycle, InForce, State};
use journal::{Health, Writer};
use live::{Loop, Mode, Target};
use parking_lot::Mutex;
use proxy::{DrainNotice, HealthCheck, Proxy, Router, Sockets};
use supervisor::{Local, ProbeConfig, Steering, SupervisorConfig, Wires, WorkerCommand};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use traffic::{Ledger, Meter, Pool, Route, WorkerId};

use crate::args::RunArgs;
use crate::config::Config;
use crate::failure::{FAILED, Hint};
use crate::session::Past;
use expectation::Expectation;
use upgrade::{HAND_OVER_GRACE, IDLE_GRACE, Offer, Upgrades};

/// Orders that may wait for the next turn: far more than a person gives in a second.
const ORDERS_MAX: usize = 64;
/// Drain notices under way: more than there can be slots. One that were lost would only make a
/// drain last until its deadline.
const DRAINED_MAX: usize = 1_024;
/// Time that requests in flight get at the end, before connections are cut.
const REQUESTS_GRACE: Duration = Duration::from_secs(30);

/// What to do about a port that another program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Say so and stop.
    Fail,
    /// Take the next free one, and say so.
    Next,
}

/// A pool at work.
pub(crate) struct Running {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) board: Arc<Board>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) reload: orders::Reload,
    /// Cancelled when it is time to stop, by whomever.
    pub(crate) stop: CancellationToken,
    pub(crate) clock: Clock,
    /// What the user should know about the start.
    pub(crate) notices: Vec<String>,
    config: Config,
    proxy: Proxy,
    meter: Arc<Meter>,
    steering: Steering,
    writer: Option<Arc<Mutex<Option<Writer>>>>,
    turning: JoinHandle<Local>,
    upgrades: Upgrades,
    admin_server: admin::Handle,
    admin_stop: CancellationToken,
    loop_stop: CancellationToken,
}

/// Starts everything that `config` asks for. `args` are read again at a reload.
pub(crate) async fn start(config: Config, args: RunArgs, taken: Taken) -> anyhow::Result<Running> {
    let mut handed = sockets::handed()?;
    let clock = Clock::start();
    let mut notices = Vec::new();
    let seed = config.seed.unwrap_or_else(|| clock.now().as_microsecond().unsigned_abs());
    let stop = CancellationToken::new();
    let (past, file) = record::past(&config, taken, clock.now(), &mut notices)?;
    let writer = file.map(|path| record::open(&path, &config, &past, seed, clock.now())).transpose()?;

    let Balancing { pool, meter, proxy, drained, secure } =
        balance(&config, seed, clock, (taken, handed.proxy.take()), &mut notices)?;
    let wires = wires(proxy.router(), Arc::clone(&pool), drained);
    let mut local = workers(&config, seed, clock, wires, &mut notices).await?;
    let steering = local.steering();

    let (controller, first) = take_up(&config, &past, handed.desired, &mut notices)?;
    local.scale_to(first, &[]).await?;
    upgrade::all_ready(&handed, &pool, first, clock, config.pool.start_up_deadline).await?;

    let (commands, commands_in) = mpsc::channel(ORDERS_MAX);
    let balancing = balancing::Desk::of_fleet(proxy.router(), clock, &config.balancer, &steering);
    let reload =
        orders::reload(args, config.clone(), commands.clone(), Arc::clone(&balancing), steering.clone());
    let (upgrade, board) = (Arc::new(Notify::new()), Arc::new(Board::new()));
    let expectation = Expectation::start(&config, &past.cycles, clock, &mut notices)?;
    board.restore(past.cycles);
    let writer = writer.map(|writer| Arc::new(Mutex::new(Some(writer))));
    let ports = ports(PortParts {
        expectation: expectation.clone(),
        config: &config,
        board: &board,
        meter: &meter,
        clock,
        steering: &steering,
        commands: &commands,
        stop: &stop,
        reload: &reload,
        balancing,
        health: writer.as_ref().and_then(health),
        upgrade: &upgrade,
    });
    let (admin_stop, loop_stop) = (CancellationToken::new(), CancellationToken::new());
    let place = (taken, handed.admin.take());
    let admin_server = listeners::admin_api(&config, ports, clock, &admin_stop, place, &mut notices).await?;

    watch_certificate(secure, &config, clock, &stop)?;
    let source = source::MeterSource::new(Arc::clone(&pool), Arc::clone(&meter), clock.now());
    let turning = turns(&config, clock, source, local, controller, commands_in)?;
    let emit = emit(Arc::clone(&board), writer.clone(), pool, expectation);
    let turning = tokio::spawn(turning.run(loop_stop.clone(), emit));
    let offer = Offer::of_pool(&proxy, &admin_server, &board, &config)?;
    let upgrades = Upgrades::listen(offer, upgrade, clock, stop.clone())?;
    upgrade::begin(&proxy, handed.predecessor)?;
    Ok(Running {
        listen: proxy.local_addr(),
        admin: admin_server.local_addr,
        board,
        commands,
        reload,
        stop,
        clock,
        notices,
        config,
        proxy,
        meter,
        steering,
        writer,
        turning,
        upgrades,
        admin_server,
        admin_stop,
        loop_stop,
    })
}

fn watch_certificate(
    secure: Option<Arc<proxy::Tls>>,
    config: &Config,
    clock: Clock,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some((secure, files)) = secure.zip(config.balancer.transport.tls.clone()) else { return Ok(()) };
    tls::watch(secure, files, clock, stop.clone())
}

/// The loop, not yet turning.
fn turns(
    config: &Config,
    clock: Clock,
    source: source::MeterSource,
    target: Local,
    controller: Controller,
    commands: mpsc::Receiver<Command>,
) -> anyhow::Result<Loop<source::MeterSource, Local>> {
    let mode = if config.dry_run { Mode::Recommend } else { Mode::Act };
    let forecasting = forecasting::start(&config.control)?;
    let leash = supervisor::Leash::ourselves().context("our own binary cannot be found")?;
    let slow = Box::new(supervisor::Programs::new(clock, leash));
    Ok(Loop { source, target, controller, commands, mode, forecasting, slow, clock })
}

/// The fleet, without any worker yet.
async fn workers(
    config: &Config,
    seed: u64,
    clock: Clock,
    wires: Wires,
    notices: &mut Vec<String>,
) -> anyhow::Result<Local> {
    let started = Local::start(supervisor_config(config, seed)?, clock, wires).await;
    let mut local = started.coded("check the command after `--`", FAILED)?;
    notices.extend(local.take_notices());
    Ok(local)
}

/// The balancer and what it counts with.
struct Balancing {
    pool: Arc<Pool>,
    meter: Arc<Meter>,
    proxy: Proxy,
    drained: mpsc::Receiver<WorkerId>,
    secure: Option<Arc<proxy::Tls>>,
}

fn balance(
    config: &Config,
    seed: u64,
    clock: Clock,
    (taken, sockets): (Taken, Option<Sockets>),
    notices: &mut Vec<String>,
) -> anyhow::Result<Balancing> {
    let meter = Arc::new(Meter::default());
    let pool = listeners::pool(&config.balancer)?;
    let (drained_out, drained) = mpsc::channel(DRAINED_MAX);
    let on_drained: DrainNotice = Arc::new(move |id: WorkerId| {
        // See DRAINED_MAX.
        let _ = drained_out.try_send(id);
    });
    let mut settings = proxy::Config { seed, ..config.balancer.proxy.clone() };
    let secure = tls::settle(&config.balancer.transport, &mut settings)?;
    settings.access_log = access_log::open(config.balancer.access_log.as_ref())?;
    let sockets = sockets.map_or_else(|| listeners::sockets(&mut settings, taken, notices), Ok)?;
    let proxy = Proxy::prepare(sockets, settings, Arc::clone(&pool), &meter, clock, on_drained)?;
    Ok(Balancing { pool, meter, proxy, drained, secure })
}

/// A controller that goes on where the past ended, and how many workers to begin with.
fn take_up(
    config: &Config,
    past: &Past,
    handed: Option<u32>,
    notices: &mut Vec<String>,
) -> anyhow::Result<(Controller, u32)> {
    let control = &config.control;
    let mut controller = Controller::new(control.clone()).hint("see `autoscale policy show`")?;
    controller.resume(&past.cycles);
    let Some(desired) = handed.or_else(|| past.desired()) else { return Ok((controller, control.min)) };
    let first = desired.clamp(control.min, control.max);
    notices.push(format!("taking up the earlier run: {first} workers desired"));
    Ok((controller, first))
}

/// A view of how recording goes that outlives the writer.
fn health(writer: &Arc<Mutex<Option<Writer>>>) -> Option<Arc<dyn Fn() -> Health + Send + Sync>> {
    let writer = writer.lock();
    let health: Arc<dyn Fn() -> Health + Send + Sync> = Arc::new(writer.as_ref()?.watch());
    Some(health)
}

/// Every cycle goes to the journal, to the forecast and to the board, from which all faces draw; and
/// the balancer learns from it which of the workers that drain cannot be expected to answer any more.
fn emit(
    board: Arc<Board>,
    writer: Option<Arc<Mutex<Option<Writer>>>>,
    pool: Arc<Pool>,
    expectation: Option<Arc<Expectation>>,
) -> impl FnMut(Cycle) {
    move |cycle| {
        if let Some(expectation) = &expectation {
            expectation.see(&cycle);
        }
        if let Cycle::Decided { seen, .. } = &cycle {
            let hung = seen.workers.iter().filter(|worker| worker.state == State::Unhealthy);
            pool.give_up(&hung.map(|worker| worker.id).collect::<Vec<_>>());
        }
        if let Some(writer) = &writer
            && let Some(writer) = writer.lock().as_ref()
        {
            writer.record(&cycle);
        }
        board.push(cycle);
    }
}

impl Running {
    /// Whether the loop has ended by itself, which only a defect could make it do.
    pub(crate) fn has_ended(&self) -> bool {
        self.turning.is_finished()
    }

    /// The configuration at the start.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Ends it all in good order: no new requests, requests finished, workers ended, record
    /// closed. Nothing is left behind when this returns.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let handed_over = self.upgrades.end().await;
        if handed_over {
            // Its successor answers there now.
            self.admin_stop.cancel();
        }
        let router = self.proxy.router();
        let log = router.config().access_log;
        let cut = if handed_over {
            self.proxy.hand_over(IDLE_GRACE, HAND_OVER_GRACE).await
        } else {
            self.proxy.shutdown(REQUESTS_GRACE).await
        };
        if let Some(log) = log {
            log.flush();
        }
        self.loop_stop.cancel();
        let turned = self.turning.await;
        let patience = self.config.pool.drain_timeout + self.config.pool.kill_deadline;
        self.steering.shutdown(patience).await;
        self.admin_stop.cancel();
        self.admin_server.finished().await;
        let closed = self.writer.and_then(|writer| writer.lock().take()).map(|writer| {
            let now = self.clock.now();
            // Every request has ended: now the books must balance to the last one.
            let closing = serde_json::to_value(Ledger::take(router.pool(), &self.meter, now)).ok();
            writer.close_with(now, closing)
        });
        drop(turned.context("the control loop failed")?);
        if let Some(Health { dropped: 1.., error, .. }) = closed {
            let because = error.unwrap_or_else(|| "turns were lost".to_owned());
            crate::output::complain(&format!("warning: the run file is not whole: {because}"));
        }
        if cut.cut > 0 {
            crate::output::complain(&format!(
                "warning: {} connections had not finished and were cut",
                cut.cut
            ));
        }
        Ok(())
    }
}

fn wires(router: Router, pool: Arc<Pool>, drained: mpsc::Receiver<WorkerId>) -> Wires {
    let ended = move |id: WorkerId| {
        let backends = pool.backends();
        backends.iter().find(|backend| backend.id == id).map_or(0, |backend| backend.requests)
    };
    Wires {
        routes: Arc::new(move |routes: &[Route]| drop(router.replace(routes))),
        drained,
        progress: Some(Arc::new(ended)),
    }
}

fn supervisor_config(config: &Config, seed: u64) -> anyhow::Result<SupervisorConfig> {
    let pool = &config.pool;
    let command = match pool.command.split_first() {
        Some((program, arguments)) => WorkerCommand {
            program: program.clone(),
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            directory: None,
        },
        None => demo_worker(pool.worker_cpus)?,
    };
    let mut settings = SupervisorConfig::new(command).context("our own binary cannot be found")?;
    settings.worker_port = pool.worker_port;
    settings.worker_cpus = pool.worker_cpus;
    let health = &pool.health;
    let matcher = Some(health.matcher.clone()).filter(|matcher| *matcher != HealthCheck::local().matcher);
    settings.probe = ProbeConfig {
        path: health.path.to_string(),
        port: health.port,
        matcher,
        interval: health.interval,
        timeout: health.timeout,
    };
    settings.fleet.healthy_threshold = health.healthy_threshold;
    settings.fleet.unhealthy_threshold = health.unhealthy_threshold;
    settings.fleet.grace_period = health.grace_period;
    settings.fleet.unhealthy_deadline = pool.liveness_timeout;
    settings.fleet.startup_deadline = pool.start_up_deadline;
    settings.fleet.drain_timeout = pool.drain_timeout;
    settings.fleet.kill_deadline = pool.kill_deadline;
    settings.fleet.victims = pool.victims;
    settings.seed = seed;
    Ok(settings)
}

/// Our own binary again, as big as a worker is said to be; it cannot be bigger than a core.
fn demo_worker(cpus: f64) -> anyhow::Result<WorkerCommand> {
    let program = std::env::current_exe().context("our own binary cannot be found")?;
    let arguments = ["worker", "--port", "{port}", "--cpus", &cpus.min(1.0).to_string()];
    Ok(WorkerCommand {
        program: program.to_string_lossy().into_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        directory: None,
    })
}

struct PortParts<'a> {
    config: &'a Config,
    board: &'a Arc<Board>,
    meter: &'a Arc<Meter>,
    clock: Clock,
    steering: &'a Steering,
    commands: &'a mpsc::Sender<Command>,
    stop: &'a CancellationToken,
    reload: &'a orders::Reload,
    balancing: Arc<balancing::Desk>,
    health: Option<Arc<dyn Fn() -> Health + Send + Sync>>,
    expectation: Option<Arc<Expectation>>,
    upgrade: &'a Arc<Notify>,
}

fn ports(parts: PortParts<'_>) -> Arc<Ports> {
    let control = &parts.config.control;
    let signal = control.policy.settings.get("signal").and_then(|signal| signal.as_str());
    let (meter, clock, router) = (Arc::clone(parts.meter), parts.clock, parts.balancing.router());
    Arc::new(Ports {
        board: Arc::clone(parts.board),
        totals: Arc::new(move || source::totals(&meter.read(clock.now()), &router)),
        orders: Arc::new(orders::Desk {
            commands: parts.commands.clone(),
            steering: parts.steering.clone(),
            stop: parts.stop.clone(),
            reload: Arc::clone(parts.reload),
            upgrade: Arc::clone(parts.upgrade),
            runtime: tokio::runtime::Handle::current(),
        }),
        balancing: parts.balancing,
        logs: Arc::new(logs::Shelf(Arc::clone(parts.steering.outputs()))),
        record: parts.health,
        prediction: parts.expectation.map(|expectation| {
            let prediction: Arc<dyn Fn() -> admin::Prediction + Send + Sync> =
                Arc::new(move || expectation.prediction());
            prediction
        }),
        in_force: InForce {
            policy: control.policy.name.clone(),
            min: control.min,
            max: control.max,
            paused: false,
            scale_in_paused: false,
            paused_until: None,
            held: None,
            held_until: None,
        },
        signal: signal.unwrap_or("worker_cpu").to_owned().into(),
        version: env!("CARGO_PKG_VERSION"),
        page: dashboard::web::PAGE.into(),
    })
}
