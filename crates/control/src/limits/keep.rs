//! A paused scale-in: nothing is taken away, more may come.

use jiff::Timestamp;

use super::bend::{Bend, Why};
use crate::decision::{Because, Text};

/// An order that keeps what there is.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// Whose order.
    pub(crate) because: Text,
    /// When it ends; `None`: once it is ended by hand.
    pub(crate) until: Option<Timestamp>,
}

impl Keep {
    /// The present number, if `asked` would take workers away.
    pub(super) fn limit(&self, current: u32, asked: u32) -> Option<Bend<impl FnOnce() -> Why>> {
        let why = || (Because::plain(self.because.clone()), self.until);
        (asked < current).then_some(Bend { rule: "scale_in_paused", replicas: current, why })
    }
}
