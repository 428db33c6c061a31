//! Sends the load: an open loop that keeps to its plan, or a closed one that waits for answers.

mod client;
mod pacer;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use pacer::Throttle;

use crate::config::{LoadConfig, LoadError};
use crate::plan::{Plan, Schedule};
use crate::report::{Percentiles, Report};
use client::Client;
use tally::{Drop, Ended, Failure, Tally};

/// Requests that are due and not yet started. More than a tenth of a second at the highest
/// rates: a generator further behind than this measures itself.
const TICKETS_MAX: usize = 16_384;
/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Pause of a closed-loop connection that could not connect: a dead server is not hammered.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// The closed loop has no plan to be late for; its lag is measured by a timer of this length.
const PROBE_EVERY: Duration = Duration::from_millis(10);
/// tokio's timers may be this late without anyone being busy.
const TIMER_GRAIN: Duration = Duration::from_millis(1);
/// Time for the connections to close at the end.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// How a run is going.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Requests sent so far.
    pub sent: u64,
    /// Of those, answered with a status below 400.
    pub succeeded: u64,
    /// Of those, ended otherwise.
    pub failed: u64,
    /// Requests due and not sent.
    pub dropped: u64,
    /// Requests waiting for their answer now.
    pub in_flight: u32,
    /// Requests sent per second since the progress before.
    pub rate_per_second: f64,
    /// Corrected latency since the start; `None` before the first answer.
    pub latency_ms: Option<Percentiles>,
}

/// A run of load, ready to start.
pub struct Load {
    config: LoadConfig,
    plan: Option<Plan>,
    throttle: Throttle,
}

/// Runs `config` to its end, or until `stop`. Calls `progress` each second.
///
/// # Errors
/// When the configuration makes no sense or the host has no address. A server that is not
/// there is no error: it is in the report.
pub async fn run(
    config: LoadConfig,
    clock: Clock,
    stop: CancellationToken,
    progress: impl FnMut(Progress),
) -> Result<Report, LoadError> {
    Load::new(config)?.run(clock, stop, progress).await
}

impl Load {
    /// Plans the run.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(config: LoadConfig) -> Result<Self, LoadError> {
        let plan = config.plan()?;
        Ok(Self { config, plan, throttle: Throttle::new() })
    }

    /// Changes the rate while the run goes on.
    pub fn throttle(&self) -> Throttle {
        self.throttle.clone()
    }

    /// Runs to the end, or until `stop`; see [`run`].
    ///
    /// # Errors
    /// When the host has no address.
    pub async fn run(
        self,
        clock: Clock,
        stop: CancellationToken,
        mut progress: impl FnMut(Progress),
    ) -> Result<Report, LoadError> {
        let addresses = resolve(&self.config).await?;
        let ending = stop.child_token();
        let run = Arc::new(Run {
            client: Client::new(&self.config, addresses)?,
            tally: Tally::default(),
            clock,
            began: clock.uptime(),
            timeout: self.config.timeout,
            free: Semaphore::new(usize::try_from(self.config.connections_max()).unwrap_or(usize::MAX)),
            give_up: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        // Dropped with this future, they end every task of the run.
        let _guards = (ending.clone().drop_guard(), run.give_up.clone().drop_guard());
        let sending = async {
            let (span, expected) = match &self.plan {
                Some(plan) => run.open(plan, &self.config, self.throttle, &ending).await,
                None => (run.closed(&self.config, &ending).await, None),
            };
            ending.cancel();
            run.finish(self.config.grace).await;
            (span, expected)
        };
        let (span, expected) = tokio::select! {
            done = sending => done,
            () = run.report_progress(&mut progress) => unreachable!("progress is reported until the end"),
        };
        Ok(run.tally.report(self.config.target.to_string(), span, expected))
    }
}

async fn resolve(config: &LoadConfig) -> Result<Vec<SocketAddr>, LoadError> {
    let host = &config.target.host;
    let because = match tokio::net::lookup_host((host.as_str(), config.target.port)).await {
        Ok(found) => {
            let found: Vec<_> = found.collect();
            if !found.is_empty() {
                return Ok(found);
            }
            std::io::Error::from(std::io::ErrorKind::NotFound)
        }
        Err(because) => because,
    };
    Err(LoadError::Resolve { host: host.clone(), because })
}

/// What all requests of a run share.
struct Run {
    client: Client,
    tally: Tally,
    clock: Clock,
    began: Duration,
    timeout: Duration,
    /// Connections not in use, handed out in the order of asking.
    free: Semaphore,
    /// Ends requests that are still under way when the grace is over.
    give_up: CancellationToken,
    tasks: TaskTracker,
}

impl Run {
    fn elapsed(&self) -> Duration {
        self.clock.uptime().saturating_sub(self.began)
    }

    /// Sends what `plan` says when it says so. Returns the time that sending took and the
    /// number of requests that were due in it.
    async fn open(
        self: &Arc<Self>,
        plan: &Plan,
        config: &LoadConfig,
        throttle: Throttle,
        ending: &CancellationToken,
    ) -> (Duration, Option<f64>) {
        let schedule = plan.schedule(config.spacing, config.requests);
        let (tickets, mut due) = mpsc::channel(TICKETS_MAX);
        let pacer = tokio::task::spawn_blocking({
            let (run, ending) = (Arc::clone(self), ending.clone());
            move || {
                let time = (run.clock, run.began);
                pacer::pace(schedule, &throttle, time, &tickets, &run.tally, &ending)
            }
        });
        while let Some(at) = due.recv().await {
            // Told to stop, what is left in the queue is no longer wanted.
            if ending.is_cancelled() {
                continue;
            }
            if self.tally.in_flight() >= config.in_flight_max {
                self.tally.drop_one(Drop::InFlight);
                continue;
            }
            self.tally.take_up(at, self.elapsed());
            self.tasks.spawn(Arc::clone(self).request(at));
        }
        let schedule = pacer.await.ok();
        let (span, expected) = self.span(schedule, ending.is_cancelled());
        (span, Some(expected))
    }

    /// The time that the plan gave to sending, and what was due in it.
    fn span(&self, schedule: Option<Schedule>, stopped: bool) -> (Duration, f64) {
        let Some(mut schedule) = schedule else { return (self.elapsed(), 0.0) };
        let planned = schedule.end().unwrap_or(Duration::MAX);
        let span = if stopped { planned.min(self.elapsed()) } else { planned };
        (span, schedule.expected(span))
    }

    /// Sends on each connection as fast as answers come. Returns the time that sending took.
    async fn closed(self: &Arc<Self>, config: &LoadConfig, ending: &CancellationToken) -> Duration {
        let left = Arc::new(AtomicU64::new(config.requests.unwrap_or(u64::MAX)));
        let senders = TaskTracker::new();
        for _ in 0..config.connections_max() {
            let (run, left, ending) = (Arc::clone(self), Arc::clone(&left), ending.clone());
            senders.spawn(self.tasks.track_future(run.send_until(left, ending)));
        }
        senders.close();
        self.tasks.spawn(Arc::clone(self).probe(ending.clone()));
        let length = config.closed_length().unwrap_or(Duration::MAX);
        tokio::select! {
            () = senders.wait() => {}
            () = ending.cancelled() => {}
            () = self.clock.sleep(length) => {}
        }
        self.elapsed()
    }

    async fn send_until(self: Arc<Self>, left: Arc<AtomicU64>, ending: CancellationToken) {
        let take = |left: u64| left.checked_sub(1);
        while !ending.is_cancelled() && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
        {
            let now = self.elapsed();
            self.tally.take_up(now, now);
            let connected = Arc::clone(&self).request(now).await;
            if !connected {
                self.clock.sleep(REFUSED_PAUSE).await;
            }
        }
    }

    /// Measures how late the generator is when it is not asked to be anywhere.
    async fn probe(self: Arc<Self>, ending: CancellationToken) {
        while !ending.is_cancelled() {
            let before = self.elapsed();
            self.clock.sleep(PROBE_EVERY).await;
            let late = self.elapsed().saturating_sub(before + PROBE_EVERY + TIMER_GRAIN);
            self.tally.lag(late);
        }
    }

    /// One request that was due at `due` and is taken up; false when it could not connect.
    async fn request(self: Arc<Self>, due: Duration) -> bool {
        let _free = tokio::select! {
            biased;
            () = self.give_up.cancelled() => {
                self.tally.drop_waiting();
                return false;
            }
            free = self.free.acquire() => free,
        };
        let sent = self.elapsed();
        self.tally.send(sent);
        let result = tokio::select! {
            biased;
            answered = self.clock.timeout(self.timeout, self.client.request()) => {
                answered.unwrap_or(Err(Failure::TimedOut))
            }
            () = self.give_up.cancelled() => Err(Failure::Unfinished),
        };
        let connected = !matches!(result, Err(Failure::Refused | Failure::Connect | Failure::OutOfSockets));
        self.tally.end(&Ended { due, sent, ended: self.elapsed(), result });
        connected
    }

    /// Waits for what is under way, but no longer than `grace`.
    async fn finish(&self, grace: Duration) {
        self.tasks.close();
        if self.clock.timeout(grace, self.tasks.wait()).await.is_err() {
            self.give_up.cancel();
            self.tasks.wait().await;
        }
        // Connections that do not close in time end with the program.
        let _ = self.clock.timeout(CLOSING_MAX, self.client.close()).await;
    }

    async fn report_progress(&self, progress: &mut impl FnMut(Progress)) {
        let (mut sent_before, mut before) = (0, self.began);
        loop {
            self.clock.sleep(PROGRESS_EVERY).await;
            let (seen, now) = (self.tally.glance(), self.clock.uptime());
            let seconds = now.saturating_sub(before).as_secs_f64().max(f64::MIN_POSITIVE);
            progress(Progress {
                elapsed: now.saturating_sub(self.began),
                sent: seen.sent,
                succeeded: seen.succeeded,
                failed: seen.failed,
                dropped: seen.dropped,
                in_flight: self.tally.in_flight(),
                rate_per_second: (seen.sent - sent_before) as f64 / seconds,
                latency_ms: seen.latency,
            });
            (sent_before, before) = (seen.sent, now);
        }
    }
}
