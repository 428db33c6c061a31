//! A body that reads windows, and a head that turns what it read into quantiles.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Linear, Module, VarBuilder, VarMap, linear};
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use crate::past::single;

/// Width of what a body remembers.
pub(crate) const HIDDEN: usize = 32;
/// Levels that are learnt; between them, in proportion.
pub(crate) const LEVELS: [f64; 7] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// The part in which the models differ.
pub(crate) trait Body: Send + Sized {
    /// The registry's name.
    const NAME: &'static str;

    /// With weights from `variables`, for steps of so many features.
    fn new(features: usize, variables: &VarBuilder<'_>) -> Result<Self>;

    /// `[windows, steps, features]` in, `[windows, HIDDEN]` out.
    fn read(&self, windows: &Tensor) -> Result<Tensor>;
}

/// A whole network.
pub(crate) struct Network<B> {
    body: B,
    head: Linear,
    variables: VarMap,
    horizons: usize,
}

/// The weights of one layer, by name.
pub(crate) type Weights = Vec<(String, Vec<f32>)>;

impl<B: Body> Network<B> {
    /// With weights drawn from `seed`.
    pub(crate) fn new(features: usize, horizons: usize, seed: u64) -> Result<Self> {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let body = B::new(features, &builder)?;
        let head = linear(HIDDEN, horizons * LEVELS.len(), builder.pp("head"))?;
        let network = Self { body, head, variables, horizons };
        let mut chance = Pcg64::seed_from_u64(seed);
        // The library draws without a seed: every weight is drawn again, in the order of names.
        for (_, weights) in network.layers() {
            // As wide as keeps what goes in and out of a layer of equal size (Glorot 2010).
            let fan = weights.dims().iter().sum::<usize>().max(1) as f64;
            let bound = if weights.dims().len() > 1 { (6.0 / fan).sqrt() } else { 0.0 };
            let drawn = (0..weights.elem_count()).map(|_| single(bound * (2.0 * even(&mut chance) - 1.0)));
            weights.set(&Tensor::from_vec(drawn.collect::<Vec<_>>(), weights.dims(), &Device::Cpu)?)?;
        }
        Ok(network)
    }

    fn layers(&self) -> Vec<(String, Var)> {
        let named = self.variables.data().lock().expect("nobody panics while holding the weights");
        let mut layers: Vec<(String, Var)> =
            named.iter().map(|(name, layer)| (name.clone(), layer.clone())).collect();
        layers.sort_by(|one, other| one.0.cmp(&other.0));
        layers
    }

    /// What an optimiser moves.
    pub(crate) fn trainable(&self) -> Vec<Var> {
        self.layers().into_iter().map(|(_, layer)| layer).collect()
    }

    /// Quantiles: `[windows, horizons, LEVELS]`.
    pub(crate) fn quantiles(&self, windows: &Tensor) -> Result<Tensor> {
        let read = self.body.read(windows)?;
        self.head.forward(&read)?.reshape(((), self.horizons, LEVELS.len()))
    }

    /// All weights, in the order of names.
    pub(crate) fn weights(&self) -> Result<Weights> {
        let flat = |(name, layer): (String, Var)| Ok((name, layer.flatten_all()?.to_vec1()?));
        self.layers().into_iter().map(flat).collect()
    }

    /// Takes weights that a network of the same shape gave.
    pub(crate) fn set(&self, weights: &Weights) -> Result<()> {
        let layers = self.layers();
        if layers.len() != weights.len() {
            candle_core::bail!("{} layers, and weights for {}", layers.len(), weights.len());
        }
        for ((name, layer), (given, values)) in layers.iter().zip(weights) {
            if name != given || layer.elem_count() != values.len() {
                candle_core::bail!("the weights of `{given}` do not fit `{name}`");
            }
            layer.set(&Tensor::from_slice(values, layer.dims(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// Even between 0 and 1.
pub(crate) fn even(chance: &mut Pcg64) -> f64 {
    (chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
