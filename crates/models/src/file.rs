//! A model file: a magic word, what it was made from, what it knows, and a checksum of all that.

use forecast::{Forecaster, ModelState, Settings};
use serde::{Deserialize, Serialize};

use crate::recipe::{CODE_VERSION, ModelId, Recipe};

/// Stands first in every model file, with the version of the format in its last byte.
const MAGIC: &[u8; 8] = b"aScModl\x01";
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 32;
/// No model is larger; what is, is not read into memory.
pub(crate) const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a model file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// What it was made from.
    pub recipe: Recipe,
    /// The hash of the series.
    pub data_hash: String,
    /// The code that made it.
    pub code_version: String,
    /// The recipe with the step it was used for.
    pub settings: Settings,
    /// What it knows.
    pub state: ModelState,
}

/// Why a file is not used. Whoever asked goes on without a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FileError {
    /// It begins with something else.
    #[error("not a model file of autoscale")]
    Foreign,
    /// It is one, but damaged or cut off.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// Its contents are those of another model.
    #[error("it holds the model {found}, not {asked}")]
    Misnamed {
        /// Asked for.
        asked: String,
        /// In the file.
        found: String,
    },
    /// Other code made it: what it knows may mean something else today.
    #[error("made by {found}, this is {CODE_VERSION}: train it again")]
    OtherCode {
        /// In the file.
        found: String,
    },
    /// The model cannot read its own state.
    #[error("{0}")]
    Unreadable(String),
}

impl ModelFile {
    /// The name that follows from what it was made from.
    pub fn id(&self) -> ModelId {
        ModelId::of(&self.data_hash, &self.recipe, &self.code_version)
    }

    /// As bytes; equal contents give equal bytes.
    ///
    /// # Errors
    /// When a part cannot be written, which no part of ours is.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let body = postcard::to_allocvec(self).map_err(|error| FileError::Corrupt(error.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(body);
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        Ok(bytes)
    }

    /// From bytes, checked before any of them is believed.
    ///
    /// # Errors
    /// When they are another program's, damaged, or made by other code.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        if !bytes.starts_with(MAGIC) {
            return Err(FileError::Foreign);
        }
        let end = bytes
            .len()
            .checked_sub(CHECKSUM)
            .filter(|&end| end >= MAGIC.len())
            .ok_or_else(|| FileError::Corrupt("cut off".to_owned()))?;
        let (contents, checksum) = bytes.split_at(end);
        if blake3::hash(contents).as_bytes() != checksum {
            return Err(FileError::Corrupt("its checksum does not fit".to_owned()));
        }
        let file: Self = postcard::from_bytes(&contents[MAGIC.len()..])
            .map_err(|error| FileError::Corrupt(error.to_string()))?;
        if file.code_version != CODE_VERSION {
            return Err(FileError::OtherCode { found: file.code_version });
        }
        Ok(file)
    }

    /// The model, as it was when it was written.
    ///
    /// # Errors
    /// When there is no such model any more, or it cannot read its state.
    pub fn restore(&self) -> Result<Box<dyn Forecaster>, FileError> {
        let entry = self.recipe.entry().map_err(|error| FileError::Unreadable(error.to_string()))?;
        (entry.restore)(&self.settings, &self.state.bytes)
            .map_err(|error| FileError::Unreadable(error.to_string()))
    }
}
