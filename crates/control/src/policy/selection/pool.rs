//! A pool in three numbers, for candidates of whom nothing but the cost is wanted.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Workers that are ready, and workers that will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    ready: u32,
    /// When workers that start are ready, and how many; ascending.
    starting: VecDeque<(Timestamp, u32)>,
}

impl Pool {
    pub(super) fn new(ready: u32) -> Self {
        Self { ready, starting: VecDeque::new() }
    }

    /// Workers that are paid for.
    pub(super) fn existing(&self) -> u32 {
        self.ready + self.starting.iter().map(|(_, count)| count).sum::<u32>()
    }

    /// Lets the time from `from` to `to` pass; what it costs with a load times these equally likely
    /// factors, a missing worker-second at `kappa`.
    pub(super) fn pass(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        load: f64,
        factors: &[f64],
        kappa: f64,
    ) -> f64 {
        let mut cost = 0.0;
        let mut at = from;
        while at < to {
            let next = self.starting.front().map_or(to, |(ready, _)| (*ready).clamp(at, to));
            let ready = f64::from(self.ready);
            let missing = factors.iter().map(|factor| (factor * load - ready).max(0.0)).sum::<f64>();
            let missing = missing / factors.len().max(1) as f64;
            cost += next.duration_since(at).as_secs_f64() * (f64::from(self.existing()) + kappa * missing);
            at = next;
            while let Some((_, count)) = self.starting.pop_front_if(|(ready, _)| *ready <= at) {
                self.ready += count;
            }
        }
        cost
    }

    /// Starts or stops workers, so that there are `wanted`; those that start go first, the newest
    /// before the others.
    pub(super) fn order(&mut self, at: Timestamp, wanted: u32, start_up_s: f64) {
        let before = self.existing();
        if wanted > before {
            let start_up = SignedDuration::from_secs_f64(start_up_s.min(START_UP_MAX_S));
            let ready = at.saturating_add(start_up).unwrap_or(Timestamp::MAX);
            // A start-up that has been measured anew must not put the queue out of order.
            let ready = self.starting.back().map_or(ready, |(last, _)| ready.max(*last));
            self.starting.push_back((ready, wanted - before));
        }
        let mut surplus = before.saturating_sub(wanted);
        while let Some((_, count)) = self.starting.back_mut().filter(|_| surplus > 0) {
            let taken = surplus.min(*count);
            *count -= taken;
            surplus -= taken;
            if *count == 0 {
                self.starting.pop_back();
            }
        }
        self.ready -= surplus.min(self.ready);
    }
}

/// A start-up beyond this is a fault and no plan.
const START_UP_MAX_S: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::moment;

    #[test]
    fn it_pays_for_workers_and_for_missing_ones() {
        let mut pool = Pool::new(2);
        let cost = pool.pass(moment(0.0), moment(10.0), 1.0, &[1.0], 10.0);
        assert!((cost - 20.0).abs() < 1e-9);
        pool.order(moment(10.0), 4, 5.0);
        let cost = pool.pass(moment(10.0), moment(20.0), 3.0, &[1.0], 10.0);
        assert!((cost - (40.0 + 50.0)).abs() < 1e-9, "one was missing for 5 s: {cost}");
        let cost = pool.pass(moment(20.0), moment(21.0), 4.0, &[0.5, 1.5], 10.0);
        assert!((cost - (4.0 + 10.0)).abs() < 1e-9, "in half of the time two are missing");
    }

    #[test]
    fn those_that_start_go_first() {
        let mut pool = Pool::new(2);
        pool.order(moment(0.0), 5, 30.0);
        pool.order(moment(1.0), 3, 30.0);
        assert_eq!((pool.ready, pool.existing()), (2, 3));
        pool.order(moment(2.0), 1, 30.0);
        assert_eq!((pool.ready, pool.existing()), (1, 1));
    }
}
