//! Keeps a process within its share of a core by making it pay back what it took too much.
//!
//! `debt += CPU time taken − share × time passed`, and never below zero: a worker that was idle
//! has not saved up anything. A slice of work may start only when nothing is owed, so over any
//! stretch of time the process takes at most its share, one slice and [`LATE_CREDIT`] more.

use std::time::Duration;

/// Longest stretch of burning between two looks at the debt: the worst excess over the share.
/// As long as the usual request, so that on an idle worker such a request runs in one go.
pub(crate) const SLICE: Duration = Duration::from_millis(5);

/// What a busy worker may be owed. The kernel wakes a sleeper late; without this, each late
/// wake-up would make the worker smaller than its size. An idle one is owed nothing.
pub(crate) const LATE_CREDIT: Duration = Duration::from_millis(2);

/// Two clocks of one process, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Time since some fixed moment.
    pub(crate) wall: Duration,
    /// CPU time that the process has taken so far.
    pub(crate) cpu: Duration,
}

/// The debt of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    cpus: f64,
    debt_seconds: f64,
    last: Reading,
}

impl Pace {
    /// Starts without debt; `cpus` is the share of one core, above 0.
    pub(crate) fn new(cpus: f64, now: Reading) -> Self {
        Self { cpus, debt_seconds: 0.0, last: now }
    }

    /// Takes note of the clocks and says how long to wait before the next slice; zero means now.
    ///
    /// `busy` says that work was waiting since the last reading, so that what was not used was
    /// not offered either.
    pub(crate) fn wait(&mut self, now: Reading, busy: bool) -> Duration {
        let cpu = now.cpu.saturating_sub(self.last.cpu).as_secs_f64();
        let wall = now.wall.saturating_sub(self.last.wall).as_secs_f64();
        self.last = now;
        let floor = if busy { -LATE_CREDIT.as_secs_f64() } else { 0.0 };
        self.debt_seconds = (self.debt_seconds + cpu - self.cpus * wall).max(floor);
        Duration::try_from_secs_f64(self.debt_seconds.max(0.0) / self.cpus).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall_ms: u64, cpu_ms: u64) -> Reading {
        Reading { wall: Duration::from_millis(wall_ms), cpu: Duration::from_millis(cpu_ms) }
    }

    fn millis(wait: Duration) -> u128 {
        (wait + Duration::from_micros(500)).as_millis()
    }

    #[test]
    fn waits_until_the_share_is_kept() {
        // name, cpus, readings (wall ms, cpu ms, busy), wait in ms after the last
        type Case = (&'static str, f64, &'static [(u64, u64, bool)], u128);
        let cases: &[Case] = &[
            ("nothing done", 0.25, &[(1000, 0, false)], 0),
            ("one slice of a quarter", 0.25, &[(5, 5, true)], 15),
            ("half paid back", 0.25, &[(5, 5, true), (12, 5, true)], 8),
            ("paid back in full", 0.25, &[(5, 5, true), (20, 5, true)], 0),
            ("idleness saves nothing", 0.25, &[(60_000, 0, false), (60_005, 5, true)], 15),
            ("other threads count", 0.25, &[(5, 8, true)], 27),
            ("a whole core owes nothing", 1.0, &[(5, 5, true)], 0),
            ("two threads on one core's share", 1.0, &[(5, 10, true)], 5),
            ("a late wake-up is made good", 0.25, &[(5, 5, true), (24, 5, true), (29, 10, true)], 11),
            ("but not by more than the credit", 0.25, &[(5, 5, true), (900, 5, true), (905, 10, true)], 7),
            ("preempted burning costs less", 0.25, &[(20, 5, true)], 0),
        ];
        for (name, cpus, readings, expected) in cases {
            let mut pace = Pace::new(*cpus, reading(0, 0));
            let mut wait = Duration::ZERO;
            for (wall, cpu, busy) in *readings {
                wait = pace.wait(reading(*wall, *cpu), *busy);
            }
            assert_eq!(millis(wait), *expected, "{name}");
        }
    }

    #[test]
    fn clocks_that_step_back_owe_nothing() {
        let mut pace = Pace::new(0.5, reading(100, 100));
        assert_eq!(pace.wait(reading(50, 50), true), Duration::ZERO);
    }

    #[test]
    fn any_second_of_a_busy_worker_holds_its_share_and_a_slice() {
        for cpus in [0.05, 0.1, 0.25, 0.5, 0.9, 1.0] {
            let mut pace = Pace::new(cpus, reading(0, 0));
            let (mut wall, mut cpu) = (0.0_f64, 0.0_f64);
            let mut taken = vec![(0.0, 0.0)];
            while wall < 5.0 {
                let now = Reading { wall: Duration::from_secs_f64(wall), cpu: Duration::from_secs_f64(cpu) };
                let wait = pace.wait(now, true);
                if wait.is_zero() {
                    taken.push((wall, cpu));
                    wall += SLICE.as_secs_f64();
                    cpu += SLICE.as_secs_f64();
                } else {
                    wall += wait.as_secs_f64() * 1.01; // the kernel is a little late
                }
            }
            let excess = (SLICE + LATE_CREDIT).as_secs_f64() + 1e-9;
            for (index, (from, before)) in taken.iter().enumerate() {
                for (to, after) in &taken[index..] {
                    assert!(after - before <= cpus * (to - from) + excess, "{cpus}: {from} to {to}");
                }
            }
            assert!(cpu >= cpus * 5.0 * 0.97, "{cpus}: the share is not wasted, {cpu}");
        }
    }
}
