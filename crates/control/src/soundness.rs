//! Which readings can be believed: one row a signal, one treatment a fault, before any policy.
//!
//! A reading that cannot be believed counts as not taken. What a missing reading means is the
//! policy's own affair; by default all of them hold, so nothing is taken away on no data.

mod still;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::WorkerId;

use self::still::{Stillness, Traffic};
use crate::decision::{Because, Text};
use crate::fleet::status::State;
use crate::observation::{Observation, WorkerSeen};

/// What can be wrong with a reading. Missing and stale ones are told by the policy that needs
/// them, in its `no_reading` and `excluded`: only it knows what it needs, and how fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// NaN or infinite.
    NoNumber,
    /// Below what the signal can be.
    Negative,
    /// Above what the signal can be, or a fraction where a percentage is expected.
    WrongUnit,
    /// The same to the last bit, while the traffic changes.
    Stuck,
    /// Stamped later than now: a clock is wrong, and its age would never show.
    Ahead,
    /// Taken some time ago. It counts until the policy's `stale_after`.
    Delayed,
}

impl Fault {
    /// Whether the reading counts nevertheless.
    fn counts(self) -> bool {
        self == Self::Delayed
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "no number",
            Self::Negative => "negative",
            Self::WrongUnit => "wrong unit",
            Self::Stuck => "stuck",
            Self::Ahead => "ahead of time",
            Self::Delayed => "delayed",
        })
    }
}

/// A reading that cannot be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unsound {
    /// As in `worker_cpu`.
    pub signal: Text,
    /// Whose reading it is, if one worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// What is wrong with it.
    pub fault: Fault,
    /// Whether it counted as not taken.
    pub dropped: bool,
    /// In words, with its numbers.
    pub because: Because,
}

/// What is possible for a signal.
struct Row {
    signal: &'static str,
    least: f64,
    most: f64,
    /// Judged for standing still: it moves with the traffic.
    moves: bool,
}

/// More cores than any machine has: above 100 % of so many, a percentage of a worker is in another
/// unit. A worker's size is only what the user says, so 100 % is no limit.
const CORES_MAX: f64 = 1_024.0;

/// CPU of a worker, in percent of its size.
const WORKER_CPU: Row = Row { signal: "worker_cpu", least: 0.0, most: 100.0 * CORES_MAX, moves: true };

/// Named readings with a known unit. Of others only the user knows what is possible; they may stand
/// still on whole numbers, as a queue does.
const NAMED: &[Row] = &[
    // Half a percent for the rounding of those who measure.
    Row { signal: "host_cpu", least: 0.0, most: 100.5, moves: true },
    Row { signal: "host_memory", least: 0.0, most: 100.5, moves: false },
    Row { signal: "requests_per_second", least: 0.0, most: f64::INFINITY, moves: false },
];

/// Any other named reading.
const OTHER: Row = Row { signal: "", least: f64::NEG_INFINITY, most: f64::INFINITY, moves: true };

/// Age from which a reading is told as delayed: a usual scrape interval.
const DELAYED_S: f64 = 15.0;
/// Clocks of one network differ by less.
const AHEAD_MAX_S: f64 = 60.0;
/// Turns over which every worker had work and CPU stayed below 1 %, until it is taken for a
/// fraction. Above 1 % the suspicion is over at once.
const FRACTION_TURNS: u32 = 30;
/// Workers listed a turn at most: with more, it is the source and no worker.
const WORKERS_TOLD_MAX: usize = 8;

/// Judges readings, turn by turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Soundness {
    /// In the order in which they were seen, but for those that stand together.
    workers: Vec<(WorkerId, Stillness)>,
    /// The first of all, which have been alike: what holds for each of them.
    together: Option<(Arc<[WorkerId]>, Stillness)>,
    named: BTreeMap<String, Stillness>,
    traffic: Traffic,
    /// Turns in a row that look like a fraction.
    fraction_turns: u32,
}

/// What cannot be believed of an observation.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// The observation without what does not count.
    believed: Option<Observation>,
    /// What it was, and what else is wrong.
    pub(crate) unsound: Vec<Unsound>,
}

impl Doubt {
    /// What policies are shown of `seen`.
    pub(crate) fn believed<'a>(doubt: Option<&'a Self>, seen: &'a Observation) -> &'a Observation {
        doubt.and_then(|doubt| doubt.believed.as_ref()).unwrap_or(seen)
    }
}

/// What a turn's readings come to, where anything is wrong: mostly there is nothing to put down.
type Verdicts = Option<Box<Wrong>>;

/// What is wrong at a turn.
#[derive(Debug, Default)]
struct Wrong {
    workers: Vec<WorkerId>,
    named: Vec<String>,
    told: Vec<Unsound>,
}

impl Wrong {
    fn drop_worker(&mut self, id: WorkerId, value: f64, (fault, sentence): Found) {
        self.workers.push(id);
        if self.told.len() < WORKERS_TOLD_MAX {
            let because = Because::new(sentence, [("value", value)]);
            let (signal, worker) = (WORKER_CPU.signal.into(), Some(id));
            self.told.push(Unsound { signal, worker, fault, dropped: true, because });
        }
    }

    #[cold]
    fn doubt(mut self, seen: &Observation) -> Doubt {
        if self.workers.is_empty() && self.named.is_empty() {
            return Doubt { believed: None, unsound: self.told };
        }
        let mut believed = seen.clone();
        self.workers.sort_unstable();
        let is_wrong = |worker: &&mut WorkerSeen| self.workers.binary_search(&worker.id).is_ok();
        believed.workers.iter_mut().filter(is_wrong).for_each(|worker| worker.cpu_percent = None);
        believed.signals.retain(|name, _| !self.named.contains(name));
        Doubt { believed: Some(believed), unsound: self.told }
    }
}

#[cold]
fn wrong(verdicts: &mut Verdicts) -> &mut Wrong {
    verdicts.get_or_insert_default()
}

impl Soundness {
    /// What cannot be believed, if anything.
    pub(crate) fn judge(&mut self, seen: &Observation) -> Option<Box<Doubt>> {
        let mut verdicts: Verdicts = None;
        self.traffic.see(seen);
        self.judge_workers(seen, &mut verdicts);
        if !(self.named.is_empty() && seen.signals.is_empty()) {
            self.judge_named(seen, &mut verdicts);
        }
        verdicts.map(|wrong| Box::new(wrong.doubt(seen)))
    }

    fn judge_workers(&mut self, seen: &Observation, verdicts: &mut Verdicts) {
        let fraction = self.looks_like_a_fraction(seen).then_some((Fault::WrongUnit, FRACTION));
        let others = self.judge_together(seen, fraction, verdicts).unwrap_or_else(|| {
            self.part();
            &seen.workers
        });
        let mut place = 0;
        for worker in others {
            let Some(value) = worker.cpu_percent.filter(|_| worker.state == State::Ready) else { continue };
            let still = entry(&mut self.workers, place, worker.id);
            place += 1;
            still.see(value, seen.at, worker.requests, &self.traffic);
            // Nearly all are sound, and there may be a thousand.
            let is_sound = WORKER_CPU.can_be(value) && !still.is_long();
            if !is_sound || fraction.is_some() {
                let fault = WORKER_CPU.fault(value).or_else(|| still.fault(&WORKER_CPU, value)).or(fraction);
                fault.into_iter().for_each(|found| wrong(verdicts).drop_worker(worker.id, value, found));
            }
        }
        self.workers.truncate(place);
    }

    /// Judges those that are alike at once, if one entry can serve for all of them; the others.
    fn judge_together<'a>(
        &mut self,
        seen: &'a Observation,
        fraction: Option<Found>,
        verdicts: &mut Verdicts,
    ) -> Option<&'a [WorkerSeen]> {
        let (one, others) = seen.workers.alike()?;
        let (who, value) = (seen.workers.who()?, one.cpu_percent?);
        let traffic = self.traffic;
        let still = self.one_for(who, value, others)?;
        still.see(value, seen.at, one.requests, &traffic);
        let fault = WORKER_CPU.fault(value).or_else(|| still.fault(&WORKER_CPU, value)).or(fraction);
        if let Some(found) = fault {
            who.iter().for_each(|id| wrong(verdicts).drop_worker(*id, value, found));
        }
        Some(others)
    }

    /// One entry for all of these, if they had one already, or if what they read is news to each:
    /// then all of them begin anew, whoever they are.
    fn one_for(
        &mut self,
        who: &Arc<[WorkerId]>,
        value: f64,
        others: &[WorkerSeen],
    ) -> Option<&mut Stillness> {
        let (before, still) = self.together.get_or_insert_default();
        if !Arc::ptr_eq(before, who) && before != who {
            let is_news = !still.is_at(value) && !self.workers.iter().any(|(_, still)| still.is_at(value));
            // One who is not like the rest any more needs what was known of all.
            if !is_news || others.iter().any(|other| before.contains(&other.id)) {
                return None;
            }
            *before = Arc::clone(who);
        }
        Some(still)
    }

    /// Each its own entry again.
    fn part(&mut self) {
        if let Some((who, still)) = self.together.take() {
            self.workers.splice(0..0, who.iter().map(|id| (*id, still)));
        }
    }

    fn judge_named(&mut self, seen: &Observation, verdicts: &mut Verdicts) {
        self.named.retain(|name, _| seen.signals.contains_key(name));
        for (name, reading) in &seen.signals {
            let row = NAMED.iter().find(|row| row.signal == name).unwrap_or(&OTHER);
            if !self.named.contains_key(name) {
                self.named.insert(name.clone(), Stillness::default());
            }
            let Some(still) = self.named.get_mut(name) else { continue };
            // The same reading seen again says nothing about the next.
            if still.is_new(reading.at) {
                still.see(reading.value, reading.at, 0, &self.traffic);
            }
            let fault = row
                .fault(reading.value)
                .or_else(|| timing(reading.at, seen.at))
                .or_else(|| still.fault(row, reading.value));
            if let Some((fault, sentence)) = fault {
                let age = seen.at.duration_since(reading.at).as_secs_f64();
                let because =
                    Because::new(sentence, [("value", reading.value), ("age", age), ("ahead", -age)]);
                let (signal, dropped) = (name.clone().into(), !fault.counts());
                if dropped {
                    wrong(verdicts).named.push(name.clone());
                }
                wrong(verdicts).told.push(Unsound { signal, worker: None, fault, dropped, because });
            }
        }
    }

    /// Whether CPU has been between 0 and 1 for long, although every worker had work: then a source
    /// says 0.9 where it means 90 %.
    fn looks_like_a_fraction(&mut self, seen: &Observation) -> bool {
        let mut values = seen.workers.kinds().filter_map(|worker| worker.cpu_percent).peekable();
        let small = values.peek().is_some() && values.all(|value| value > 0.0 && value < 1.0);
        let busy = seen.traffic.as_ref().is_some_and(|window| {
            seen.fleet.ready > 0 && window.in_flight.saturating_add(window.queued) >= seen.fleet.ready
        });
        self.fraction_turns = if small && busy { self.fraction_turns.saturating_add(1) } else { 0 };
        self.fraction_turns >= FRACTION_TURNS
    }
}

/// The entry of the worker that is the `place`-th to be judged. Workers come in order of slot, so it
/// mostly stands there already; those before it that were not judged are gone.
fn entry(known: &mut Vec<(WorkerId, Stillness)>, place: usize, id: WorkerId) -> &mut Stillness {
    let is_there = |known: &[(WorkerId, Stillness)]| known.get(place).is_some_and(|(there, _)| *there == id);
    if !is_there(known) {
        let gone = known[place..].iter().take_while(|(there, _)| *there < id).count();
        known.drain(place..place + gone);
        if !is_there(known) {
            known.insert(place, (id, Stillness::default()));
        }
    }
    &mut known[place].1
}

type Found = (Fault, &'static str);

const FRACTION: &str = "{value} for so long under load is a fraction, no percentage";

impl Row {
    /// Whether nothing is wrong with the number as such.
    fn can_be(&self, value: f64) -> bool {
        value.is_finite() && value >= self.least && value <= self.most
    }

    fn fault(&self, value: f64) -> Option<Found> {
        match value {
            value if !value.is_finite() => Some((Fault::NoNumber, "it is no number")),
            value if value < self.least => Some((Fault::Negative, "{value} is less than it can be")),
            value if value > self.most => {
                Some((Fault::WrongUnit, "{value} is more than it can be: another unit?"))
            }
            _ => None,
        }
    }
}

fn timing(taken: Timestamp, now: Timestamp) -> Option<Found> {
    match now.duration_since(taken).as_secs_f64() {
        age if age < -AHEAD_MAX_S => {
            Some((Fault::Ahead, "it is stamped {ahead} s later than now: a clock is wrong"))
        }
        age if age > DELAYED_S => {
            Some((Fault::Delayed, "it is {age} s old; it counts until the policy's stale_after"))
        }
        _ => None,
    }
}
