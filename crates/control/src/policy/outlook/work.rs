//! What requests cost: how much of a worker's time each takes, learnt from pools that were not
//! saturated, so that load is known also when CPU stands at 100 %.

use jiff::Timestamp;

use crate::fleet::status::State;
use crate::observation::Observation;

/// What past turns keep of their weight: an app whose requests change is known anew after some
/// hundred turns.
const KEEP: f64 = 0.99;
/// Mean CPU above which requests pile up, so that completions say nothing about arrivals.
const SATURATED_PERCENT: f64 = 95.0;

/// Worker-seconds and requests, discounted.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    busy_s: f64,
    requests: f64,
}

/// What was measured, apart for pools with room and without.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    roomy: Sums,
    saturated: Sums,
    /// Busy workers at the last turn, where all were measured.
    busy: Option<f64>,
}

impl Work {
    /// Learns from one turn.
    pub(super) fn observe(&mut self, seen: &Observation) {
        self.busy = None;
        let length_s = seen.traffic.as_ref().map_or(1.0, |window| window.length.as_secs_f64());
        let (mut busy_s, mut ready_s) = (0.0, 0.0);
        for worker in seen.workers.iter().filter(|worker| worker.state == State::Ready) {
            let Some(cpu) = worker.cpu_percent.filter(|cpu| cpu.is_finite() && *cpu >= 0.0) else { return };
            let since = |at: Timestamp| seen.at.duration_since(at).as_secs_f64().clamp(0.0, length_s);
            let took_part_s = worker.ready_at.map_or(length_s, since);
            busy_s += cpu / 100.0 * took_part_s;
            ready_s += took_part_s;
        }
        if ready_s <= 0.0 || length_s <= 0.0 {
            return;
        }
        self.busy = Some(busy_s / length_s);
        let requests = seen.traffic.as_ref().map_or(0.0, |window| window.completions as f64);
        if requests > 0.0 {
            let saturated = busy_s >= SATURATED_PERCENT / 100.0 * ready_s;
            let sums = if saturated { &mut self.saturated } else { &mut self.roomy };
            sums.busy_s = KEEP * sums.busy_s + busy_s;
            sums.requests = KEEP * sums.requests + requests;
        }
    }

    /// Busy workers at the last turn, where they could be measured.
    pub(super) fn busy(&self) -> Option<f64> {
        self.busy
    }

    /// Worker-seconds that a request takes; `None` before any was measured. A saturated pool
    /// counts requests as done that still wait, so it is asked only where there is no other.
    pub(super) fn per_request(&self) -> Option<f64> {
        let known =
            |sums: &Sums| (sums.requests > 0.0 && sums.busy_s > 0.0).then(|| sums.busy_s / sums.requests);
        known(&self.roomy).or_else(|| known(&self.saturated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{pool, window};

    #[test]
    fn a_request_costs_what_was_measured_with_room() {
        let mut work = Work::default();
        assert_eq!(work.per_request(), None);
        // 20 requests a second by 2 workers at 100 %: no room, but better than nothing.
        work.observe(&pool(0.0, &[100.0, 100.0]));
        assert!((work.per_request().unwrap() - 0.1).abs() < 1e-9);
        for second in 1..50 {
            work.observe(&pool(f64::from(second), &[40.0, 20.0]));
        }
        assert!((work.per_request().unwrap() - 0.03).abs() < 1e-9);
        assert!((work.busy().unwrap() - 0.6).abs() < 1e-9);
        let mut blind = pool(60.0, &[40.0, f64::NAN]);
        blind.traffic = Some(traffic::Window { completions: 1_000, ..window() });
        work.observe(&blind);
        assert_eq!((work.busy(), work.per_request().map(|work| work < 0.031)), (None, Some(true)));
    }
}
