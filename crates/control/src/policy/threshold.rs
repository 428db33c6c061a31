//! Scale out above one line, in below another.

use super::{ConfigError, Entry, Policy, PolicyConfig};

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "threshold",
    about: "one more above the upper line, one fewer below the lower",
    build,
};

fn build(config: &PolicyConfig) -> Result<Box<dyn Policy>, ConfigError> {
    Err(ConfigError::UnknownPolicy(config.name.clone()))
}
