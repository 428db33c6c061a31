//! All that a request needs to know of a pool, as of one moment, and the choice made from it.

use std::sync::Arc;

use super::Lease;
use crate::balance::{Balancer, Candidates, Draw, Rule, spread};
use crate::{Backend, Version, WorkerId};

/// How often one choice is made again because the chosen backend was retired or filled under its
/// hands; each round needs another thread to have got in first, so this many in a row means
/// overload, for which waiting is the answer.
const PICKS_MAX: u32 = 64;

/// The ready backends, and how one of them is chosen. What has changed since is not in it, except
/// that a backend that is full or has been retired lets nobody in.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) ready: Arc<Vec<Arc<Backend>>>,
    pub(super) balancer: Arc<dyn Balancer>,
    pub(super) split: Option<Arc<Split>>,
}

impl Snapshot {
    /// As [`Pool::lease`](super::Pool::lease), among the backends of this moment.
    #[inline]
    pub fn lease(&self, draw: &Draw, avoid: Option<WorkerId>) -> Option<Lease> {
        let backend = Arc::clone(self.admit(draw, avoid)?);
        Some(Lease { backend, leased_at: draw.at, ended: false })
    }

    /// The same without a lease: the request is counted in until [`Backend::end`] counts it out. For
    /// whoever has many requests, and knows of each where it is.
    #[inline]
    pub fn admit(&self, draw: &Draw, avoid: Option<WorkerId>) -> Option<&Arc<Backend>> {
        let version = self.split.as_ref().and_then(|split| split.version(draw));
        let rule = Rule { avoid, panic: false, version, draw };
        if let Some(backend) = self.admit_by(&rule) {
            return Some(backend);
        }
        if version.is_some()
            && let Some(backend) = self.admit_by(&Rule { version: None, ..rule })
        {
            return Some(backend);
        }
        let none_in_service = || !self.ready.iter().any(|b| b.takes_requests(draw.at) && b.is_warm_for(draw));
        (!self.ready.is_empty() && none_in_service())
            .then(|| self.admit_by(&Rule { panic: true, version: None, ..rule }))
            .flatten()
    }

    #[inline]
    fn admit_by(&self, rule: &Rule<'_>) -> Option<&Arc<Backend>> {
        for _ in 0..PICKS_MAX {
            let index = self.balancer.pick(Candidates::new(&self.ready, rule), rule.draw)?;
            let backend = &self.ready[index];
            if backend.try_enter(rule.draw.at) {
                return Some(backend);
            }
        }
        None
    }
}

/// How requests are shared out among versions of the app.
#[derive(Debug)]
pub(super) struct Split {
    shares: Vec<(Version, u32)>,
    total: u64,
}

impl Split {
    /// `None` where nobody has a share.
    pub(super) fn new(shares: &[(Version, u32)]) -> Option<Self> {
        let total = shares.iter().map(|(_, share)| u64::from(*share)).sum();
        (total > 0).then(|| Self { shares: shares.to_vec(), total })
    }

    fn version(&self, draw: &Draw) -> Option<Version> {
        let mut lot = spread(draw.random.rotate_left(32)).checked_rem(self.total)?;
        let wins = |(_, share): &&(Version, u32)| match lot.checked_sub(u64::from(*share)) {
            Some(left) => {
                lot = left;
                false
            }
            None => true,
        };
        self.shares.iter().find(wins).map(|(version, _)| *version)
    }
}
