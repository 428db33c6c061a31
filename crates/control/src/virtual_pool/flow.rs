//! Requests as a fluid: backlog, patience and how busy the workers are, in closed form over
//! stretches of time in which neither load nor workers change.

/// How close to saturation the steady state of processor sharing is still believed: beyond,
/// a stretch ends before its queue could have formed.
const BUSY_MAX: f64 = 0.99;

/// What a stretch of constant load did. Loads are in workers at the SLO-safe utilisation, so
/// that amounts are in seconds of such workers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Time for which each ready worker was busy, in seconds.
    pub busy_s: f64,
    /// Load that left unserved.
    pub dropped: f64,
    /// Part of the time with a backlog, in seconds.
    pub waiting_s: f64,
    /// Mean wait in that part, in seconds.
    pub wait_s: f64,
    /// Mean response in the rest, in seconds.
    pub response_s: f64,
}

/// The waiting load and the constants of its service.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What one worker serves, in SLO-safe workers: above 1.
    capacity: f64,
    patience_s: f64,
    service_s: f64,
    /// Waiting load, in seconds of an SLO-safe worker.
    pub backlog: f64,
}

impl Flow {
    /// Nothing waits yet. A worker at this utilisation is one worker's load; requests wait at
    /// most `patience_s` and take `service_s` when alone.
    pub fn new(slo_utilisation: f64, patience_s: f64, service_s: f64) -> Self {
        Self { capacity: 1.0 / slo_utilisation, patience_s, service_s, backlog: 0.0 }
    }

    /// Lets `load` flow to `ready` workers for `length_s`.
    #[inline]
    pub fn run(&mut self, load: f64, ready: f64, length_s: f64) -> Served {
        let capacity = ready * self.capacity;
        let surplus = load - capacity;
        if self.backlog <= 0.0 && surplus <= 0.0 {
            let ratio = if capacity > 0.0 { load / capacity } else { 0.0 };
            return Served {
                busy_s: ratio * length_s,
                response_s: self.response(ratio),
                ..Served::default()
            };
        }
        self.run_waiting(load, capacity, length_s)
    }

    fn run_waiting(&mut self, load: f64, capacity: f64, length_s: f64) -> Served {
        let mut served = Served::default();
        // Whoever sees more than this before him leaves. Without a worker all wait alike.
        let most = if capacity > 0.0 {
            capacity * self.patience_s
        } else {
            self.backlog.max(load * self.patience_s)
        };
        let excess = (self.backlog - most).max(0.0);
        served.dropped += excess;
        let before = self.backlog - excess;
        let surplus = load - capacity;
        let (after, waiting_s) = if surplus >= 0.0 {
            let filled = before + surplus * length_s;
            served.dropped += (filled - most).max(0.0);
            (filled.min(most), length_s)
        } else {
            let empty_after_s = before / -surplus;
            if empty_after_s >= length_s {
                (before + surplus * length_s, length_s)
            } else {
                (0.0, empty_after_s)
            }
        };
        self.backlog = after;
        served.waiting_s = waiting_s;
        if capacity > 0.0 {
            let ratio = load / capacity;
            served.busy_s = waiting_s + (length_s - waiting_s) * ratio;
            served.wait_s = (before + after) / 2.0 / capacity;
            served.response_s = self.response(ratio);
        } else {
            served.wait_s = self.patience_s;
        }
        served
    }

    /// Mean response under processor sharing at this utilisation, in seconds.
    #[inline]
    fn response(&self, ratio: f64) -> f64 {
        self.service_s / (1.0 - ratio.min(BUSY_MAX))
    }

    /// How long one who comes now waits for `ready` workers, in seconds.
    #[inline]
    pub fn wait_s(&self, ready: f64) -> f64 {
        if self.backlog <= 0.0 {
            return 0.0;
        }
        if ready > 0.0 { self.backlog / (ready * self.capacity) } else { self.patience_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow::new(0.5, 10.0, 0.1)
    }

    #[test]
    fn below_capacity_nothing_waits() {
        let mut flow = flow();
        let served = flow.run(3.0, 2.0, 15.0);
        assert!((served.busy_s - 11.25).abs() < 1e-12, "3 of 4");
        assert!((served.response_s - 0.4).abs() < 1e-12);
        assert_eq!((served.dropped, flow.backlog), (0.0, 0.0));
    }

    #[test]
    fn a_backlog_grows_is_limited_by_patience_and_empties() {
        let mut flow = flow();
        let grown = flow.run(6.0, 2.0, 10.0);
        assert_eq!((flow.backlog, grown.dropped, grown.busy_s), (20.0, 0.0, 10.0));
        assert!((grown.wait_s - 2.5).abs() < 1e-12);
        let full = flow.run(6.0, 2.0, 15.0);
        assert_eq!((flow.backlog, full.dropped), (40.0, 10.0), "10 s of 4 is what patience allows");
        let emptied = flow.run(0.0, 4.0, 15.0);
        assert_eq!((flow.backlog, emptied.waiting_s, emptied.busy_s), (0.0, 5.0, 5.0));
        flow.run(6.0, 2.0, 20.0);
        let fewer = flow.run(0.0, 1.0, 1.0);
        assert_eq!((fewer.dropped, flow.backlog), (20.0, 18.0), "with half the workers half must leave");
    }

    /// The closed form against small ticks.
    #[test]
    fn one_stretch_equals_many_ticks() {
        for (load, ready, backlog) in [(3.0, 2.0, 17.0), (4.5, 2.0, 0.0), (9.0, 2.0, 35.0), (0.0, 3.0, 60.0)]
        {
            let (mut whole, mut ticks) = (flow(), flow());
            (whole.backlog, ticks.backlog) = (backlog, backlog);
            let once = whole.run(load, ready, 30.0);
            let (mut busy, mut dropped) = (0.0, 0.0);
            for _ in 0..3_000 {
                let tick = ticks.run(load, ready, 0.01);
                busy += tick.busy_s;
                dropped += tick.dropped;
            }
            assert!((whole.backlog - ticks.backlog).abs() < 1e-6);
            assert!((once.busy_s - busy).abs() < 1e-6 && (once.dropped - dropped).abs() < 1e-6);
        }
    }
}
