//! What was read last is what comes: the model that every other has to beat.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Naive::NAME,
    about: "the last reading, with the quantiles of past changes",
    build: Scored::<Naive>::build,
    restore: Scored::<Naive>::restore,
};

/// It has nothing to remember.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Naive;

impl Point for Naive {
    const NAME: &'static str = "naive";

    fn new(_settings: &Settings) -> Self {
        Self
    }

    fn step(&mut self, _history: &History, _slot: usize) {}

    fn locate(&self, history: &History, slot: usize, _horizon: usize) -> Option<Located> {
        Some(Located { middle: history.latest(slot)?, scale: 1.0 })
    }
}
