//! Burns CPU for requests, in order, on one thread of its own, no faster than the worker's size.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use parking_lot::{Condvar, Mutex};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use crate::pace::{Pace, Reading, SLICE};

/// Requests that may wait for the CPU: 40 s of default work for a quarter of a core, longer
/// than a client waits, so that a burst is answered late rather than refused.
pub(crate) const QUEUE_MAX: usize = 2048;

/// Longest sleep while in debt, so that a client that has gone is noticed and skipped in time.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Rounds of arithmetic between two looks at the CPU clock, some 10 µs of work.
const ROUNDS: u32 = 4_000;

/// The burning thread needs no more than its own few frames.
const STACK_BYTES: usize = 128 * 1024;

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What a job cost, told to the one who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burned {
    /// CPU time taken, by the thread's CPU clock.
    pub(crate) cpu: Duration,
    /// Time from the submission to the first slice.
    pub(crate) queued: Duration,
}

/// Counts of the burning thread.
#[derive(Debug, Default)]
pub(crate) struct BurnCounts {
    cpu_nanos: AtomicU64,
    skipped: AtomicU64,
}

impl BurnCounts {
    /// CPU time burnt for requests so far.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed))
    }

    /// Jobs given up because their client had gone.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

struct Job {
    cpu: Duration,
    submitted: Duration,
    done: oneshot::Sender<Burned>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    counts: BurnCounts,
}

/// The burning thread and its queue; dropping it ends the thread, finished or not.
pub(crate) struct Burner {
    shared: Arc<Shared>,
    clock: Clock,
    thread: Option<JoinHandle<()>>,
}

impl Burner {
    /// Starts the thread. Fails when the system gives no thread.
    pub(crate) fn start(cpus: f64, clock: Clock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("burn".to_owned()).stack_size(STACK_BYTES).spawn({
            let shared = Arc::clone(&shared);
            move || burn_until_closed(&shared, cpus, clock)
        })?;
        Ok(Self { shared, clock, thread: Some(thread) })
    }

    /// Queues `cpu` of work. The receiver resolves when it is done; dropping it before that
    /// takes the job back, and no more CPU is spent on it.
    pub(crate) fn submit(&self, cpu: Duration) -> Result<oneshot::Receiver<Burned>, Full> {
        let (done, receiver) = oneshot::channel();
        let job = Job { cpu, submitted: self.clock.uptime(), done };
        let mut queue = self.shared.queue.lock();
        if queue.jobs.len() >= QUEUE_MAX {
            self.forget_gone(&mut queue);
        }
        if queue.jobs.len() >= QUEUE_MAX || queue.closed {
            return Err(Full);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_one();
        Ok(receiver)
    }

    /// Jobs waiting, those of gone clients included.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.queue.lock().jobs.len()
    }

    /// What was burnt so far.
    pub(crate) fn counts(&self) -> &BurnCounts {
        &self.shared.counts
    }

    /// Makes room: jobs whose clients have gone must not keep others out.
    fn forget_gone(&self, queue: &mut Queue) {
        let before = queue.jobs.len();
        queue.jobs.retain(|job| !job.done.is_closed());
        let gone = u64::try_from(before - queue.jobs.len()).unwrap_or(u64::MAX);
        self.shared.counts.skipped.fetch_add(gone, Ordering::Relaxed);
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been reported; there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// CPU time of the calling thread.
fn thread_cpu() -> Duration {
    cpu_time(ClockId::ThreadCPUTime)
}

/// CPU time of this process, all threads together.
pub(crate) fn process_cpu() -> Duration {
    cpu_time(ClockId::ProcessCPUTime)
}

fn cpu_time(which: ClockId) -> Duration {
    Duration::try_from(clock_gettime(which)).unwrap_or(Duration::ZERO)
}

fn burn_until_closed(shared: &Shared, cpus: f64, clock: Clock) {
    let read = || Reading { wall: clock.uptime(), cpu: process_cpu() };
    let mut pace = Pace::new(cpus, read());
    let mut seed = 1_u64;
    loop {
        let (job, idle) = {
            let mut queue = shared.queue.lock();
            let mut idle = false;
            while queue.jobs.is_empty() && !queue.closed {
                idle = true;
                shared.changed.wait(&mut queue);
            }
            match queue.jobs.pop_front() {
                Some(job) if !queue.closed => (job, idle),
                _ => return,
            }
        };
        let queued = clock.uptime().saturating_sub(job.submitted);
        let mut burned = Duration::ZERO;
        // The first look after an idle time forgets what was not used in it, and starts at once.
        let mut busy = !idle;
        let mut wait_for_pace = || {
            pause(shared, &job, || {
                let owed = pace.wait(read(), busy);
                busy = true;
                owed
            })
        };
        while burned < job.cpu && wait_for_pace() {
            let slice = (job.cpu - burned).min(SLICE);
            let cpu = burn(slice, &mut seed);
            burned += cpu;
            let nanos = u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX);
            shared.counts.cpu_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
        let finished = burned >= job.cpu && job.done.send(Burned { cpu: burned, queued }).is_ok();
        if !finished {
            shared.counts.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sleeps until a slice may start; false when the job is no longer wanted.
fn pause(shared: &Shared, job: &Job, mut wait: impl FnMut() -> Duration) -> bool {
    loop {
        if job.done.is_closed() || shared.queue.lock().closed {
            return false;
        }
        let owed = wait();
        if owed.is_zero() {
            return true;
        }
        std::thread::sleep(owed.min(NAP_MAX));
    }
}

/// Computes until this thread has taken `length` of CPU; returns what it took.
fn burn(length: Duration, seed: &mut u64) -> Duration {
    let before = thread_cpu();
    loop {
        for _ in 0..ROUNDS {
            // xorshift64 (Marsaglia 2003): cheap, and the compiler cannot skip it.
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
        }
        black_box(&mut *seed);
        let taken = thread_cpu().saturating_sub(before);
        if taken >= length {
            return taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_job_takes_the_cpu_time_it_asks_for() {
        let clock = Clock::start();
        let burner = Burner::start(1.0, clock).unwrap();
        let wanted = Duration::from_millis(12);
        let done = burner.submit(wanted).unwrap();
        let burned = clock.timeout(DEADLINE, done).await.unwrap().unwrap();
        assert!(burned.cpu >= wanted && burned.cpu < wanted * 3, "{burned:?}");
        assert_eq!(burner.counts().cpu(), burned.cpu);
    }

    #[tokio::test]
    async fn jobs_of_gone_clients_cost_nothing() {
        let clock = Clock::start();
        let burner = Burner::start(0.5, clock).unwrap();
        let first = burner.submit(Duration::from_millis(20)).unwrap();
        for _ in 0..100 {
            drop(burner.submit(Duration::from_secs(10)).unwrap());
        }
        let last = burner.submit(Duration::from_millis(1)).unwrap();
        clock.timeout(DEADLINE, first).await.unwrap().unwrap();
        clock.timeout(DEADLINE, last).await.unwrap().unwrap();
        assert_eq!(burner.counts().skipped(), 100);
        assert!(burner.counts().cpu() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_until_clients_go() {
        let clock = Clock::start();
        let burner = Burner::start(1.0, clock).unwrap();
        let long = Duration::from_secs(3600);
        let mut waiting = Vec::new();
        while let Ok(done) = burner.submit(long) {
            waiting.push(done);
        }
        assert!(waiting.len() >= QUEUE_MAX);
        assert_eq!(burner.submit(long).err(), Some(Full));
        drop(waiting);
        let done = burner.submit(Duration::from_millis(1)).unwrap();
        clock.timeout(DEADLINE, done).await.unwrap().unwrap();
    }

    #[test]
    fn dropping_the_burner_ends_its_thread_in_the_middle_of_a_job() {
        let burner = Burner::start(1.0, Clock::start()).unwrap();
        let done = burner.submit(Duration::from_secs(3600)).unwrap();
        drop(burner); // joins
        assert!(done.blocking_recv().is_err());
    }
}
