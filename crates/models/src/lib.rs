//! The model store, training off the decision path, and evaluation runs.
//!
//! A model is what its data, its recipe and the code made it: their hash is its name, so the same
//! training twice gives the same file, and a file that is not what its name says is refused.

mod duel;
mod evaluate;
mod file;
mod recipe;
pub mod service;
mod store;
mod timed;
mod train;

pub use duel::{Duel, duel};
pub use evaluate::{Evaluation, csv_header, evaluate, on_grid};
pub use file::{FileError, ModelFile};
pub use recipe::{CODE_VERSION, ModelId, Recipe, RecipeError, data_hash, entries};
pub use store::{Change, Metric, Stage, Store, StoreError, Stored};
pub use train::{TrainError, Trained, train};
