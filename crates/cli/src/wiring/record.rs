//! The run file of a pool: which one, what is taken up from it, and writing on.

use std::path::PathBuf;

use jiff::Timestamp;
use journal::{Header, Kind, Writer};

use super::Taken;
use crate::config::Config;
use crate::failure::{FAILED, Hint};
use crate::session::{self, Past, Recorded};

/// The run file to write, and what is taken up from it. Without `--record` a bounded one in the
/// state folder lets a restart after a crash go on where it was.
pub(super) fn past(
    config: &Config,
    taken: Taken,
    now: Timestamp,
    notices: &mut Vec<String>,
) -> anyhow::Result<(Past, Option<RecordPath>)> {
    if let Some(path) = &config.record {
        let past = session::past(path, now, false)
            .coded("name another file with --record, or move this one away", FAILED)?;
        return Ok((past, Some(RecordPath { path: path.clone(), keep: None })));
    }
    if taken == Taken::Next || config.balancer.proxy.listen.port() == 0 {
        // A demo starts anew, and a pool without an address of its own cannot be found again.
        return Ok((Past::default(), None));
    }
    let folder = session::state_folder();
    let name = format!(
        "run-{}.db",
        config.balancer.proxy.listen.to_string().replace(['[', ']'], "").replace([':', '.'], "-")
    );
    let path = folder.join(name);
    let prepared = fs_err::create_dir_all(&folder)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(session::past(&path, now, true)?));
    match prepared {
        Ok(past) => Ok((past, Some(RecordPath { path, keep: Some(session::KEEP_UNASKED) }))),
        Err(error) => {
            notices.push(format!("nothing is kept for a restart: {error:#}"));
            Ok((Past::default(), None))
        }
    }
}

/// Where to record, and how much is kept.
pub(super) struct RecordPath {
    path: PathBuf,
    keep: Option<u64>,
}

pub(super) fn open(
    to: &RecordPath,
    config: &Config,
    past: &Past,
    seed: u64,
    now: Timestamp,
) -> anyhow::Result<Writer> {
    let recorded = Recorded {
        control: config.control.clone(),
        resumed_cycles: past.cycles.len(),
        command: config.pool.command.clone(),
    };
    let header = Header {
        kind: Kind::Live,
        started_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        config: serde_json::to_value(recorded)?,
    };
    Writer::open(&to.path, &header, to.keep).coded("name a file that can be written with --record", FAILED)
}
