//! CPU and memory of each worker's whole process tree, and the CPU of the machine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};
use traffic::WorkerId;

use crate::processes::{self, Seen};

/// The kernel counts CPU time in steps of 10 ms; over a shorter time the share means nothing.
const INTERVAL_MIN: Duration = Duration::from_millis(200);

/// A worker whose usage is to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) id: WorkerId,
    pub(crate) pid: u32,
    pub(crate) started_at: Timestamp,
}

/// One worker's usage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WorkerUsage {
    /// Of the worker's size; above 100 if it takes more than it was said to have.
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_bytes: u64,
}

/// All that was measured at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) workers: BTreeMap<WorkerId, WorkerUsage>,
    /// Of all cores together.
    pub(crate) host_percent: Option<f64>,
    pub(crate) at: Option<Timestamp>,
}

/// What a tree had used up when it was last looked at.
struct Spent {
    at: Timestamp,
    processes: HashMap<u32, Seen>,
}

/// Measures by comparing with the last time.
pub(crate) struct UsageMeter {
    /// Cores that a worker is said to have.
    worker_cpus: f64,
    /// `None` where the system cannot be asked.
    machine: Option<System>,
    machine_at: Option<Timestamp>,
    spent: HashMap<WorkerId, Spent>,
    /// Whose an adopted orphan is, looked up once.
    adopted: HashMap<(u32, u64), Option<WorkerId>>,
    last: Usage,
}

impl UsageMeter {
    pub(crate) fn new(worker_cpus: f64) -> Self {
        Self {
            worker_cpus,
            machine: System::new().ok(),
            machine_at: None,
            spent: HashMap::new(),
            adopted: HashMap::new(),
            last: Usage::default(),
        }
    }

    /// Reads all; asked again too soon, it repeats what it said. Blocks for some hundred
    /// microseconds.
    pub(crate) fn sample(&mut self, now: Timestamp, guardian: Option<u32>, subjects: &[Subject]) -> Usage {
        if self.last.at.is_some_and(|at| passed(at, now) < INTERVAL_MIN) {
            return self.last.clone();
        }
        let trees = self.trees(guardian, subjects);
        let mut workers = BTreeMap::new();
        for subject in subjects {
            let tree = trees.get(&subject.id).map_or(&[][..], Vec::as_slice);
            // A tree that is gone, or not there yet, has no reading, which is not a reading of 0.
            if !tree.is_empty() {
                workers.insert(subject.id, self.measure(now, *subject, tree));
            }
        }
        self.spent.retain(|id, _| workers.contains_key(id));
        self.last = Usage { workers, host_percent: self.host_percent(now), at: Some(now) };
        self.last.clone()
    }

    fn measure(&mut self, now: Timestamp, subject: Subject, tree: &[Seen]) -> WorkerUsage {
        let memory_bytes = tree.iter().map(|seen| seen.resident_bytes).sum();
        let nothing = || Spent { at: subject.started_at, processes: HashMap::new() };
        let before = self.spent.remove(&subject.id).unwrap_or_else(nothing);
        let wall = passed(before.at, now);
        if wall < INTERVAL_MIN {
            self.spent.insert(subject.id, before);
            let cpu_percent = self.last.workers.get(&subject.id).and_then(|usage| usage.cpu_percent);
            return WorkerUsage { cpu_percent, memory_bytes };
        }
        let cores = used(&before.processes, tree).as_secs_f64() / wall.as_secs_f64();
        let processes = tree.iter().map(|seen| (seen.pid, *seen)).collect();
        self.spent.insert(subject.id, Spent { at: now, processes });
        WorkerUsage { cpu_percent: Some(cores / self.worker_cpus * 100.0), memory_bytes }
    }

    /// The processes of each worker: what descends from it, and orphans that are its own.
    fn trees(&mut self, guardian: Option<u32>, subjects: &[Subject]) -> HashMap<WorkerId, Vec<Seen>> {
        let roots: HashMap<u32, WorkerId> =
            subjects.iter().map(|subject| (subject.pid, subject.id)).collect();
        let seen = match guardian {
            // Orphans are adopted by the guardian: its descendants are all there is.
            Some(guardian) if cfg!(target_os = "linux") => processes::descendants(guardian),
            _ => processes::all(),
        };
        let parents: HashMap<u32, u32> = seen.iter().map(|one| (one.pid, one.parent)).collect();
        let mut trees: HashMap<WorkerId, Vec<Seen>> = HashMap::new();
        let mut orphans = HashSet::new();
        for one in &seen {
            let owner = root_of(one.pid, &roots, &parents).or_else(|| {
                orphans.insert((one.pid, one.born));
                *self.adopted.entry((one.pid, one.born)).or_insert_with(|| owner_of(one, subjects))
            });
            if let Some(owner) = owner {
                trees.entry(owner).or_default().push(*one);
            }
        }
        self.adopted.retain(|orphan, _| orphans.contains(orphan));
        trees
    }

    fn host_percent(&mut self, now: Timestamp) -> Option<f64> {
        let machine = self.machine.as_mut()?;
        let first = self.machine_at.is_none();
        if self.machine_at.is_none_or(|at| passed(at, now) >= MINIMUM_CPU_UPDATE_INTERVAL) {
            machine.refresh_cpu_usage();
            self.machine_at = Some(now);
        }
        // The first look has nothing to compare with.
        (!first).then(|| f64::from(machine.global_cpu_usage()))
    }
}

fn passed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// The worker that a process descends from.
fn root_of(pid: u32, roots: &HashMap<u32, WorkerId>, parents: &HashMap<u32, u32>) -> Option<WorkerId> {
    let mut at = pid;
    // No chain is longer than there are processes; a reused pid could make it a circle.
    for _ in 0..=parents.len() {
        if let Some(id) = roots.get(&at) {
            return Some(*id);
        }
        at = *parents.get(&at)?;
    }
    None
}

fn owner_of(orphan: &Seen, subjects: &[Subject]) -> Option<WorkerId> {
    if let Some(subject) = subjects.iter().find(|subject| subject.pid == orphan.group) {
        return Some(subject.id);
    }
    // Elsewhere all processes of the machine come by here, too many to be asked.
    let processes::Token::Is(token) = cfg!(target_os = "linux").then(|| processes::token(orphan.pid))? else {
        return None;
    };
    let is_its = |subject: &&Subject| token.ends_with(&format!(".{}.{}", subject.id.slot, subject.id.run));
    subjects.iter().find(is_its).map(|subject| subject.id)
}

/// CPU time used by a tree since `before`. Never negative, whatever came and went: what a
/// vanished process had used already is in its parent's count of reaped children, or lost.
fn used(before: &HashMap<u32, Seen>, now: &[Seen]) -> Duration {
    let mut own = Duration::ZERO;
    let mut reaped = Duration::ZERO;
    let mut remaining = HashSet::new();
    for seen in now {
        let old = before.get(&seen.pid).filter(|old| old.born == seen.born);
        if old.is_some() {
            remaining.insert(seen.pid);
        }
        own += seen.own_cpu.saturating_sub(old.map_or(Duration::ZERO, |old| old.own_cpu));
        reaped += seen.reaped_cpu.saturating_sub(old.map_or(Duration::ZERO, |old| old.reaped_cpu));
    }
    let vanished = before.values().filter(|old| !remaining.contains(&old.pid));
    let counted: Duration = vanished.map(|old| old.own_cpu + old.reaped_cpu).sum();
    own + reaped.saturating_sub(counted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    fn seen(pid: u32, parent: u32, own_ms: u64, reaped_ms: u64) -> Seen {
        Seen {
            pid,
            parent,
            group: 10,
            born: u64::from(pid),
            is_zombie: false,
            own_cpu: Duration::from_millis(own_ms),
            reaped_cpu: Duration::from_millis(reaped_ms),
            resident_bytes: 1,
        }
    }

    fn used_ms(before: &[Seen], now: &[Seen]) -> u128 {
        used(&before.iter().map(|one| (one.pid, *one)).collect(), now).as_millis()
    }

    #[test]
    fn children_come_and_go_without_loss_or_debt() {
        let parent = |own, reaped| seen(10, 1, own, reaped);
        let child = |own| seen(11, 10, own, 0);
        assert_eq!(used_ms(&[], &[parent(30, 0), child(20)]), 50, "new ones count from their birth");
        assert_eq!(used_ms(&[parent(30, 0), child(20)], &[parent(40, 0), child(50)]), 40);
        // The child used 15 ms more, ended and was reaped: its parent has its 35 ms now.
        assert_eq!(used_ms(&[parent(30, 0), child(20)], &[parent(30, 35)]), 15);
        // One that lived and ended between two looks.
        assert_eq!(used_ms(&[parent(30, 0)], &[parent(30, 70)]), 70);
        // Nobody reaped it: its last milliseconds are lost, but nobody owes them.
        assert_eq!(used_ms(&[parent(30, 0), child(500)], &[parent(40, 0)]), 10);
        // Another process with the pid of an old one.
        let reborn = Seen { born: 99, ..child(5) };
        assert_eq!(used_ms(&[parent(30, 0), child(20)], &[parent(30, 20), reborn]), 5);
    }

    /// A process group that ends with its test.
    struct Group(std::process::Child);

    impl Drop for Group {
        fn drop(&mut self) {
            let group = processes::as_pid(self.0.id()).unwrap();
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_busy_child_is_its_workers_cpu() {
        let clock = clock::Clock::start();
        let started_at = clock.now();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sh -c 'while :; do :; done' & wait"]).process_group(0);
        let group = Group(command.spawn().unwrap());
        let id = WorkerId { slot: 1, run: 1 };
        let subject = Subject { id, pid: group.0.id(), started_at };
        let mut meter = UsageMeter::new(0.5);
        let busy = loop {
            let usage = meter.sample(clock.now(), None, &[subject]);
            let percent = usage.workers.get(&id).and_then(|usage| usage.cpu_percent).unwrap_or(0.0);
            assert!(clock.uptime() < Duration::from_secs(30), "the child's CPU never showed: {usage:?}");
            if percent > 20.0 && usage.host_percent.is_some() {
                break usage;
            }
            std::thread::yield_now();
        };
        assert!(busy.workers[&id].memory_bytes > 0);
        let soon = meter.sample(busy.at.unwrap(), None, &[]);
        assert_eq!(soon, busy, "asked too soon, it repeats itself");
    }
}
