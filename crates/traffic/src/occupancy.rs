//! How many requests a backend has, and whether it may have more, in one word: every change of one
//! sees the other.

use std::sync::atomic::Ordering::SeqCst;

use crossbeam_utils::CachePadded;

use crate::sync::AtomicU32;

/// A limit that is none.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// The lowest bit says that the backend is retired; the others count requests.
const RETIRED: u32 = 1;
const ONE: u32 = 2;

/// Requests inside, and the door.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(CachePadded<AtomicU32>);

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    Full,
    /// Whether it was the last inside, if only for a moment: then nobody else will report that the
    /// backend is empty.
    Retired {
        last: bool,
    },
}

impl Occupancy {
    /// Requests inside.
    pub(crate) fn in_flight(&self) -> u32 {
        self.0.load(SeqCst) / ONE
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.0.load(SeqCst) & RETIRED != 0
    }

    /// Whoever retires a backend looks at the count afterwards: if it is not zero, whoever makes
    /// it zero is told so.
    pub(crate) fn set_retired(&self, retired: bool) {
        if retired {
            self.0.fetch_or(RETIRED, SeqCst);
        } else {
            self.0.fetch_and(!RETIRED, SeqCst);
        }
    }

    /// Lets one more request in, unless there are `max` or the backend is retired.
    pub(crate) fn enter(&self, max: u32) -> Result<(), Shut> {
        let before = if max == UNLIMITED {
            self.0.fetch_add(ONE, SeqCst)
        } else {
            // Never overshoots, not even for a moment: another thread that took the overshoot for
            // a full backend would wait for room that nobody then announces.
            let below_max = |now: u32| (now / ONE < max).then(|| now + ONE);
            self.0.fetch_update(SeqCst, SeqCst, below_max).map_err(|_| Shut::Full)?
        };
        if before & RETIRED != 0 {
            return Err(Shut::Retired { last: self.leave() });
        }
        Ok(())
    }

    /// Lets one out; whether it was a retired backend's last.
    ///
    /// # Panics
    /// When nobody was inside.
    pub(crate) fn leave(&self) -> bool {
        let before = self.0.fetch_sub(ONE, SeqCst);
        assert!(before >= ONE, "a lease ended twice");
        before == ONE | RETIRED
    }
}
