//! How many requests a second one client may send: a bucket of tokens each.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;

/// Clients remembered at once, some 64 bytes each. When there are more, those whose buckets are
/// full again are forgotten, which changes nothing for them; if there are none, newcomers share.
const CLIENTS_MAX: usize = 32_768;

/// Buckets by client. A bucket fills at the rate and holds what may come at once.
#[derive(Debug)]
pub struct RateLimit<K> {
    rate_per_second: f64,
    burst: f64,
    buckets: HashMap<K, Bucket>,
    /// For newcomers when there are too many clients.
    shared: Bucket,
    swept_at: Timestamp,
}

/// Full buckets are looked for no more often: a flood of addresses must not cost a search each.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// `rate_per_second` requests a second, and `burst` at once (at least 1).
    pub fn new(rate_per_second: f64, burst: f64, at: Timestamp) -> Self {
        let burst = burst.max(1.0);
        Self {
            rate_per_second,
            burst,
            buckets: HashMap::new(),
            shared: Bucket { tokens: burst, at },
            swept_at: at,
        }
    }

    /// Takes one request of `client`.
    ///
    /// # Errors
    /// How long until the next one is welcome.
    pub fn take(&mut self, client: K, at: Timestamp) -> Result<(), Duration> {
        let (rate, burst) = (self.rate_per_second, self.burst);
        let since_sweep = Duration::try_from(at.duration_since(self.swept_at)).unwrap_or_default();
        if self.buckets.len() >= CLIENTS_MAX && since_sweep >= SWEEP_EVERY {
            self.buckets.retain(|_, bucket| bucket.filled(rate, burst, at) < burst);
            self.swept_at = at;
        }
        let bucket = if self.buckets.len() >= CLIENTS_MAX && !self.buckets.contains_key(&client) {
            &mut self.shared
        } else {
            self.buckets.entry(client).or_insert(Bucket { tokens: burst, at })
        };
        let tokens = bucket.filled(rate, burst, at);
        *bucket = Bucket { tokens, at };
        if tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((1.0 - tokens) / rate).unwrap_or(Duration::MAX))
    }
}

impl Bucket {
    fn filled(&self, rate: f64, burst: f64, at: Timestamp) -> f64 {
        let elapsed = Duration::try_from(at.duration_since(self.at)).unwrap_or_default();
        (self.tokens + elapsed.as_secs_f64() * rate).min(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_bucket() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let mut limit = RateLimit::new(10.0, 3.0, at(0));
        let passed = |limit: &mut RateLimit<u32>, client, now| {
            (0..10).filter(|_| limit.take(client, at(now)).is_ok()).count()
        };
        assert_eq!(passed(&mut limit, 1, 0), 3);
        assert_eq!(limit.take(1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(passed(&mut limit, 2, 0), 3);
        assert_eq!(passed(&mut limit, 1, 150), 1);
        assert_eq!(passed(&mut limit, 1, 10_000), 3);
    }

    #[test]
    fn memory_is_bounded() {
        let at = Timestamp::UNIX_EPOCH;
        let mut limit = RateLimit::new(0.001, 1.0, at);
        for client in 0..100_000_u32 {
            let _ = limit.take(client, at);
        }
        assert_eq!(limit.buckets.len(), CLIENTS_MAX);
    }
}
