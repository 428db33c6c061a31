//! Goes through the ledgers of a run and names the first that does not add up.
//!
//! While requests move, the two books cannot be read at one moment: during a run the audit asks that
//! nothing ended that had not begun and that no total shrank, and that the turn's window says the
//! same as the totals. When the last request has ended, everything has to be equal.

use super::{Handed, Ledger};
use crate::Window;

/// A ledger that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken, in a word.
    pub rule: &'static str,
    /// With its numbers.
    pub text: String,
}

/// The rules, each with what it asks for.
pub static RULES: &[(&str, &str)] = &[
    ("conservation", "accepted = answered + refused + failed + cancelled + open"),
    ("totals_shrink", "no total is smaller than a turn before"),
    ("window", "what a turn's window says happened is how far the totals moved"),
    ("ended_once", "no worker ended more requests than it was handed"),
    ("one_worker", "every answer was counted by exactly one worker"),
    ("all_ended", "at the end no request is open, and none is at a worker"),
    ("retries", "no request was handed to a worker more often than its retries say"),
];

/// The audit of one session, turn by turn.
#[derive(Debug, Default)]
pub struct Audit {
    last: Option<(u64, Ledger)>,
}

impl Audit {
    /// Checks turn `seq`, counted from 1, with the window of that turn.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn turn(&mut self, seq: u64, window: Option<&Window>, ledger: &Ledger) -> Result<(), Violation> {
        balanced(ledger)?;
        let nothing = (0, Ledger::default());
        let (last_seq, last) = self.last.as_ref().unwrap_or(&nothing);
        grown(last, ledger)?;
        if let Some(window) = window
            && last_seq.checked_add(1) == Some(seq)
        {
            told(last, ledger, window)?;
        }
        self.last = Some((seq, ledger.clone()));
        Ok(())
    }

    /// Checks the books as they were when the last request had ended.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn close(&mut self, ledger: &Ledger) -> Result<(), Violation> {
        balanced(ledger)?;
        if let Some((_, last)) = &self.last {
            grown(last, ledger)?;
        }
        closed(ledger)?;
        self.last = Some((u64::MAX, ledger.clone()));
        Ok(())
    }

    /// The latest books; `None` before the first.
    pub fn latest(&self) -> Option<&Ledger> {
        self.last.as_ref().map(|(_, ledger)| ledger)
    }
}

fn hold(holds: bool, rule: &'static str, text: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { rule, text: text() }) }
}

/// What holds of any ledger at any time.
fn balanced(ledger: &Ledger) -> Result<(), Violation> {
    let Ledger { accepted, answered, failed, cancelled, open, .. } = ledger;
    let refused = ledger.refused_in_all();
    let sum =
        [*answered, refused, *failed, *cancelled, *open].iter().try_fold(0_u64, |sum, n| sum.checked_add(*n));
    hold(sum == Some(*accepted), "conservation", || {
        format!(
            "{accepted} accepted, but {answered} answered + {refused} refused + {failed} failed + \
             {cancelled} cancelled + {open} open = {}",
            sum.map_or_else(|| "more than can be counted".to_owned(), |sum| sum.to_string())
        )
    })?;
    let all = ledger.workers.iter().map(|worker| (worker.id.to_string(), worker.handed));
    for (worker, handed) in all.chain([("those that left".to_owned(), ledger.gone)]) {
        hold(handed.ended() <= handed.leased, "ended_once", || {
            format!("worker {worker} was handed {} requests and ended {}", handed.leased, handed.ended())
        })?;
    }
    let by_workers = ledger.handed().answered;
    hold(by_workers >= *answered, "one_worker", || {
        format!("{answered} requests were answered by workers, who know of {by_workers}")
    })
}

/// Totals only grow.
fn grown(last: &Ledger, now: &Ledger) -> Result<(), Violation> {
    let kept = |name: &str, before: u64, after: u64| {
        hold(before <= after, "totals_shrink", || format!("{name}: {after}, and {before} a turn before"))
    };
    kept("accepted", last.accepted, now.accepted)?;
    kept("answered", last.answered, now.answered)?;
    kept("failed", last.failed, now.failed)?;
    kept("cancelled", last.cancelled, now.cancelled)?;
    kept("retries", last.retries, now.retries)?;
    for (reason, before) in &last.refused {
        kept(&format!("refused for {reason}"), *before, now.refused.get(reason).copied().unwrap_or(0))?;
    }
    let pages = |name: &str, before: Handed, after: Handed| {
        kept(&format!("handed to {name}"), before.leased, after.leased)?;
        kept(&format!("answered by {name}"), before.answered, after.answered)?;
        kept(&format!("failed by {name}"), before.failed, after.failed)?;
        kept(&format!("unreached at {name}"), before.unreached, after.unreached)?;
        kept(&format!("cancelled at {name}"), before.cancelled, after.cancelled)
    };
    for worker in &last.workers {
        // One that has left is among those that have, and in the sum.
        if let Some(after) = now.workers.iter().find(|after| after.id == worker.id) {
            pages(&worker.id.to_string(), worker.handed, after.handed)?;
        }
    }
    pages("all workers", last.handed(), now.handed())
}

/// The window and the totals were counted by one reading: they agree to the last request.
fn told(last: &Ledger, now: &Ledger, window: &Window) -> Result<(), Violation> {
    let agree = |name: &str, told: u64, moved: u64| {
        hold(told == moved, "window", || format!("{name}: {told} by the window, {moved} by the totals"))
    };
    agree("arrivals", window.arrivals, now.accepted.saturating_sub(last.accepted))?;
    let ended = |ledger: &Ledger| ledger.answered + ledger.refused_in_all() + ledger.failed;
    let told = window.completions.saturating_add(window.failures);
    agree("completions and failures", told, ended(now).saturating_sub(ended(last)))
}

/// What holds once every request has ended.
fn closed(ledger: &Ledger) -> Result<(), Violation> {
    let (sum, open) = (ledger.handed(), ledger.open);
    hold(open == 0 && sum.in_flight == 0, "all_ended", || {
        format!("{open} requests have no outcome, {} are still at a worker", sum.in_flight)
    })?;
    hold(sum.leased == sum.ended(), "all_ended", || {
        format!("workers were handed {} requests and ended {}", sum.leased, sum.ended())
    })?;
    hold(sum.answered == ledger.answered, "one_worker", || {
        format!("{} requests were answered, by workers' own count {}", ledger.answered, sum.answered)
    })?;
    hold(sum.failed >= ledger.failed, "one_worker", || {
        format!("{} answers broke off, by workers' own count {}", ledger.failed, sum.failed)
    })?;
    hold(sum.leased <= ledger.accepted.saturating_add(ledger.retries), "retries", || {
        let Ledger { accepted, retries, .. } = ledger;
        format!("{accepted} accepted + {retries} retries, but handed to workers {} times", sum.leased)
    })
}
