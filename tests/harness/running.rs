//! A pool at work, as its user has it: a process, its output, and its admin API.

use std::process::ExitStatus;
use std::sync::Arc;

use admin::{Client, Status};
use control::State;
use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Finished, signal, until};

/// Lines kept of each stream for the message of a failed test.
const LINES_KEPT: usize = 2_000;

/// A pool at work. Dropped, it is killed; its guardian ends the workers.
pub(crate) struct Running {
    child: Child,
    pid: u32,
    /// Where requests go, as in `http://127.0.0.1:8000`.
    pub(crate) url: String,
    /// Where the admin API is.
    pub(crate) admin: String,
    pub(crate) client: Client,
    said: Gathered,
    complained: Gathered,
}

/// Lines as they come, until nobody wants them any more.
struct Gathered {
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

impl Running {
    /// Starts the command and waits until it says where it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = gather(child.stdout.take().unwrap());
        let complained = gather(child.stderr.take().unwrap());
        let pid = child.id().unwrap();
        let mut running = Self {
            child,
            pid,
            url: String::new(),
            admin: String::new(),
            client: Client::new("127.0.0.1:1", None, "test").unwrap(),
            said,
            complained,
        };
        (running.url, running.admin) = until("the pool says where it listens", async || {
            let ended = running.child.try_wait().unwrap();
            assert_eq!(ended, None, "it ended instead: {}", running.complained());
            running.addresses().ok_or_else(|| running.said())
        })
        .await;
        running.client = Client::new(&running.admin, None, "test").unwrap();
        running
    }

    fn addresses(&self) -> Option<(String, String)> {
        let said = self.said.lines.lock();
        let after = |words: &str| said.iter().find_map(|line| line.strip_prefix(words)).map(str::to_owned);
        Some((after("listening on ")?, after("admin on ")?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// All that it printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.lines.lock().join("\n")
    }

    /// All that it complained of so far.
    pub(crate) fn complained(&self) -> String {
        self.complained.lines.lock().join("\n")
    }

    /// Its state at this moment; a failure to answer is one of the test.
    pub(crate) async fn status(&self) -> Status {
        self.client.status().await.unwrap_or_else(|error| panic!("no status: {error}"))
    }

    /// Waits for a status that is as it should be.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        until(what, async || match self.client.status().await {
            Ok(status) if is_so(&status) => Ok(status),
            Ok(status) => Err(format!("{status:#?}")),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Waits until exactly so many workers are there, all of them ready.
    pub(crate) async fn until_ready(&self, count: u32) -> Status {
        self.until(&format!("{count} workers, all ready"), |status| {
            let all_ready = status.workers.iter().all(|worker| worker.state == State::Ready);
            status.desired == count && status.workers.len() == count as usize && all_ready
        })
        .await
    }

    /// Waits for an event whose text holds these words.
    pub(crate) async fn until_event(&self, words: &str) -> String {
        until(&format!("an event that says `{words}`"), async || {
            let events = self.client.events(1_000).await.map_err(|error| error.to_string())?;
            let found = events.iter().find(|event| event.text.contains(words));
            found.map(|event| event.text.clone()).ok_or_else(|| format!("{events:#?}"))
        })
        .await
    }

    /// Waits until these words stand on its stderr.
    pub(crate) async fn until_complains(&self, words: &str) {
        until(&format!("a complaint that says `{words}`"), async || {
            let complained = self.complained();
            if complained.contains(words) { Ok(()) } else { Err(complained) }
        })
        .await;
    }

    /// Asks or steers it by a command of our program; `--admin` is added.
    pub(crate) async fn ask(&self, bench: &super::Bench, words: &[&str]) -> Finished {
        bench.finish(words.iter().copied().chain(["--admin", &self.admin])).await
    }

    /// Closes our end of its stdout, as `head` does when it has seen enough.
    pub(crate) fn stop_reading(&self) {
        self.said.reading.abort();
    }

    pub(crate) fn signal(&self, one: Signal) {
        assert!(signal(self.pid, one), "the pool is gone");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the pool ends", async || self.child.try_wait().unwrap().ok_or_else(|| "it goes on".to_owned()))
            .await
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill_nine(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stdout of the pool:\n{}", self.said());
            eprintln!("stderr of the pool:\n{}", self.complained());
        }
    }
}

/// Reads a stream line by line, so that its writer never waits.
fn gather(stream: impl AsyncRead + Unpin + Send + 'static) -> Gathered {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let reading = tokio::spawn(async move {
        let mut stream = BufReader::new(stream).lines();
        while let Ok(Some(line)) = stream.next_line().await {
            let mut kept = kept.lock();
            if kept.len() < LINES_KEPT {
                kept.push(line);
            }
        }
    });
    Gathered { lines, reading }
}
