//! Outages of the measurements: what policies are shown while the source is ill. The load and
//! the workers know nothing of it.

use std::collections::VecDeque;
use std::time::Duration;

use control::virtual_pool::moment;
use control::{Observation, Reading};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::Window;

/// A time in which the measurements are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// How.
    pub kind: OutageKind,
    /// When it begins, after the start of the load.
    #[serde(with = "control::span")]
    pub at: Duration,
    /// How long it lasts.
    #[serde(rename = "for", with = "control::span")]
    pub length: Duration,
}

/// Ways for measurements to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// There are none.
    Missing,
    /// The last ones from before come again with their old time, so that they are known as old.
    Stale,
    /// CPU is no number.
    Nan,
    /// The last ones from before come again as if they were new.
    Stuck,
    /// They come [`DELAY_TURNS`] turns late, as if they were new.
    Delayed,
    /// CPU comes as a share in place of a percentage.
    WrongUnit,
}

/// Turns by which delayed measurements are late: a minute at one every 15 s.
pub const DELAY_TURNS: usize = 4;

/// What the workers and the traffic looked like at one turn.
#[derive(Clone, Debug)]
struct Picture {
    at: Timestamp,
    traffic: Option<Window>,
    /// Mean CPU of the workers that had one.
    cpu_percent: Option<f64>,
}

/// Stands between the measurements and the policy.
#[derive(Debug)]
pub(crate) struct Lens<'a> {
    outages: &'a [Outage],
    /// The last pictures, the oldest first.
    past: VecDeque<Picture>,
    /// The last one from before the present outage.
    before: Option<Picture>,
}

impl<'a> Lens<'a> {
    pub(crate) fn new(outages: &'a [Outage]) -> Self {
        Self { outages, past: VecDeque::new(), before: None }
    }

    /// Shows the policy what it would see.
    #[inline]
    pub(crate) fn bend(&mut self, seen: &mut Observation) {
        if !self.outages.is_empty() {
            self.show(seen);
        }
    }

    fn show(&mut self, seen: &mut Observation) {
        let known = seen.workers.iter().filter_map(|worker| worker.cpu_percent);
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), cpu| (sum + cpu, count + 1.0));
        let cpu_percent = (count > 0.0).then(|| sum / count);
        let picture = Picture { at: seen.at, traffic: seen.traffic.clone(), cpu_percent };
        let passed = seen.at.duration_since(moment(0));
        let passed = Duration::try_from(passed).unwrap_or_default();
        let outage =
            self.outages.iter().find(|outage| outage.at <= passed && passed < outage.at + outage.length);
        self.past.push_back(picture.clone());
        if self.past.len() > DELAY_TURNS + 1 {
            self.past.pop_front();
        }
        let shown = match outage.map(|outage| outage.kind) {
            None => {
                self.before = Some(picture.clone());
                picture
            }
            Some(kind) => self.distort(kind, seen, picture),
        };
        // Also by name, with its time, for policies that look at the age of what they are given.
        seen.signals.clear();
        if let Some(value) = shown.cpu_percent {
            seen.signals.insert("cpu".to_owned(), Reading { value, at: shown.at });
        }
    }

    fn distort(&self, kind: OutageKind, seen: &mut Observation, now: Picture) -> Picture {
        let blank = Picture { at: now.at, traffic: None, cpu_percent: None };
        let before = self.before.clone().unwrap_or_else(|| blank.clone());
        let shown = match kind {
            OutageKind::Missing => blank.clone(),
            OutageKind::Stale => before,
            OutageKind::Nan => Picture { cpu_percent: now.cpu_percent.map(|_| f64::NAN), ..now },
            OutageKind::Stuck => Picture { at: now.at, ..before },
            OutageKind::Delayed => {
                let late = self.past.front().filter(|_| self.past.len() > DELAY_TURNS);
                Picture { at: now.at, ..late.cloned().unwrap_or_else(|| blank.clone()) }
            }
            OutageKind::WrongUnit => Picture { cpu_percent: now.cpu_percent.map(|cpu| cpu / 100.0), ..now },
        };
        // A worker's own reading has no time: an old one is none.
        let direct = if kind == OutageKind::Stale { &blank } else { &shown };
        seen.traffic.clone_from(&direct.traffic);
        for worker in &mut seen.workers {
            worker.cpu_percent = match kind {
                OutageKind::Nan | OutageKind::WrongUnit if worker.cpu_percent.is_none() => None,
                OutageKind::WrongUnit => worker.cpu_percent.map(|cpu| cpu / 100.0),
                _ => direct.cpu_percent,
            };
        }
        shown
    }
}
