//! How many requests a backend has, and whether it may have more, in one word: every change of one
//! sees the other.

use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};

use crossbeam_utils::CachePadded;

use crate::sync::AtomicU32;
use crate::writers::Writers;

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

    /// Whether one more would be let in now: it is neither full nor retired.
    #[inline]
    pub(crate) fn has_room(&self, max: u32) -> bool {
        let now = self.0.load(SeqCst);
        now & RETIRED == 0 && now / ONE < max
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
    #[inline]
    pub(crate) fn enter(&self, writers: Writers, max: u32) -> Result<(), Shut> {
        let before = match writers {
            Writers::Many if max == UNLIMITED => self.0.fetch_add(ONE, SeqCst),
            Writers::Many => {
                // Never overshoots, not even for a moment: another thread that took the overshoot
                // for a full backend would wait for room that nobody then announces.
                let below_max = |now: u32| (now / ONE < max).then(|| now + ONE);
                self.0.fetch_update(SeqCst, SeqCst, below_max).map_err(|_| Shut::Full)?
            }
            Writers::One => {
                let now = self.0.load(Relaxed);
                if now / ONE >= max {
                    return Err(Shut::Full);
                }
                self.0.store(now + ONE, Release);
                now
            }
        };
        if before & RETIRED != 0 {
            return Err(Shut::Retired { last: self.leave(writers) });
        }
        Ok(())
    }

    /// Lets one out; whether it was a retired backend's last.
    ///
    /// # Panics
    /// When nobody was inside.
    #[inline]
    pub(crate) fn leave(&self, writers: Writers) -> bool {
        let before = match writers {
            Writers::Many => self.0.fetch_sub(ONE, SeqCst),
            Writers::One => {
                let now = self.0.load(Relaxed);
                self.0.store(now.wrapping_sub(ONE), Release);
                now
            }
        };
        assert!(before >= ONE, "a lease ended twice");
        before == ONE | RETIRED
    }
}
