//! A paused scale-in: nothing is taken away, more may come.

use jiff::Timestamp;

use crate::decision::{Because, Step, Text};

/// An order that keeps what there is.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// Whose order.
    pub(crate) because: Text,
    /// When it ends; `None`: once it is ended by hand.
    pub(crate) until: Option<Timestamp>,
}

impl Keep {
    /// A step if `asked` would take workers away.
    pub(super) fn limit(&self, current: u32, asked: u32) -> Option<Step> {
        let because = || Because::plain(self.because.clone());
        (asked < current).then(|| Step {
            rule: "scale_in_paused".into(),
            replicas: current,
            because: because(),
        })
    }
}
