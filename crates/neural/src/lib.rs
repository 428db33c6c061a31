//! LSTM, GRU and a small Transformer encoder as forecasters; empty without the feature `nn`.
//!
//! Each reads the last steps of a series and gives quantiles for every horizon directly, trained
//! on the pinball loss. Chance comes from the settings' seed, so that the same training gives the
//! same bytes.

#[cfg(feature = "nn")]
mod gru;
#[cfg(feature = "nn")]
mod learned;
#[cfg(feature = "nn")]
mod lstm;
#[cfg(feature = "nn")]
mod network;
#[cfg(feature = "nn")]
mod past;
#[cfg(feature = "nn")]
mod transformer;

use forecast::Entry;

/// The models of this crate, whether they were built or not.
pub const NAMES: [&str; 3] = ["lstm", "gru", "transformer"];

/// The registry: one row a model; no rows without the feature `nn`.
pub static FORECASTERS: &[Entry] = &[
    #[cfg(feature = "nn")]
    lstm::ENTRY,
    #[cfg(feature = "nn")]
    gru::ENTRY,
    #[cfg(feature = "nn")]
    transformer::ENTRY,
];
