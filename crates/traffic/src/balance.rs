//! Which ready backend takes the next request: one trait, one file an algorithm, one table.

use std::fmt;
use std::hint::select_unpredictable;
use std::sync::Arc;

use jiff::Timestamp;

use crate::{Backend, Version, WorkerId};

mod consistent_hash;
mod least_connections;
mod p2c_peak_ewma;
mod random;
mod round_robin;
mod sticky_cookie;
mod weighted_round_robin;

pub use least_connections::LeastConnections;
pub use round_robin::RoundRobin;

/// The algorithm used when none is named: it alone takes slow requests and new workers into
/// account, and equals round robin while all requests are alike.
pub const DEFAULT: &str = "least_connections";

/// Every algorithm, by name.
pub static BALANCERS: &[Entry] = &[
    least_connections::ENTRY,
    round_robin::ENTRY,
    weighted_round_robin::ENTRY,
    p2c_peak_ewma::ENTRY,
    random::ENTRY,
    consistent_hash::ENTRY,
    sticky_cookie::ENTRY,
];

/// A row of [`BALANCERS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What users write.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Makes one, for one pool.
    pub build: fn() -> Box<dyn Balancer>,
}

/// Makes the algorithm called `name`.
///
/// # Errors
/// When there is none of that name; the message lists those there are.
pub fn build(name: &str) -> Result<Box<dyn Balancer>, UnknownBalancer> {
    let entry = BALANCERS.iter().find(|entry| entry.name == name);
    entry.map(|entry| (entry.build)()).ok_or_else(|| UnknownBalancer(name.to_owned()))
}

/// No algorithm has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBalancer(pub String);

impl fmt::Display for UnknownBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = BALANCERS.iter().map(|entry| entry.name).collect();
        write!(f, "`{}` is no balancing algorithm (there are {})", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownBalancer {}

/// Chance and time for one choice, handed in, so that it can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Now.
    pub at: Timestamp,
    /// Evenly distributed bits.
    pub random: u64,
    /// What requests that belong together share; equal keys may be sent to equal backends.
    pub key: u64,
    /// The backend that the client was with before, where that is kept.
    pub stick_to: Option<WorkerId>,
}

/// Chooses among ready backends. Called by many threads at once.
pub trait Balancer: Send + Sync + fmt::Debug {
    /// The index of the backend that takes the next request; `None` when none is eligible.
    fn pick(&self, ready: Candidates<'_>, draw: &Draw) -> Option<usize>;

    /// Whether clients are to be told which backend they were with, so that they can say so.
    fn is_sticky(&self) -> bool {
        false
    }

    /// Whether it looks at [`Backend::latency`], which is an estimate that costs something to keep.
    fn reads_latency(&self) -> bool {
        false
    }
}

/// The ready backends as a balancer sees them: those that may not take this request (full, retired
/// a moment ago, out of service, of another version, or to be avoided) keep their index but cannot
/// be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    ready: &'a [Arc<Backend>],
    rule: &'a Rule<'a>,
}

/// Who may take a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) avoid: Option<WorkerId>,
    /// Where all are out of service, all are in: one of them may answer yet.
    pub(crate) panic: bool,
    pub(crate) version: Option<Version>,
    pub(crate) draw: &'a Draw,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(ready: &'a [Arc<Backend>], rule: &'a Rule<'a>) -> Self {
        Self { ready, rule }
    }

    /// How many indices there are, eligible or not.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether there is no index at all.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Who is at `index`, eligible or not.
    pub fn id(&self, index: usize) -> Option<WorkerId> {
        self.ready.get(index).map(|backend| backend.id())
    }

    /// The backend at `index`, if it may take the request.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a Backend> {
        let backend = self.ready.get(index)?;
        let Rule { avoid, panic, version, draw } = *self.rule;
        let eligible = Some(backend.id()) != avoid
            && backend.has_room()
            && backend.weight() > 0
            && version.is_none_or(|version| version == backend.version())
            && (panic || backend.takes_requests(draw.at) && backend.is_warm_for(draw));
        eligible.then_some(backend)
    }

    /// How many requests the backend at `index` has, if they are fewer than `fewest` and it may
    /// take one more. The cheap question comes first: of many backends few are better than the
    /// best so far.
    pub fn busy_below(&self, index: usize, fewest: u32) -> Option<u32> {
        let in_flight = self.ready.get(index)?.in_flight();
        (in_flight < fewest && self.get(index).is_some()).then_some(in_flight)
    }

    /// The index with the fewest requests, eligible or not: of equals the first from `start` on, which
    /// is an index; one without any ends the search. Looked at several at a time, without a branch
    /// for each: which of them is better than those before nobody can foresee.
    #[inline]
    pub(crate) fn idlest(&self, start: usize) -> Option<usize> {
        let (mut fewest, mut chosen) = (u32::MAX, None);
        let mut index = start;
        for _ in 0..self.ready.len().div_ceil(AT_ONCE) {
            // At the end some are looked at again: they are no better than they were.
            for _ in 0..AT_ONCE {
                let in_flight = self.ready.get(index)?.in_flight();
                let is_better = in_flight < fewest;
                fewest = select_unpredictable(is_better, in_flight, fewest);
                chosen = select_unpredictable(is_better, Some(index), chosen);
                index += 1;
                index = select_unpredictable(index == self.ready.len(), 0, index);
            }
            if fewest == 0 {
                break;
            }
        }
        chosen
    }

    /// An eligible index by lot, other than `except`. Neighbours of those that are not eligible
    /// are not favoured while most are.
    fn by_lot(&self, mut lot: u64, except: Option<usize>) -> Option<usize> {
        let len = u64::try_from(self.len()).ok().filter(|len| *len > 0)?;
        let is_eligible = |index: &usize| Some(*index) != except && self.get(*index).is_some();
        let mut start = 0;
        for _ in 0..LOTS_MAX {
            start = usize::try_from(lot % len).unwrap_or_default();
            if is_eligible(&start) {
                return Some(start);
            }
            lot = spread(lot);
        }
        (start..self.len()).chain(0..start).find(is_eligible)
    }
}

/// Backends that are looked at together for the one with the fewest requests.
const AT_ONCE: usize = 4;
/// After so many lots in vain hardly anyone is eligible, and the next one who is will do.
const LOTS_MAX: u32 = 8;

/// Bits that look nothing like those they come from (SplitMix64's finish).
pub(crate) fn spread(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
