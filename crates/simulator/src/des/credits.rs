//! Workers that may work faster than they are paid for, on credit: the burstable machines of
//! clouds, as AWS documents its T3 family in standard mode.
//!
//! A worker earns its baseline all the time and spends what it uses; with an empty account it
//! works at its baseline. Its CPU percentage is what it uses of a full processor, so that a
//! throttled worker looks idle: the trap of scaling such machines by CPU.

/// An account is looked at this often: finer than any decision, coarser than requests.
pub(super) const LOOK_EVERY_NS: u64 = 1_000_000_000;

/// Longest saving of the T family, in seconds of earning.
const SAVED_MAX_S: f64 = 86_400.0;

/// How a burstable worker earns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credits {
    /// Share of a full worker that it earns, and works at when its account is empty.
    pub baseline: f64,
    /// What a new worker begins with, in seconds at full speed.
    pub launch_s: f64,
}

/// Worker models by name: baseline as a share, from the T3 table of the EC2 user guide.
const MODELS: [(&str, f64); 7] = [
    ("t3.nano", 0.05),
    ("t3.micro", 0.10),
    ("t3.small", 0.20),
    ("t3.medium", 0.20),
    ("t3.large", 0.30),
    ("t3.xlarge", 0.40),
    ("t3.2xlarge", 0.40),
];

impl Credits {
    /// The model of that name: one of the table (launched with an empty account), or
    /// `credits:BASELINE` and `credits:BASELINE,LAUNCH_SECONDS`.
    ///
    /// # Errors
    /// Says which models there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, baseline)) = MODELS.iter().find(|(name, _)| *name == text) {
            return Ok(Self { baseline: *baseline, launch_s: 0.0 });
        }
        let wrong = || {
            let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no worker model (try steady, {} or credits:0.2,600)", names.join(", "))
        };
        let numbers = text.strip_prefix("credits:").ok_or_else(wrong)?;
        let (baseline, launch) = numbers.split_once(',').unwrap_or((numbers, "0"));
        let baseline: f64 = baseline.trim().parse().map_err(|_| wrong())?;
        let launch_s: f64 = launch.trim().parse().map_err(|_| wrong())?;
        let sound = baseline > 0.0 && baseline <= 1.0 && launch_s.is_finite() && launch_s >= 0.0;
        if sound { Ok(Self { baseline, launch_s }) } else { Err(wrong()) }
    }
}

/// One worker's account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    credits: Credits,
    /// In seconds at full speed.
    balance_s: f64,
    spent_before_s: f64,
    at_ns: u64,
}

impl Account {
    pub(super) fn open(credits: Credits, now_ns: u64) -> Self {
        Self { credits, balance_s: credits.launch_s, spent_before_s: 0.0, at_ns: now_ns }
    }

    /// How fast the worker may work from now on, when it has used `spent_s` seconds so far.
    pub(super) fn settle(&mut self, now_ns: u64, spent_s: f64) -> f64 {
        let passed_s = now_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        let earned_s = self.credits.baseline * passed_s;
        let spent_since_s = spent_s - self.spent_before_s;
        (self.at_ns, self.spent_before_s) = (now_ns, spent_s);
        let saved_max_s = (SAVED_MAX_S * self.credits.baseline).max(self.credits.launch_s);
        self.balance_s = (self.balance_s + earned_s - spent_since_s).clamp(0.0, saved_max_s);
        // What is earned until the next look may be spent: less than that is empty.
        if self.balance_s < self.credits.baseline * passed_s { self.credits.baseline } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_by_name_and_by_number() {
        assert_eq!(Credits::parse("t3.small"), Ok(Credits { baseline: 0.2, launch_s: 0.0 }));
        assert_eq!(Credits::parse("credits:0.3,600"), Ok(Credits { baseline: 0.3, launch_s: 600.0 }));
        for wrong in ["t9.huge", "credits:", "credits:0", "credits:2", "credits:0.2,-1", "credits:NaN"] {
            assert!(Credits::parse(wrong).unwrap_err().contains("t3.small"), "{wrong}");
        }
    }

    #[test]
    fn an_account_is_spent_throttled_and_saved_again() {
        let mut account = Account::open(Credits { baseline: 0.2, launch_s: 8.0 }, 0);
        let second = |at: u64| at * 1_000_000_000;
        // Busy all the time: 8 s of credit and 0.2 a second last for 10 s.
        let mut spent_s = 0.0;
        let mut throttled_at = None;
        for at in 1..=20 {
            let speed = if throttled_at.is_some() { 0.2 } else { 1.0 };
            spent_s += speed;
            if account.settle(second(at), spent_s) < 1.0 {
                throttled_at.get_or_insert(at);
            }
        }
        assert_eq!(throttled_at, Some(10));
        // Idle for a minute: 12 s are saved, and it may burst again.
        assert!((account.settle(second(80), spent_s) - 1.0).abs() < f64::EPSILON);
        assert!((account.balance_s - 12.0).abs() < 1e-9);
        // A month idle saves no more than a day's earning.
        account.settle(second(30 * 86_400), spent_s);
        assert!((account.balance_s - 0.2 * 86_400.0).abs() < 1e-6);
    }
}
