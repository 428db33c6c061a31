//! The access log's file.

use std::io::Write;
use std::sync::Arc;

use proxy::AccessLog;

use crate::config::AccessLogTo;
use crate::failure::{FAILED, Hint};

/// Opens what was settled; an existing file is continued, so that one that was truncated or moved
/// by a rotation with `copytruncate` goes on.
pub(crate) fn open(to: Option<&AccessLogTo>) -> anyhow::Result<Option<Arc<AccessLog>>> {
    let Some(AccessLogTo { file, format }) = to else { return Ok(None) };
    let writer: Box<dyn Write + Send> = if file == "-" {
        Box::new(std::io::stdout())
    } else {
        let opened = fs_err::OpenOptions::new().create(true).append(true).open(file);
        Box::new(opened.coded("name a file that can be written with --access-log", FAILED)?)
    };
    Ok(Some(AccessLog::start(writer, *format)?))
}
