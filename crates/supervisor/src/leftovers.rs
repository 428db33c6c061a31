//! What a dead owner left running: found by its record, ended only if provably ours.
//!
//! The guardian makes this rare: owner and guardian must both have been killed. A process is
//! ours if its environment carries the dead owner's token; where that cannot be read, if pid,
//! time of birth and process group are those in the record. The record of an owner or guardian
//! that lives is left alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Clock;
use fs_err as fs;

use crate::guardian::record::{Roll, read};
use crate::processes::{self, Seen, Token};

/// A process that was killed is gone after some milliseconds; one stuck in the kernel is not
/// waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look whether they are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where records are kept unless told otherwise: the XDG state directory, `~/.local/state`, or
/// the temporary directory.
pub fn state_directory() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    of_user.map(|state| state.join("autoscale")).unwrap_or_else(|| {
        // Shared with other users, who must not come in each other's way.
        std::env::temp_dir().join(format!("autoscale-{}", rustix::process::geteuid().as_raw()))
    })
}

/// Makes the directory, for this user only. An error if it belongs to somebody else, whose word
/// on what may be ended must not be taken.
pub(crate) fn prepare(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let owner = fs::metadata(directory)?.uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(std::io::Error::other(format!("{} belongs to user {owner}", directory.display())))
}

/// The record of the owner with this token.
pub(crate) fn record_path(directory: &Path, token: &str) -> PathBuf {
    directory.join(format!("owner-{}-{token}.json", std::process::id()))
}

/// Ends what dead owners left, and their records. Says in words what was ended.
pub(crate) async fn end_all(directory: &Path, clock: Clock) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut said = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with("owner-") && name.ends_with(".json")) {
            continue;
        }
        match read(&path) {
            Ok(roll) if roll.boot == processes::boot() => {
                if roll.owner.is_alive() || roll.guardian.is_alive() {
                    continue;
                }
                said.extend(end(&roll, clock).await);
            }
            // The machine was started anew: nothing of it runs.
            Ok(_) => {}
            Err(error) => said.push(format!("removed an unreadable record: {error}")),
        }
        for path in [&path, &path.with_extension("draft")] {
            // Another start may have been quicker.
            let _ = fs::remove_file(path);
        }
    }
    said
}

/// Ends every process that provably belongs to the owner of this record.
pub(crate) async fn end(roll: &Roll, clock: Clock) -> Option<String> {
    let deadline = clock.uptime() + PATIENCE;
    let mut ended = Vec::new();
    loop {
        let remaining: Vec<Seen> = processes::all()
            .into_iter()
            .filter(|seen| !seen.is_zombie && seen.pid != std::process::id() && is_ours(seen, roll))
            .collect();
        if remaining.is_empty() || clock.uptime() > deadline {
            break;
        }
        for seen in remaining {
            if processes::kill_exactly(seen.pid, seen.born) && !ended.contains(&seen.pid) {
                ended.push(seen.pid);
            }
        }
        clock.sleep(LOOK_AGAIN).await;
    }
    ended.sort_unstable();
    let pids: Vec<String> = ended.iter().map(u32::to_string).collect();
    let owner = roll.owner.pid;
    (!pids.is_empty())
        .then(|| format!("ended what autoscale (pid {owner}) had left behind: pid {}", pids.join(", ")))
}

fn is_ours(seen: &Seen, roll: &Roll) -> bool {
    match processes::token(seen.pid) {
        Token::Unreadable => {
            let is_listed = |being: &crate::guardian::record::Being| {
                being.pid == seen.pid && being.born == seen.born && seen.group == seen.pid
            };
            roll.workers.iter().any(is_listed)
        }
        token => token.belongs_to(&roll.token),
    }
}
