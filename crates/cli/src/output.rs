//! The only place that writes to stdout and stderr. A closed pipe ends output, not the program.

use std::io::Write;

/// A line on stdout. False once nobody reads it any more.
pub(crate) fn line(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// A line on stderr, for people; a closed stderr is no reason to stop.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a value as JSON or YAML.
pub(crate) fn value(value: &impl serde::Serialize, as_yaml: bool) -> anyhow::Result<()> {
    let text = if as_yaml {
        serde_saphyr::to_string(value)
            .map_err(|error| anyhow::anyhow!("cannot be written as YAML: {error}"))?
    } else {
        serde_json::to_string_pretty(value)?
    };
    line(text.trim_end());
    Ok(())
}
