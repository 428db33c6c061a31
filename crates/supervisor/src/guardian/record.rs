//! The state file: who owns what, for the day that owner and guardian both die at once.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::processes;

/// One process, told apart from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Being {
    pub(crate) pid: u32,
    pub(crate) born: u64,
}

impl Being {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        processes::look(pid).map(|seen| Self { pid, born: seen.born })
    }

    pub(crate) fn is_alive(self) -> bool {
        processes::runs(self.pid, self.born)
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Roll {
    /// Which run of the machine the births below belong to.
    pub(crate) boot: String,
    pub(crate) token: String,
    pub(crate) owner: Being,
    pub(crate) guardian: Being,
    pub(crate) workers: Vec<Being>,
}

/// The file of one owner.
pub(super) struct Record {
    path: PathBuf,
    roll: Roll,
}

impl Record {
    /// The record of our parent, the owner; `None` if it is gone already.
    pub(super) fn begin(path: PathBuf, token: &str) -> Option<Self> {
        let owner = u32::try_from(rustix::process::getppid()?.as_raw_pid()).ok()?;
        let roll = Roll {
            boot: processes::boot(),
            token: token.to_owned(),
            owner: Being::of(owner)?,
            guardian: Being::of(std::process::id())?,
            workers: Vec::new(),
        };
        Some(Self { path, roll })
    }

    /// Writes the workers down, all or nothing: a reader never sees half a file.
    pub(super) fn write(&mut self, workers: impl Iterator<Item = u32>) -> std::io::Result<()> {
        self.roll.workers = workers.filter_map(Being::of).collect();
        let draft = self.path.with_extension("draft");
        fs::write(&draft, serde_json::to_vec(&self.roll)?)?;
        fs::rename(&draft, &self.path)
    }

    pub(super) fn remove(&self) {
        // The next start removes it otherwise.
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads a file that some owner left.
pub(crate) fn read(path: &Path) -> std::io::Result<Roll> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
