//! A number on its way through the limits, and who listens to why it is bent.

use jiff::Timestamp;

use super::Limited;
use crate::decision::{Because, Blocked, Step};

/// Why a number is bent, and when the limit will let it pass, where that is known.
pub(super) type Why = (Because, Option<Timestamp>);

/// What a limit makes of a number. Why is put into words only where somebody listens.
pub(super) struct Bend<W: FnOnce() -> Why> {
    pub(super) rule: &'static str,
    pub(super) replicas: u32,
    pub(super) why: W,
}

/// Somebody who is told, or nobody.
pub(super) trait Listener {
    /// A limit bent the number; `blocks`: to what it is at present.
    fn hear<W: FnOnce() -> Why>(&mut self, bend: Bend<W>, blocks: bool);
}

impl Listener for Limited {
    fn hear<W: FnOnce() -> Why>(&mut self, bend: Bend<W>, blocks: bool) {
        let (because, until) = (bend.why)();
        if blocks {
            self.blocked_by.push(Blocked { by: bend.rule.into(), until, because: because.clone() });
        }
        self.steps.push(Step { rule: bend.rule.into(), replicas: bend.replicas, because });
    }
}

/// Nobody reads the reasons.
pub(super) struct Nobody;

impl Listener for Nobody {
    fn hear<W: FnOnce() -> Why>(&mut self, _: Bend<W>, _: bool) {}
}

/// A number on its way.
pub(super) struct Way<'a, L> {
    pub(super) current: u32,
    pub(super) replicas: u32,
    pub(super) listener: &'a mut L,
}

impl<L: Listener> Way<'_, L> {
    /// Passes a limit that may have bent it.
    pub(super) fn pass(&mut self, bend: Option<Bend<impl FnOnce() -> Why>>) {
        if let Some(bend) = bend {
            self.replicas = bend.replicas;
            let blocks = bend.replicas == self.current;
            self.listener.hear(bend, blocks);
        }
    }

    /// Passes the last limit: what it stops has no end of its own.
    pub(super) fn end(self, bend: Option<Bend<impl FnOnce() -> Why>>) -> u32 {
        let Some(bend) = bend else { return self.replicas };
        let replicas = bend.replicas;
        self.listener.hear(bend, false);
        replicas
    }
}
