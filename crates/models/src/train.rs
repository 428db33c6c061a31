//! Training: a series and a recipe in, the same bytes out every time.

use forecast::{FitError, FitReport, Series};

use crate::file::{FileError, ModelFile};
use crate::recipe::{CODE_VERSION, ModelId, Recipe, RecipeError, data_hash};

/// A model, trained but not stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Its name.
    pub id: ModelId,
    /// What the fit did.
    pub report: FitReport,
    /// What is stored.
    pub file: ModelFile,
}

/// Why nothing was trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// The recipe makes no sense.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model learnt nothing.
    #[error("model `{model}`: {because}")]
    Fit {
        /// Which.
        model: String,
        /// The cause.
        because: FitError,
    },
    /// The model could not be written down.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Trains what `recipe` says on all of `series`. Takes seconds: call it off the decision path.
///
/// # Errors
/// When the recipe makes no sense or the model learns nothing from the series.
pub fn train(recipe: &Recipe, series: &Series) -> Result<Trained, TrainError> {
    let settings = recipe.settings(series.step())?;
    let mut model = (recipe.entry()?.build)(&settings);
    let report = model
        .fit(series, recipe.budget())
        .map_err(|because| TrainError::Fit { model: recipe.model.clone(), because })?;
    let file = ModelFile {
        recipe: recipe.clone(),
        data_hash: data_hash(series),
        code_version: CODE_VERSION.to_owned(),
        settings,
        state: model.state(),
    };
    Ok(Trained { id: file.id(), report, file })
}
