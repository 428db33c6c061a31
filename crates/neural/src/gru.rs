//! A gated recurrent unit that reads step by step (Cho et al. 2014).

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{self, RNN};
use forecast::Entry;

use crate::learned::Learned;
use crate::network::{Body, HIDDEN};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Gru::NAME,
    about: "gated recurrent unit on the last steps, trained on quantiles",
    build: Learned::<Gru>::build,
    restore: Learned::<Gru>::restore,
};

/// The unit.
pub(crate) struct Gru(rnn::GRU);

impl Body for Gru {
    const NAME: &'static str = "gru";

    fn new(features: usize, variables: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self(rnn::gru(features, HIDDEN, rnn::GRUConfig::default(), variables.pp("gru"))?))
    }

    fn read(&self, windows: &Tensor) -> Result<Tensor> {
        let states = self.0.seq(windows)?;
        Ok(states.last().expect("a window has steps").h().clone())
    }
}
