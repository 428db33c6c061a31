//! Where traffic measurements come from.

use std::future::Future;

use jiff::Timestamp;
use traffic::Sample;

/// A port: anything that can say what requests did since it was last asked.
pub trait Source: Send {
    /// Reads the window since the last call. A failed reading loses nothing: the next window
    /// is longer.
    fn sample(&mut self, now: Timestamp) -> impl Future<Output = Result<Sample, SourceError>> + Send;
}

/// The source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);
