//! What the tests of real processes share: a pool with a recording balancer, and looks at the
//! machine from outside.

use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use control::{FleetConfig, FleetStatus, Transition, WorkerSeen};
use live::{Status, Target};
use parking_lot::Mutex;
use supervisor::{GuardianCommand, Local, ProbeConfig, Steering, SupervisorConfig, Wires, WorkerCommand};
use tokio::sync::mpsc;
use traffic::{Route, WorkerId};

/// No machine is so slow.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_supervisor-fixture");

pub(crate) fn fixture(words: &[&str]) -> WorkerCommand {
    command(FIXTURE, words)
}

pub(crate) fn command(program: &str, words: &[&str]) -> WorkerCommand {
    let arguments = words.iter().map(|&word| word.to_owned()).collect();
    WorkerCommand { program: program.to_owned(), arguments, ..WorkerCommand::default() }
}

/// Deadlines short enough for a test and long enough for a slow machine.
pub(crate) fn config(command: WorkerCommand, state: &std::path::Path) -> SupervisorConfig {
    let program = FIXTURE.into();
    SupervisorConfig {
        worker_port: 0,
        state_directory: state.to_owned(),
        probe: ProbeConfig {
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(1),
            ..ProbeConfig::default()
        },
        fleet: FleetConfig { drain_timeout: Duration::from_secs(60), ..FleetConfig::default() },
        guardian: GuardianCommand { program, arguments: vec!["guardian".to_owned()] },
        ..SupervisorConfig::new(command).unwrap()
    }
}

/// Processes that a worker of the fixture with a family has besides itself: a child and, where
/// such can be found, one that left its group and session.
pub(crate) const FAMILY: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

/// A pool; its balancer forwards nothing, so its workers are drained as soon as they may be.
pub(crate) struct Bench {
    pub(crate) local: Local,
    pub(crate) steering: Steering,
    pub(crate) clock: Clock,
    /// Every set of routes, oldest first.
    pub(crate) routes: Arc<Mutex<Vec<Vec<WorkerId>>>>,
    pub(crate) transitions: Vec<Transition>,
    pub(crate) notices: Vec<String>,
}

impl Bench {
    pub(crate) async fn start(config: SupervisorConfig) -> Self {
        let clock = Clock::start();
        let (drained_out, drained) = mpsc::channel(64);
        let routes: Arc<Mutex<Vec<Vec<WorkerId>>>> = Arc::default();
        let record = Arc::clone(&routes);
        let told = move |now: &[Route]| {
            let ids: Vec<WorkerId> = now.iter().map(|route| route.id).collect();
            let mut record = record.lock();
            let before = record.last().cloned().unwrap_or_default();
            for gone in before.iter().filter(|id| !ids.contains(id)) {
                let _ = drained_out.try_send(*gone);
            }
            record.push(ids);
        };
        let wires = Wires { routes: Arc::new(told), drained, progress: None };
        let local = Local::start(config, clock, wires).await.unwrap();
        let steering = local.steering();
        Self { local, steering, clock, routes, transitions: Vec::new(), notices: Vec::new() }
    }

    pub(crate) async fn scale(&mut self, desired: u32) {
        self.local.scale_to(desired, &[]).await.unwrap();
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&FleetStatus, &[WorkerSeen]) -> bool) {
        if self.clock.timeout(DEADLINE, self.steering.until(holds)).await.is_err() {
            panic!("never came: {what}; {:?}", self.steering.seen());
        }
    }

    pub(crate) async fn all_ready(&mut self, count: u32) {
        self.scale(count).await;
        self.until("all ready", |fleet, workers| {
            fleet.ready == count && workers.len() == usize::try_from(count).unwrap()
        })
        .await;
    }

    pub(crate) async fn status(&mut self) -> Status {
        let status = self.local.status().await.unwrap();
        self.transitions.extend(status.transitions.iter().cloned());
        self.notices.extend(self.local.take_notices());
        status
    }

    /// Waits for a transition that says this, and hands out what it says.
    pub(crate) async fn told(&mut self, words: &str) -> String {
        let clock = self.clock;
        let begun = clock.uptime();
        loop {
            self.status().await;
            if let Some(found) = self.transitions.iter().find(|one| one.because.contains(words)) {
                return found.because.clone();
            }
            assert!(clock.uptime() - begun < DEADLINE, "nobody said `{words}`: {:#?}", self.transitions);
            clock.sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn pid(&self, slot: u32) -> u32 {
        let (_, workers) = self.steering.seen();
        workers.iter().find(|worker| worker.id.slot == slot).and_then(|worker| worker.pid).unwrap()
    }

    pub(crate) async fn end(self) {
        self.clock.timeout(DEADLINE, self.steering.shutdown(Duration::from_secs(5))).await.unwrap();
    }
}

/// A process that ends with its test, also with a failed one.
pub(crate) struct Mortal(pub(crate) Child);

impl Mortal {
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processes of the machine whose command line holds this, as lines of `ps`: pid, parent, state,
/// arguments. Zombies have no arguments, so none of them is here.
pub(crate) fn processes_with(marker: &str) -> Vec<String> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed.lines().filter(|line| line.contains(marker)).map(str::to_owned).collect()
}

/// Children of a process that ended and were not reaped.
pub(crate) fn zombies_of(parent: u32) -> Vec<String> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let is_zombie = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[1] == parent.to_string() && words[2].starts_with('Z')
    };
    listed.lines().filter(is_zombie).map(str::to_owned).collect()
}

/// Waits for the machine to be so.
pub(crate) async fn eventually(clock: Clock, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = clock.uptime();
    while !holds() {
        assert!(clock.uptime() - begun < DEADLINE, "never came: {what}");
        clock.sleep(Duration::from_millis(10)).await;
    }
}

/// A word that is in no other process's command line.
pub(crate) fn marker(test: &str) -> String {
    format!("marker-{test}-{}", std::process::id())
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
