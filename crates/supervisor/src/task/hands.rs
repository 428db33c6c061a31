//! What the fleet's effects do to the world: routes, processes, probes, and the guardian itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use control::{Effect, Event};
use jiff::Timestamp;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;
use traffic::{Address, Route, WorkerId};

use crate::config::{StartError, SupervisorConfig, Wires};
use crate::guardian::link::Link;
use crate::guardian::protocol::{Order, Report};
use crate::guardian::record;
use crate::leftovers;
use crate::output::{Outputs, Stream};
use crate::probe;
use crate::process::{HOST, free_port};
use crate::sockets::Sockets;

/// A guardian that dies more often than this within [`DEATHS_WITHIN`] will not live.
const DEATHS_MAX: usize = 3;
const DEATHS_WITHIN: Duration = Duration::from_secs(60);
/// Without workers the guardian has nothing to wait for; then it is killed.
const DISMISS_WITHIN: Duration = Duration::from_secs(5);
/// Readers of output end with the streams' last holders, which are gone by then.
const TASKS_END_WITHIN: Duration = Duration::from_secs(1);

/// Where a worker's process was put.
struct Place {
    port: u16,
    /// On which it listens instead, if it does.
    socket: Option<PathBuf>,
    prober: Option<AbortHandle>,
}

/// What comes in from below and from the balancer.
pub(super) enum News {
    Report(Report),
    GuardianGone,
    Drained(WorkerId),
}

pub(super) struct Hands {
    config: SupervisorConfig,
    clock: Clock,
    wires: Wires,
    outputs: Arc<Outputs>,
    told: mpsc::Sender<Event>,
    tasks: TaskTracker,
    token: String,
    record: Option<PathBuf>,
    link: Option<Link>,
    deaths: VecDeque<Timestamp>,
    broken: Option<String>,
    /// Effects that wait for the next guardian.
    withheld: Option<Vec<Effect>>,
    routed: BTreeSet<WorkerId>,
    places: BTreeMap<WorkerId, Place>,
    followups: VecDeque<Event>,
    /// Where workers listen that listen on Unix sockets.
    sockets: Option<Sockets>,
}

impl Hands {
    pub(super) async fn start(
        config: SupervisorConfig,
        keeps_record: bool,
        clock: Clock,
        wires: Wires,
        outputs: Arc<Outputs>,
        told: mpsc::Sender<Event>,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError::Guardian { program: config.guardian.program.clone(), cause };
        let token = random_token().map_err(failed)?;
        let record = keeps_record.then(|| leftovers::record_path(&config.state_directory, &token));
        let sockets = config.command.wants_socket().then(|| Sockets::create(&token)).transpose();
        let sockets = sockets.map_err(StartError::Sockets)?;
        let tasks = TaskTracker::new();
        let link = Link::start(&config.guardian, token.clone(), record.clone(), clock, &tasks);
        let link = Some(link.await.map_err(failed)?);
        Ok(Self {
            config,
            clock,
            wires,
            outputs,
            told,
            tasks,
            token,
            record,
            link,
            deaths: VecDeque::new(),
            broken: None,
            withheld: None,
            routed: BTreeSet::new(),
            places: BTreeMap::new(),
            followups: VecDeque::new(),
            sockets,
        })
    }

    /// What the guardian or the balancer says next.
    pub(super) async fn news(&mut self) -> News {
        let link = self.link.as_mut();
        let report = async {
            match link {
                Some(link) => link.reports.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            report = report => report.map_or(News::GuardianGone, News::Report),
            Some(id) = self.wires.drained.recv() => News::Drained(id),
        }
    }

    pub(super) fn guardian_pid(&self) -> Option<u32> {
        self.link.as_ref().and_then(Link::pid)
    }

    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What came of the effects at once, to be told to the fleet.
    pub(super) fn take_followup(&mut self) -> Option<Event> {
        self.followups.pop_front()
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match (effect, &mut self.withheld) {
            (Effect::Route(routes), _) => self.route(&routes),
            (effect, Some(withheld)) => withheld.push(effect),
            (Effect::Spawn(id), None) => {
                if let Err(error) = self.spawn(id) {
                    self.ended(id);
                    self.followups.push_back(Event::SpawnFailed { id, because: error.to_string() });
                }
            }
            (Effect::Terminate(id), None) => self.signal(id, Signal::TERM),
            (Effect::Kill(id), None) => self.signal(id, Signal::KILL),
        }
    }

    fn route(&mut self, routes: &[Route]) {
        // A notice about a worker in rotation until now is about an earlier retreat: were it
        // read after this one, it would cut the new retreat short.
        while let Ok(id) = self.wires.drained.try_recv() {
            if !self.routed.contains(&id) {
                self.followups.push_back(Event::Drained { id });
            }
        }
        self.routed = routes.iter().map(|route| route.id).collect();
        (self.wires.routes)(routes);
    }

    fn spawn(&mut self, id: WorkerId) -> std::io::Result<()> {
        let link = self.link.as_ref().ok_or_else(|| std::io::Error::other("there is no guardian"))?;
        let taken = self.places.values().map(|place| place.port).collect();
        let port = free_port(self.config.worker_port, id.slot, &taken)?;
        let (output, output_in) = std::io::pipe()?;
        let (errors, errors_in) = std::io::pipe()?;
        self.outputs.capture(id, Stream::Stdout, OwnedFd::from(output), &self.tasks)?;
        self.outputs.capture(id, Stream::Stderr, OwnedFd::from(errors), &self.tasks)?;
        let command = &self.config.command;
        let socket = self.sockets.as_ref().map(|sockets| sockets.path(id));
        let order = Order::Spawn {
            id,
            command: command.words(port, socket.as_deref()),
            environment: command.environment_of(id, port, socket.as_deref()),
            directory: command.directory.clone(),
        };
        link.order(order, Some([output_in.into(), errors_in.into()]));
        self.places.insert(id, Place { port, socket, prober: None });
        Ok(())
    }

    fn signal(&self, id: WorkerId, signal: Signal) {
        if let Some(link) = &self.link {
            link.order(Order::Signal { id, signal: signal.as_raw() }, None);
        }
    }

    /// A worker's process runs: asks it from now on how it is.
    pub(super) fn started(&mut self, id: WorkerId, pid: u32) -> Option<Event> {
        let place = self.places.get_mut(&id)?;
        let address = match &place.socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp(SocketAddr::from((HOST, place.port))),
        };
        let prober = probe::watch(
            id,
            address.clone(),
            self.config.probe.clone(),
            self.config.fleet.startup_threshold,
            self.wires.progress.clone(),
            self.told.clone(),
            self.clock,
        );
        place.prober = Some(self.tasks.spawn(prober).abort_handle());
        Some(Event::Started { id, pid, address })
    }

    /// A worker's process is gone.
    pub(super) fn ended(&mut self, id: WorkerId) {
        if let Some(prober) = self.places.remove(&id).and_then(|place| place.prober) {
            prober.abort();
        }
        if let Some(sockets) = &self.sockets {
            sockets.remove(id);
        }
    }

    /// From now on only routes are changed, until there is a guardian again.
    pub(super) fn withhold(&mut self) {
        self.link = None;
        self.withheld = Some(Vec::new());
    }

    /// Ends what a dead guardian left, starts another unless all is to end anyway, and does
    /// what was withheld. Says what happened.
    pub(super) async fn replace_guardian(&mut self, closing: bool) -> Option<String> {
        let mut said = vec!["the guardian died, and its workers with it".to_owned()];
        if let Some(path) = &self.record {
            if let Ok(roll) = record::read(path) {
                said.extend(leftovers::end(&roll, self.clock).await);
            }
            // The next guardian writes another.
            let _ = fs_err::remove_file(path);
        }
        if !closing {
            match self.start_another().await {
                Ok(link) => self.link = Some(link),
                Err(because) => {
                    self.broken = Some(because.clone());
                    said.push(because);
                }
            }
        }
        for effect in self.withheld.take().unwrap_or_default() {
            self.perform(effect);
        }
        Some(said.join("; "))
    }

    async fn start_another(&mut self) -> Result<Link, String> {
        let now = self.clock.now();
        let is_old = |at: &Timestamp| at.saturating_add(DEATHS_WITHIN).is_ok_and(|until| until < now);
        while self.deaths.front().is_some_and(is_old) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        if self.deaths.len() > DEATHS_MAX {
            return Err(format!("the guardian died {} times within a minute; giving up", self.deaths.len()));
        }
        let (token, record) = (self.token.clone(), self.record.clone());
        let link = Link::start(&self.config.guardian, token, record, self.clock, &self.tasks).await;
        link.map_err(|error| format!("no new guardian could be started: {error}"))
    }

    /// Dismisses the guardian and waits for every task.
    pub(super) async fn finish(mut self) {
        for place in self.places.values() {
            if let Some(prober) = &place.prober {
                prober.abort();
            }
        }
        if let Some(link) = self.link.take() {
            link.dismiss(DISMISS_WITHIN).await;
        }
        self.tasks.close();
        // A task that does not end holds nothing but a stream of somebody else's child.
        let _ = self.clock.timeout(TASKS_END_WITHIN, self.tasks.wait()).await;
    }
}

/// 128 bits that no other owner has.
fn random_token() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
