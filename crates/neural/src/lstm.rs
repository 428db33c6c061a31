//! Long short-term memory that reads step by step (Hochreiter and Schmidhuber 1997).

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{self, RNN};
use forecast::Entry;

use crate::learned::Learned;
use crate::network::{Body, HIDDEN};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Lstm::NAME,
    about: "long short-term memory on the last steps, trained on quantiles",
    build: Learned::<Lstm>::build,
    restore: Learned::<Lstm>::restore,
};

/// The unit.
pub(crate) struct Lstm(rnn::LSTM);

impl Body for Lstm {
    const NAME: &'static str = "lstm";

    fn new(features: usize, variables: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self(rnn::lstm(features, HIDDEN, rnn::LSTMConfig::default(), variables.pp("lstm"))?))
    }

    fn read(&self, windows: &Tensor) -> Result<Tensor> {
        let states = self.0.seq(windows)?;
        Ok(states.last().expect("a window has steps").h().clone())
    }
}
