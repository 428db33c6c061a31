//! Lateness ledger: what each scale-out took, part by part, and what the workers cost.
//!
//! Systems fail from late decisions; this is where lateness is counted. A scale-out's parts:
//! *detect*, from the start of the first breaching turn to the decision; *start*, from the
//! decision until the new worker is ready; *route*, from ready to its first request.

use std::time::Duration;

use jiff::Timestamp;
use traffic::WorkerId;

use crate::cycle::Cycle;
use crate::decision::Decision;
use crate::fleet::status::State;
use crate::observation::{Observation, WorkerSeen};

/// Scale-outs that are kept; older ones are only counted.
const KEPT_MAX: usize = 1_000;

/// One scale-out, as far as it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleOut {
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Replicas before and after.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// The start of the turn in which the line was first crossed, where a line was.
    pub breached_at: Option<Timestamp>,
    /// The worker that came of it, once there is one.
    pub worker: Option<WorkerId>,
    /// When that worker became ready.
    pub ready_at: Option<Timestamp>,
    /// When it was given its first request.
    pub first_request_at: Option<Timestamp>,
}

impl ScaleOut {
    /// From the crossing to the decision.
    pub fn detect(&self) -> Option<Duration> {
        between(self.breached_at?, self.decided_at)
    }

    /// From the decision until the worker was ready.
    pub fn start(&self) -> Option<Duration> {
        between(self.decided_at, self.ready_at?)
    }

    /// From ready to the first request.
    pub fn route(&self) -> Option<Duration> {
        between(self.ready_at?, self.first_request_at?)
    }

    /// From the crossing (or the decision, where there was none) to the first request.
    pub fn total(&self) -> Option<Duration> {
        between(self.breached_at.unwrap_or(self.decided_at), self.first_request_at?)
    }
}

fn between(from: Timestamp, to: Timestamp) -> Option<Duration> {
    Duration::try_from(to.duration_since(from)).ok()
}

/// Keeps the books of a run; fed with its cycles in order.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    scale_outs: Vec<ScaleOut>,
    /// Scale-outs in all.
    pub scale_outs_total: u64,
    /// Scale-ins in all.
    pub scale_ins_total: u64,
    /// Workers existing × time, in worker-seconds.
    pub worker_seconds: f64,
    /// Most workers that were ready at once.
    pub ready_max: u32,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    breached_at: Option<Timestamp>,
}

impl Ledger {
    /// Enters one turn.
    pub fn apply(&mut self, cycle: &Cycle) {
        let Cycle::Decided { seen, decision, .. } = cycle else { return };
        self.count_time(seen);
        self.follow_up(seen);
        self.note_breach(seen, decision);
        let change = decision.change();
        if change > 0 {
            self.scale_outs_total += 1;
            self.open(seen, decision);
        } else if change < 0 {
            self.scale_ins_total += 1;
        }
    }

    /// The scale-outs kept, oldest first.
    pub fn scale_outs(&self) -> &[ScaleOut] {
        &self.scale_outs
    }

    /// Time from the first turn to the last.
    pub fn elapsed(&self) -> Duration {
        self.first.zip(self.last).and_then(|(first, last)| between(first, last)).unwrap_or_default()
    }

    /// Worker-seconds that `replicas` held all the time would have cost beyond those used.
    pub fn saved_against(&self, replicas: u32) -> f64 {
        f64::from(replicas) * self.elapsed().as_secs_f64() - self.worker_seconds
    }

    fn count_time(&mut self, seen: &Observation) {
        let passed = self.last.and_then(|last| between(last, seen.at)).unwrap_or_default();
        let existing = seen.workers.iter().filter(|worker| worker.state != State::Backoff).count();
        self.worker_seconds += existing as f64 * passed.as_secs_f64();
        self.ready_max = self.ready_max.max(seen.fleet.ready);
        self.first.get_or_insert(seen.at);
        self.last = Some(seen.at);
    }

    /// Remembers since when the value has been above the upper line.
    fn note_breach(&mut self, seen: &Observation, decision: &Decision) {
        let Some(measured) = &decision.measured else { return };
        let (Some(value), Some(up)) = (measured.value, measured.up) else { return };
        if value <= up {
            self.breached_at = None;
        } else if self.breached_at.is_none() {
            let length = seen.traffic.as_ref().map_or(Duration::ZERO, |window| window.length);
            self.breached_at = seen.at.checked_sub(length).ok();
        }
    }

    /// One entry a new worker.
    fn open(&mut self, seen: &Observation, decision: &Decision) {
        for from in decision.current..decision.desired() {
            if self.scale_outs.len() < KEPT_MAX {
                self.scale_outs.push(ScaleOut {
                    decided_at: seen.at,
                    from,
                    to: from.saturating_add(1),
                    breached_at: self.breached_at,
                    worker: None,
                    ready_at: None,
                    first_request_at: None,
                });
            }
        }
        // The next entry counts from here: its worker is late against what is still missing.
        self.breached_at = None;
    }

    /// Fills in what the workers of open entries have reached by now.
    fn follow_up(&mut self, seen: &Observation) {
        for index in 0..self.scale_outs.len() {
            if self.scale_outs[index].first_request_at.is_some() {
                continue;
            }
            let worker = match self.scale_outs[index].worker {
                Some(id) => seen.workers.iter().find(|worker| worker.id == id),
                None => self.newcomer(seen, self.scale_outs[index].decided_at),
            };
            if let Some(worker) = worker {
                let entry = &mut self.scale_outs[index];
                entry.worker = Some(worker.id);
                entry.ready_at = entry.ready_at.or(worker.ready_at);
                entry.first_request_at = entry.first_request_at.or(worker.first_request_at);
            }
        }
    }

    /// A worker started since `decided_at` that no entry has claimed.
    fn newcomer<'a>(&self, seen: &'a Observation, decided_at: Timestamp) -> Option<&'a WorkerSeen> {
        seen.workers.iter().find(|worker| {
            worker.started_at >= decided_at
                && !self.scale_outs.iter().any(|entry| entry.worker == Some(worker.id))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::Controller;
    use crate::cycle::Applied;
    use crate::made_up::{config, moment, pool};

    fn seconds(length: Option<Duration>) -> f64 {
        (length.unwrap().as_secs_f64() * 1e3).round() / 1e3
    }

    #[test]
    fn each_part_of_a_scale_out_is_counted() {
        let mut controller = Controller::new(config("threshold", json!({}))).unwrap();
        let mut ledger = Ledger::default();
        let mut run =
            vec![pool(0.0, &[20.0]), pool(1.0, &[90.0]), pool(2.0, &[90.0, 0.0]), pool(3.0, &[50.0, 50.0])];
        for seen in &mut run[2..] {
            seen.workers[1].started_at = moment(1.01);
            seen.workers[1].ready_at = Some(moment(1.26));
        }
        run[3].workers[1].first_request_at = Some(moment(1.27));
        for seen in run {
            let decision = controller.decide(&seen);
            ledger.apply(&Cycle::Decided { seen, decision, applied: Applied::Ordered, ledger: None });
        }
        let [scale_out] = ledger.scale_outs() else { panic!("{:?}", ledger.scale_outs()) };
        assert_eq!((scale_out.from, scale_out.to), (1, 2));
        assert!((seconds(scale_out.detect()) - 1.0).abs() < 1e-9, "the turn that breached began at 0 s");
        assert!((seconds(scale_out.start()) - 0.26).abs() < 1e-9);
        assert!((seconds(scale_out.route()) - 0.01).abs() < 1e-9);
        assert!((seconds(scale_out.total()) - 1.27).abs() < 1e-9);
        assert!((ledger.worker_seconds - 5.0).abs() < 1e-9, "1 + 2 + 2");
        assert!((ledger.saved_against(5) - 10.0).abs() < 1e-9, "15 - 5");
    }
}
