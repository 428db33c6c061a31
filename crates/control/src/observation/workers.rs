//! The workers of an observation, and how many of them are alike: one speaks for those, and a
//! thousand cost no more than one.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use traffic::WorkerId;

use super::WorkerSeen;
use crate::fleet::status::State;

/// Every worker, in order of slot: a list as any other, which may know how many in it, from the
/// first on, are alike. Whoever may change any of them (`DerefMut`) takes that knowledge away.
#[derive(Clone, Default)]
pub struct Workers {
    each: Vec<WorkerSeen>,
    alike: Option<Box<Alike>>,
}

/// What is known of the first workers, which are alike.
#[derive(Clone)]
struct Alike {
    one: WorkerSeen,
    /// Who they are; at least one.
    who: Arc<[WorkerId]>,
}

impl Workers {
    /// One that stands for the first of them, and the others. Those it stands for are known to be
    /// alike: ready, equal in every reading, and as it is but for identity, place and age. None of
    /// them is younger.
    pub fn alike(&self) -> Option<(&WorkerSeen, &[WorkerSeen])> {
        self.alike.as_ref().map(|alike| (&alike.one, &self.each[alike.who.len()..]))
    }

    /// One of each kind: the one that stands for those that are alike, and all others.
    pub fn kinds(&self) -> impl Iterator<Item = &WorkerSeen> {
        let (one, others) = self.alike().map_or((None, &self.each[..]), |(one, others)| (Some(one), others));
        one.into_iter().chain(others)
    }

    /// Who those are that are alike; shared until there are others.
    pub(crate) fn who(&self) -> Option<&Arc<[WorkerId]>> {
        self.alike.as_ref().map(|alike| &alike.who)
    }

    /// How many are known to be alike.
    fn known(&self) -> usize {
        self.alike.as_ref().map_or(0, |alike| alike.who.len())
    }

    /// All but those known to be alike, and the place of the first; what is known stays known.
    pub(crate) fn others_mut(&mut self) -> (usize, &mut [WorkerSeen]) {
        let known = self.known();
        (known, &mut self.each[known..])
    }

    /// Adds one at a place.
    pub(crate) fn insert(&mut self, place: usize, worker: WorkerSeen) {
        if place < self.known() {
            self.alike = None;
        }
        self.each.insert(place, worker);
    }

    /// Takes one out. Those who were alike still are, and none is younger than before.
    pub fn remove(&mut self, place: usize) -> WorkerSeen {
        let worker = self.each.remove(place);
        let known = self.known();
        if place < known {
            self.alike.take_if(|_| known == 1);
            if let Some(alike) = &mut self.alike {
                alike.who = ids(&self.each[..known - 1]);
            }
        }
        worker
    }

    /// States one CPU reading for all of them, and finds out how many are alike.
    #[inline]
    pub fn read_cpu(&mut self, percent: Option<f64>) {
        for worker in &mut self.each {
            worker.cpu_percent = percent;
        }
        self.learn(self.each.len());
    }

    /// States the CPU reading of each by its place, and finds out how many are alike.
    pub fn read_each_cpu(&mut self, read: impl Fn(usize) -> Option<f64>) {
        for (place, worker) in self.each.iter_mut().enumerate() {
            worker.cpu_percent = read(place);
        }
        let percents = || self.each.iter().map(|worker| bits(worker.cpu_percent));
        let Some(first) = percents().next() else { return };
        self.learn(percents().take_while(|percent| *percent == first).count());
    }

    /// So many of the first read the same.
    #[inline]
    fn learn(&mut self, equal: usize) {
        self.alike.take_if(|alike| alike.who.len() > equal);
        if let Some(alike) = &mut self.alike {
            alike.one.cpu_percent = self.each[0].cpu_percent;
        }
        if self.known() < equal {
            self.look(equal);
        }
    }

    /// Finds out how many of the first `most` are alike, beyond those of whom it is known.
    fn look(&mut self, most: usize) {
        let mut alike = match self.alike.take() {
            Some(alike) => alike,
            None if self.each[0].state == State::Ready => {
                Box::new(Alike { one: self.each[0].clone(), who: Arc::default() })
            }
            None => return,
        };
        let mut count = alike.who.len();
        while count < most && are_alike(&self.each[count], &alike.one) {
            let (one, worker) = (&mut alike.one, &self.each[count]);
            one.since = one.since.max(worker.since);
            one.started_at = one.started_at.max(worker.started_at);
            one.ready_at = one.ready_at.max(worker.ready_at);
            count += 1;
        }
        if count > alike.who.len() {
            alike.who = ids(&self.each[..count]);
        }
        self.alike = Some(alike);
    }
}

fn ids(workers: &[WorkerSeen]) -> Arc<[WorkerId]> {
    workers.iter().map(|worker| worker.id).collect()
}

fn bits(percent: Option<f64>) -> Option<u64> {
    percent.map(f64::to_bits)
}

fn are_alike(one: &WorkerSeen, other: &WorkerSeen) -> bool {
    let counts = |worker: &WorkerSeen| (worker.in_flight, worker.requests, worker.restarts);
    one.state == other.state
        && bits(one.cpu_percent) == bits(other.cpu_percent)
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
        assert!(workers.alike().is_none() && workers.kinds().count() == 3, "nobody has looked yet");
        workers[1].since = moment(7_000);
        workers.read_cpu(Some(40.0));
        let (one, others) = workers.alike().expect("they differ in age alone");
        assert_eq!((one.cpu_percent, one.since, others.len()), (Some(40.0), moment(7_000), 0));
        workers.read_cpu(None);
        assert_eq!(workers.kinds().map(|one| one.cpu_percent).collect::<Vec<_>>(), [None]);
        assert!(workers.iter().all(|worker| worker.cpu_percent.is_none()));
        workers[2].protected = true;
        assert!(workers.alike().is_none() && workers.who().is_none());
        assert_eq!(workers.remove(0).id.slot, 1);
        assert!(workers.who().is_none(), "what was not known is not known now");
        let read: Workers = serde_json::from_str(&serde_json::to_string(&workers).unwrap()).unwrap();
        assert_eq!(read, workers);
    }

    #[test]
    fn those_who_differ_are_the_others() {
        let known = |workers: &Workers| {
            let who = workers.who().map_or(Vec::new(), |who| who.iter().map(|id| id.slot).collect());
            (who, workers.alike().map_or(0, |(_, others)| others.len()))
        };
        let mut workers = VirtualPool::ready_from_start(4).seen;
        workers[3].protected = true;
        workers.read_cpu(Some(1.0));
        assert_eq!(known(&workers), (vec![1, 2, 3], 1), "the last is protected");
        workers.read_each_cpu(|place| Some(if place < 2 { 2.0 } else { 3.0 }));
        assert_eq!(known(&workers), (vec![1, 2], 2), "two read the same");
        workers.read_cpu(Some(4.0));
        assert_eq!(known(&workers), (vec![1, 2, 3], 1), "and three again");
        let newest = workers.remove(3);
        assert_eq!(known(&workers), (vec![1, 2, 3], 0));
        workers.insert(3, newest.clone());
        workers.others_mut().1[0].protected = false;
        assert_eq!(known(&workers), (vec![1, 2, 3], 1), "nobody has looked at the last");
        let copy = workers.clone();
        workers.remove(0);
        workers.read_cpu(None);
        assert_eq!(known(&workers), (vec![2, 3, 4], 0), "now somebody has");
        workers.insert(1, newest);
        assert_eq!(known(&workers), (vec![], 0), "it stands between those that are alike");
        assert_eq!(known(&copy), (vec![1, 2, 3], 1));
        workers.read_each_cpu(|place| (place > 0).then_some(1.0));
        assert_eq!(known(&workers).0, [2], "one may be alone");
        workers.remove(0);
        assert_eq!(known(&workers), (vec![], 0));
        workers[0].state = State::Starting;
        workers.read_cpu(None);
        assert_eq!(known(&workers), (vec![], 0), "who is not ready speaks for nobody");
        Workers::default().read_cpu(None);
    }
}
