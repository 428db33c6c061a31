//! Whoever has been with a backend stays with it; newcomers go where there is least to do.

use super::{Balancer, Candidates, Draw, Entry, LeastConnections};

pub(super) const ENTRY: Entry = Entry {
    name: "sticky_cookie",
    about: "A cookie names the worker that a browser was with; newcomers as least_connections.",
    build: || Box::new(StickyCookie::default()),
};

/// For apps that keep sessions in memory. A worker that is gone, full or ill is given up at once.
#[derive(Debug, Default)]
pub(super) struct StickyCookie {
    newcomers: LeastConnections,
}

impl Balancer for StickyCookie {
    fn pick(&self, ready: Candidates<'_>, draw: &Draw) -> Option<usize> {
        let is_wanted = |index: &usize| ready.get(*index).is_some_and(|b| Some(b.id()) == draw.stick_to);
        let wanted = draw.stick_to.and_then(|_| (0..ready.len()).find(is_wanted));
        wanted.or_else(|| self.newcomers.pick(ready, draw))
    }

    fn is_sticky(&self) -> bool {
        true
    }
}
