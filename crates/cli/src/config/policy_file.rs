//! A policy from a file: our own form, or a manifest as a team runs it in production.

use std::path::Path;

use control::{ControllerConfig, decide};
use serde_json::Value;

use super::resolve::refused;
use crate::failure::{Hint, read_text};
use crate::output;

/// Whether what was typed for a policy means a file.
pub(crate) fn is_file(typed: &str) -> bool {
    let path = Path::new(typed);
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["json", "yaml", "yml", "toml", "hcl", "nomad"].contains(&extension))
        || path.is_file()
}

/// Whether a TOML file holds a policy alone, not the configuration of a whole run.
pub(crate) fn is_policy(path: &Path) -> bool {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    toml::from_str::<toml::Table>(&text)
        .is_ok_and(|table| table.get("policy").is_some_and(toml::Value::is_str))
}

/// Reads a policy file; JSON and YAML are told apart by nobody, as YAML contains JSON.
pub(crate) fn read(path: &Path) -> anyhow::Result<ControllerConfig> {
    let text = read_text(path, "name a file that exists and can be read with --policy")?;
    let value: Value = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml::from_str(&text).map_err(anyhow::Error::from),
        Some("hcl" | "nomad") => hcl::from_str(&text).map_err(anyhow::Error::from),
        _ => serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{error}")),
    }
    .map_err(|error| error.context(format!("{} cannot be read as a policy", path.display())))
    .hint("crates/control/schema/examples shows policy files")?;
    let told = decide::policy_file_told(value);
    let (config, warnings) = told.map_err(|error| refused(error).context(path.display().to_string()))?;
    for warning in warnings {
        output::complain(&format!("warning: {}: {warning}", path.display()));
    }
    Ok(config)
}
