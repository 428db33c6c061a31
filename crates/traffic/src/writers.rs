//! Counts that any thread reads, and one thread or many add to.

use std::sync::atomic::Ordering::{Relaxed, Release};

use crate::sync::AtomicU64;

/// Who adds to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Any thread at any time.
    Many,
    /// One thread: what it reads is still so when it writes, and that costs a tenth. Whoever owns
    /// the count sees to it that there is no other.
    One,
}

impl Writers {
    /// Adds to a count, and tells what it is then. Who reads that with `Acquire` sees what this
    /// thread did before.
    #[inline]
    pub(crate) fn add(self, count: &AtomicU64, more: u64) -> u64 {
        match self {
            Self::Many => count.fetch_add(more, Release).wrapping_add(more),
            Self::One => {
                let sum = count.load(Relaxed).wrapping_add(more);
                count.store(sum, Release);
                sum
            }
        }
    }
}
