//! The only place that writes to stdout and stderr. A closed pipe ends output, not the program; any
//! other error ends output too, and is told when the command ends.

use std::io::{self, Write};
use std::sync::OnceLock;

use crate::failure::{FAILED, Hint};

/// Why stdout took no more, if not because nobody reads it any more.
static BROKEN: OnceLock<io::Error> = OnceLock::new();

/// A line on stdout. False once nobody reads it any more, or it cannot be written.
pub(crate) fn line(text: &str) -> bool {
    // What followed a gap would look whole.
    BROKEN.get().is_none() && {
        let mut out = io::stdout().lock();
        written(writeln!(out, "{text}").and_then(|()| out.flush()))
    }
}

/// Whether stdout took what was written; why not is kept for the end.
pub(crate) fn written(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                // The first error says most.
                let _ = BROKEN.set(error);
            }
            false
        }
    }
}

/// An error if some of the output could not be written, though somebody may want it.
pub(crate) fn finished() -> anyhow::Result<()> {
    match BROKEN.get() {
        None => Ok(()),
        Some(error) => Err(anyhow::anyhow!("standard output cannot be written: {error}"))
            .coded("what was written is not whole: make room, or write it elsewhere", FAILED),
    }
}

/// A line on stderr, for people; a closed stderr is no reason to stop.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
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
