//! Run files from the side of the commands: where they lie, what is taken up from them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::{ControllerConfig, Cycle};
use jiff::Timestamp;
use journal::{JournalError, Reader};
use serde::{Deserialize, Serialize};
use simulator::replay::RESUME_CYCLES;

/// How old the last turn of a file may be to be taken up again: a restart takes seconds, and
/// yesterday's number of workers says nothing about today.
const RESUME_AGE_MAX: Duration = Duration::from_secs(600);

/// Turns kept in the run file that nobody asked for: a day at one a second.
pub(crate) const KEEP_UNASKED: u64 = 86_400;

/// What of a session's configuration a replay needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) control: ControllerConfig,
    /// How many cycles before this session the controller took up.
    pub(crate) resumed_cycles: usize,
    /// For people: what ran.
    pub(crate) command: Vec<String>,
}

/// What a new session takes up.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) cycles: Vec<Cycle>,
}

impl Past {
    /// Desired replicas when the earlier session ended.
    pub(crate) fn desired(&self) -> Option<u32> {
        self.cycles.iter().rev().find_map(|cycle| match cycle {
            Cycle::Decided { decision, .. } => Some(decision.desired()),
            Cycle::Blind { .. } => None,
        })
    }
}

/// Reads what a session that starts `now` takes up from the file at `path`; nothing, if there
/// is no file or its last turn is old.
///
/// # Errors
/// The file is there and is no run file, or damaged.
pub(crate) fn past(path: &Path, now: Timestamp, only_if_cut_short: bool) -> Result<Past, JournalError> {
    if !path.exists() {
        return Ok(Past::default());
    }
    let reader = Reader::open(path)?;
    let Some(session) = reader.last_session()? else { return Ok(Past::default()) };
    if only_if_cut_short && session.ended_at.is_some() {
        return Ok(Past::default());
    }
    let count = u32::try_from(RESUME_CYCLES).unwrap_or(u32::MAX);
    let cycles: Vec<Cycle> = reader.last(count)?.into_iter().map(|recorded| recorded.cycle).collect();
    let fresh = cycles.last().is_some_and(|last| {
        let age = now.duration_since(last.at());
        Duration::try_from(age).is_ok_and(|age| age <= RESUME_AGE_MAX)
    });
    Ok(if fresh { Past { cycles } } else { Past::default() })
}

/// Where autoscale keeps what it must find again: `$XDG_STATE_HOME/autoscale`.
pub(crate) fn state_folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("autoscale")
}

/// Where models are kept unless told otherwise.
pub(crate) fn models_folder() -> PathBuf {
    state_folder().join("models")
}

/// Keeps the latest cycles before a session, as many as that session took up.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<Cycle>);

impl Tail {
    /// Adds a cycle of an earlier session.
    pub(crate) fn push(&mut self, cycle: Cycle) {
        if self.0.len() >= RESUME_CYCLES {
            self.0.pop_front();
        }
        self.0.push_back(cycle);
    }

    /// The last `count`.
    pub(crate) fn last(&self, count: usize) -> Vec<&Cycle> {
        self.0.iter().skip(self.0.len().saturating_sub(count)).collect()
    }
}
