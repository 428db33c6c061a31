//! The workers of an observation, and whether they are all alike: then one speaks for all, and a
//! thousand cost no more than one.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use traffic::WorkerId;

use super::WorkerSeen;
use crate::fleet::status::State;

/// Every worker, in order of slot: a list as any other, which may know that all in it are alike.
/// Whoever may change the list (`DerefMut`) takes that knowledge away.
#[derive(Clone, Default)]
pub struct Workers {
    each: Vec<WorkerSeen>,
    alike: Option<Box<Alike>>,
}

/// What is known of workers that are alike.
#[derive(Clone)]
struct Alike {
    one: WorkerSeen,
    who: Arc<[WorkerId]>,
}

impl Workers {
    /// One that stands for all of them, where it is known that they are alike: ready, equal in
    /// every reading, and as it is but for identity, place and age. None of them is younger.
    pub fn alike(&self) -> Option<&WorkerSeen> {
        self.alike.as_ref().map(|alike| &alike.one)
    }

    /// One of each kind: where all are alike, the one that stands for them, and otherwise all.
    pub fn kinds(&self) -> &[WorkerSeen] {
        self.alike().map_or(&self.each[..], std::slice::from_ref)
    }

    /// Who they are, where all are alike; shared until the list changes.
    pub(crate) fn who(&self) -> Option<&Arc<[WorkerId]>> {
        self.alike.as_ref().map(|alike| &alike.who)
    }

    /// Takes one out. Those who were alike still are, and none is younger than before.
    pub fn remove(&mut self, place: usize) -> WorkerSeen {
        let worker = self.each.remove(place);
        if let Some(mut alike) = self.alike.take().filter(|_| !self.each.is_empty()) {
            alike.who = self.each.iter().map(|worker| worker.id).collect();
            self.alike = Some(alike);
        }
        worker
    }

    /// States one CPU reading for all of them, and finds out whether they are alike.
    pub fn read_cpu(&mut self, percent: Option<f64>) {
        for worker in &mut self.each {
            worker.cpu_percent = percent;
        }
        match &mut self.alike {
            Some(alike) => alike.one.cpu_percent = percent,
            None => self.alike = Alike::of(&self.each).map(Box::new),
        }
    }
}

impl Alike {
    fn of(each: &[WorkerSeen]) -> Option<Self> {
        // Unlike ones are mostly the newest, which mostly come last.
        let (last, others) = each.split_last()?;
        let mut one = last.clone();
        if one.state != State::Ready {
            return None;
        }
        for worker in others.iter().rev() {
            if !are_alike(worker, &one) {
                return None;
            }
            one.since = one.since.max(worker.since);
            one.started_at = one.started_at.max(worker.started_at);
            one.ready_at = one.ready_at.max(worker.ready_at);
        }
        Some(Self { one, who: each.iter().map(|worker| worker.id).collect() })
    }
}

fn are_alike(one: &WorkerSeen, other: &WorkerSeen) -> bool {
    let bits = |worker: &WorkerSeen| worker.cpu_percent.map(f64::to_bits);
    let counts = |worker: &WorkerSeen| (worker.in_flight, worker.requests, worker.restarts);
    one.state == other.state
        && bits(one) == bits(other)
        && one.ready_at.is_some() == other.ready_at.is_some()
        && counts(one) == counts(other)
        && one.memory_bytes == other.memory_bytes
        && one.protected == other.protected
        && one.version == other.version
        && one.metrics == other.metrics
}

impl Deref for Workers {
    type Target = Vec<WorkerSeen>;

    fn deref(&self) -> &Self::Target {
        &self.each
    }
}

impl DerefMut for Workers {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.alike = None;
        &mut self.each
    }
}

impl From<Vec<WorkerSeen>> for Workers {
    fn from(each: Vec<WorkerSeen>) -> Self {
        Self { each, alike: None }
    }
}

impl FromIterator<WorkerSeen> for Workers {
    fn from_iter<I: IntoIterator<Item = WorkerSeen>>(each: I) -> Self {
        Vec::from_iter(each).into()
    }
}

impl<'a> IntoIterator for &'a Workers {
    type Item = &'a WorkerSeen;
    type IntoIter = std::slice::Iter<'a, WorkerSeen>;

    fn into_iter(self) -> Self::IntoIter {
        self.each.iter()
    }
}

impl<'a> IntoIterator for &'a mut Workers {
    type Item = &'a mut WorkerSeen;
    type IntoIter = std::slice::IterMut<'a, WorkerSeen>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// What is known of them beside follows from the list.
impl PartialEq for Workers {
    fn eq(&self, other: &Self) -> bool {
        self.each == other.each
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each.fmt(f)
    }
}

impl Serialize for Workers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.each.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtual_pool::{VirtualPool, moment};

    #[test]
    fn they_are_alike_until_somebody_may_have_changed_one() {
        let mut workers = VirtualPool::ready_from_start(3).seen;
        assert!(workers.alike().is_none() && workers.kinds().len() == 3, "nobody has looked yet");
        workers[1].since = moment(7_000);
        workers.read_cpu(Some(40.0));
        let one = workers.alike().expect("they differ in age alone");
        assert_eq!((one.cpu_percent, one.since), (Some(40.0), moment(7_000)));
        workers.read_cpu(None);
        assert_eq!(workers.kinds().len(), 1);
        assert_eq!(workers.kinds()[0].cpu_percent, None);
        assert!(workers.iter().all(|worker| worker.cpu_percent.is_none()));
        workers[2].protected = true;
        assert!(workers.alike().is_none());
        workers.read_cpu(Some(1.0));
        assert!(workers.alike().is_none(), "one is protected");
        assert!(workers.who().is_none());
        workers.remove(2);
        assert!(workers.who().is_none(), "what was not known is not known now");
        workers.read_cpu(Some(1.0));
        assert_eq!(workers.who().map(|who| who.len()), Some(2));
        assert_eq!(workers.remove(0).id.slot, 1);
        assert_eq!(workers.who().map(|who| who[0].slot), Some(2), "the other is still like itself");
        let other = workers.clone();
        workers.remove(0);
        assert!(workers.alike().is_none() && other.alike().is_some());
        let workers = other;
        let read: Workers = serde_json::from_str(&serde_json::to_string(&workers).unwrap()).unwrap();
        assert_eq!(read, workers);
    }
}
