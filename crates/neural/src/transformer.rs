//! One block of a Transformer encoder: attention of the last step to all before it, and a
//! feed-forward layer (Vaswani et al. 2017).

use candle_core::{D, IndexOp, Result, Tensor};
use candle_nn::{Init, Linear, Module, VarBuilder, linear, ops};
use forecast::Entry;

use crate::learned::Learned;
use crate::network::{Body, HIDDEN};
use crate::past::WINDOW;

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Transformer::NAME,
    about: "one encoder block with attention over the last steps, trained on quantiles",
    build: Learned::<Transformer>::build,
    restore: Learned::<Transformer>::restore,
};

/// Keeps the division by a vector's size away from zero.
const EPSILON: f64 = 1e-5;

/// The block.
pub(crate) struct Transformer {
    embed: Linear,
    positions: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    widen: Linear,
    narrow: Linear,
}

/// Vectors of size one (Zhang and Sennrich 2019, without gains).
fn normal(vectors: &Tensor) -> Result<Tensor> {
    let size = (vectors.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
    vectors.broadcast_div(&size)
}

impl Body for Transformer {
    const NAME: &'static str = "transformer";

    fn new(features: usize, variables: &VarBuilder<'_>) -> Result<Self> {
        let square = |name| linear(HIDDEN, HIDDEN, variables.pp(name));
        Ok(Self {
            embed: linear(features, HIDDEN, variables.pp("embed"))?,
            positions: variables.get_with_hints((WINDOW, HIDDEN), "positions", Init::Const(0.0))?,
            query: square("query")?,
            key: square("key")?,
            value: square("value")?,
            widen: linear(HIDDEN, 2 * HIDDEN, variables.pp("widen"))?,
            narrow: linear(2 * HIDDEN, HIDDEN, variables.pp("narrow"))?,
        })
    }

    fn read(&self, windows: &Tensor) -> Result<Tensor> {
        let steps = self.embed.forward(windows)?.broadcast_add(&self.positions)?;
        let seen = normal(&steps)?;
        // Only the last step's answer is used: it alone asks.
        let last = seen.i((.., WINDOW - 1.., ..))?.contiguous()?;
        let scores = self.query.forward(&last)?.matmul(&self.key.forward(&seen)?.t()?.contiguous()?)?;
        let shares = ops::softmax(&(scores / (HIDDEN as f64).sqrt())?, D::Minus1)?;
        let heard = shares.matmul(&self.value.forward(&seen)?.contiguous()?)?.squeeze(1)?;
        let state = (steps.i((.., WINDOW - 1, ..))? + heard)?;
        let thought = self.narrow.forward(&self.widen.forward(&normal(&state)?)?.gelu_erf()?)?;
        state + thought
    }
}
