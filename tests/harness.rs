//! What all subjects share: a bench of its own for each test, and waiting with a deadline.

mod http;
mod processes;
mod running;
mod traffic;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clock::Clock;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use http::{Answer, get, post};
pub(crate) use processes::{Process, pid_of, signal};
pub(crate) use running::Running;
pub(crate) use traffic::Traffic;

/// No machine is so slow; a test that waits this long has found a defect.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Our own program, as built for these tests.
pub(crate) const AUTOSCALE: &str = env!("CARGO_BIN_EXE_autoscale");

/// A pool that nobody else's can be in the way of; what a test says itself goes before it.
const FREE_PORTS: [(&str, &str); 3] =
    [("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0"), ("--worker-port", "0")];

/// Pools at work at once: each is some ten processes, and machines that test may be small.
static ROOM: Semaphore = Semaphore::const_new(ROOM_FOR);
const ROOM_FOR: usize = 4;

/// A place for one test: a folder for its files and the program's state, and room on the
/// machine. Dropped, it ends every process that was started from it.
pub(crate) struct Bench {
    folder: TempDir,
    _room: SemaphorePermit<'static>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What it printed, if it ended well.
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code(), Some(0), "it failed: {self:#?}");
        self.stdout
    }

    /// What it printed, if it ended well, as JSON.
    pub(crate) fn json(self) -> serde_json::Value {
        let text = self.well();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON: {error}: {text}"))
    }

    /// Its exit code and complaint, for comparison in one go.
    pub(crate) fn failure(&self) -> (Option<i32>, &str) {
        (self.code(), self.stderr.trim_end())
    }
}

impl Bench {
    /// A bench for a test with one small pool.
    pub(crate) async fn new() -> Self {
        Self::with_room(1).await
    }

    /// A bench for a test that loads the machine, beside which no other pool runs.
    pub(crate) async fn whole_machine() -> Self {
        Self::with_room(ROOM_FOR).await
    }

    async fn with_room(share: usize) -> Self {
        let share = u32::try_from(share).unwrap();
        let room = ROOM.acquire_many(share).await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), _room: room }
    }

    /// Where this test may write.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What is in a file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// Our program with these words, as if in a shell of a user who has never run it.
    pub(crate) fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        self.prepared(AUTOSCALE, words)
    }

    fn prepared<'a>(&self, program: &str, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder()).env(processes::MARK, self.folder());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        for name in ["AUTOSCALE_ADMIN", "AUTOSCALE_ADMIN_TOKEN", "AUTOSCALE_CONFIG", "PORT", "NO_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs our program to its end.
    pub(crate) async fn finish<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Finished {
        finish(self.command(words), DEADLINE).await
    }

    /// Runs our program to an end that takes minutes on a slow machine.
    pub(crate) async fn finish_at_last<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Finished {
        finish(self.command(words), DEADLINE * 3).await
    }

    /// Runs a pool to an end that comes by itself.
    pub(crate) async fn run_to_its_end(&self, words: &[&str]) -> Finished {
        self.finish(on_free_ports(words)).await
    }

    /// Starts a pool on free ports.
    pub(crate) async fn run(&self, words: &[&str]) -> Running {
        Running::start(self.pool_command(words)).await
    }

    /// The command that starts a pool on free ports.
    pub(crate) fn pool_command(&self, words: &[&str]) -> Command {
        self.command(on_free_ports(words))
    }

    /// The same, started by another program that takes our command after these words.
    pub(crate) async fn run_under(&self, program: &str, before: &[&str], words: &[&str]) -> Running {
        let ours = [AUTOSCALE].into_iter().chain(on_free_ports(words));
        Running::start(self.prepared(program, before.iter().copied().chain(ours))).await
    }

    /// Every process that was started from this bench and has not ended, however deep and in
    /// whatever group or session.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes::marked(self.folder())
    }

    /// Waits until nothing is left of all that was started from this bench.
    pub(crate) async fn until_empty(&self) {
        until("no process is left", async || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for left in self.processes() {
            signal(left.pid, rustix::process::Signal::KILL);
        }
    }
}

/// `run` with these words.
fn on_free_ports<'a>(words: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let unsaid = FREE_PORTS.into_iter().filter(|(flag, _)| !words.contains(flag));
    let unsaid: Vec<&str> = unsaid.flat_map(|(flag, port)| [flag, port]).collect();
    ["run", "--plain"].into_iter().chain(unsaid).chain(words.to_vec())
}

/// Runs a command to its end.
pub(crate) async fn finish(mut command: Command, within: Duration) -> Finished {
    // Not by `output`, which would take stdout away from a test that puts it elsewhere.
    let running = command.spawn().unwrap();
    let Ok(output) = Clock::start().timeout(within, running.wait_with_output()).await else {
        panic!("did not end: {command:?}");
    };
    let output = output.unwrap();
    Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks again and again until there is what was waited for; the error says what there is
/// instead.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let clock = Clock::start();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(clock.uptime() < DEADLINE, "never came: {what}; instead: {instead}"),
        }
        clock.sleep(LOOK_AGAIN).await;
    }
}

/// Whether a program is there; says aloud which test is skipped without it.
pub(crate) fn there_is(program: &str) -> bool {
    let tried = std::process::Command::new(program).arg("--version").stderr(Stdio::null()).output();
    let there = tried.is_ok_and(|output| output.status.success());
    if !there {
        // Not by `eprintln!`, which is shown for tests that fail only.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {program} on this machine");
    }
    there
}
