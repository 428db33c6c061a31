//! How many retries the requests of a while pay for, so that retries never multiply an outage.

use std::time::Duration;

use jiff::Timestamp;

/// Requests count for one to two of these.
const WINDOW: Duration = Duration::from_secs(10);

/// One retry is earned by so many requests: a fifth more load at the worst.
const REQUESTS_PER_RETRY: u64 = 5;

/// Retries that need not be earned, in a window: 10 a second, as Linkerd grants. A worker that
/// dies at low traffic takes at most so many requests with it that are worth another try.
const RETRIES_FREE: u64 = 100;

/// A budget of one thread. Time only goes forward.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    window_from: Timestamp,
    /// In this window and the one before it.
    requests: [u64; 2],
    retries: [u64; 2],
}

impl RetryBudget {
    /// Nothing earned yet.
    pub fn new(at: Timestamp) -> Self {
        Self { window_from: at, requests: [0; 2], retries: [0; 2] }
    }

    /// A request has come in.
    pub fn earn(&mut self, at: Timestamp) {
        self.roll(at);
        self.requests[0] += 1;
    }

    /// Takes a retry from what is there; false when nothing is.
    pub fn spend(&mut self, at: Timestamp) -> bool {
        self.roll(at);
        let earned = (self.requests[0] + self.requests[1]) / REQUESTS_PER_RETRY;
        let left = self.retries[0] + self.retries[1] < earned.max(RETRIES_FREE);
        self.retries[0] += u64::from(left);
        left
    }

    fn roll(&mut self, at: Timestamp) {
        let elapsed = Duration::try_from(at.duration_since(self.window_from)).unwrap_or_default();
        if elapsed < WINDOW {
            return;
        }
        let is_next = elapsed < WINDOW * 2;
        for counts in [&mut self.requests, &mut self.retries] {
            *counts = [0, if is_next { counts[0] } else { 0 }];
        }
        self.window_from = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn spend_all(budget: &mut RetryBudget, seconds: i64) -> u64 {
        (0..10_000).map(|_| u64::from(budget.spend(at(seconds)))).sum()
    }

    #[test]
    fn a_fifth_is_earned_and_some_are_free() {
        let mut budget = RetryBudget::new(at(0));
        assert_eq!(spend_all(&mut budget, 0), RETRIES_FREE);
        for _ in 0..2_000 {
            budget.earn(at(1));
        }
        assert_eq!(spend_all(&mut budget, 1), 400 - RETRIES_FREE);
        assert_eq!(spend_all(&mut budget, 11), 0, "the window before still counts");
        assert_eq!(spend_all(&mut budget, 21), RETRIES_FREE, "and is forgotten after that");
    }
}
