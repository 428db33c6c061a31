//! Unix sockets for workers that can listen on one: `{socket}` in a command stands for its path.
//!
//! They lie in a directory of this user's alone, as whoever may connect may also ask. Its path is
//! short, because a socket's path may have no more than 103 bytes on some systems.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use traffic::WorkerId;

use crate::guardian::record::Being;
use crate::processes;

/// In arguments and environment it stands for the path of the worker's socket.
pub(crate) const PLACEHOLDER: &str = "{socket}";
/// So much of the owner's token tells directories apart.
const NAME_CHARS: usize = 12;
/// macOS has room for 104 bytes with the zero at the end, Linux for 108.
const PATH_BYTES_MAX: usize = 103;
/// As much as an id ever takes: `w` and two numbers of ten digits with a dot.
const ID_BYTES_MAX: usize = 22;

/// What all directories' names begin with.
const PREFIX: &str = "autoscale-";
/// In each directory: who made it, for the day that its owner is killed before it can remove it.
const OWNER: &str = "owner.json";

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    /// Which run of the machine the birth below belongs to.
    boot: String,
    being: Being,
}

impl Owner {
    /// Us, now.
    fn own() -> Option<Self> {
        Some(Self { boot: processes::boot(), being: Being::of(std::process::id())? })
    }

    fn of(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(directory.join(OWNER)).ok()?).ok()
    }

    fn is_alive(&self) -> bool {
        self.boot == processes::boot() && self.being.is_alive()
    }
}

/// A directory for sockets, removed with all in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Sockets(PathBuf);

impl Sockets {
    /// Makes a directory that belongs to the owner of this token.
    pub(crate) fn create(token: &str) -> io::Result<Self> {
        let name: String = token.chars().take(NAME_CHARS).collect();
        let fits =
            |parent: &Path| parent.as_os_str().len() + NAME_CHARS + ID_BYTES_MAX + 12 <= PATH_BYTES_MAX;
        let parent = std::env::temp_dir();
        let parent = if fits(&parent) { parent } else { PathBuf::from("/tmp") };
        sweep(&parent);
        let directory = parent.join(format!("{PREFIX}{name}"));
        // Not recursive: one that is there already is somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        if let Some(owner) = Owner::own() {
            fs_err::write(directory.join(OWNER), serde_json::to_vec(&owner)?)?;
        }
        Ok(Self(directory))
    }

    /// Where a worker is to listen.
    pub(crate) fn path(&self, id: WorkerId) -> PathBuf {
        self.0.join(format!("w{}.{}", id.slot, id.run))
    }

    /// A worker is gone; most leave their socket behind.
    pub(crate) fn remove(&self, id: WorkerId) {
        let _ = fs_err::remove_file(self.path(id));
    }
}

/// Removes this user's directories whose owners were killed. What cannot be removed is no worse than
/// it was.
fn sweep(parent: &Path) {
    let Ok(entries) = fs_err::read_dir(parent) else { return };
    let ours = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let is_named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Of the entry itself: a link to a directory is none.
        let is_ours = || entry.metadata().is_ok_and(|seen| seen.is_dir() && seen.uid() == ours);
        if is_named_so && is_ours() && Owner::of(&entry.path()).is_some_and(|owner| !owner.is_alive()) {
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn directories_of_the_dead_are_swept_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, owner: Option<Owner>| {
            let directory = parent.path().join(name);
            fs_err::create_dir(&directory).unwrap();
            if let Some(owner) = owner {
                fs_err::write(directory.join(OWNER), serde_json::to_vec(&owner).unwrap()).unwrap();
            }
            directory
        };
        let own = || Owner::own().unwrap();
        let dead = || Owner { being: Being { born: own().being.born + 1, ..own().being }, ..own() };
        let swept = [
            make("autoscale-dead", Some(dead())),
            make("autoscale-past", Some(Owner { boot: String::new(), ..own() })),
        ];
        let kept = [
            make("autoscale-alive", Some(own())),
            make("autoscale-whose", None),
            make("other", Some(dead())),
        ];
        std::os::unix::fs::symlink(&kept[2], parent.path().join("autoscale-link")).unwrap();
        sweep(parent.path());
        assert!(!swept.iter().any(|directory| directory.exists()));
        assert!(kept.iter().all(|directory| directory.join(OWNER).exists() || directory == &kept[1]));
    }

    #[test]
    fn the_directory_is_private_short_and_gone_at_the_end() {
        let token = format!("{:016x}", std::process::id());
        let sockets = Sockets::create(&token).unwrap();
        let path = sockets.path(WorkerId { slot: u32::MAX, run: u32::MAX });
        assert!(path.as_os_str().len() <= PATH_BYTES_MAX, "{}", path.display());
        let directory = path.parent().unwrap().to_owned();
        assert_eq!(fs_err::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(Sockets::create(&token).is_err(), "one that is there is not taken over");
        fs_err::write(&path, "").unwrap();
        sockets.remove(WorkerId { slot: u32::MAX, run: u32::MAX });
        assert!(!path.exists());
        drop(sockets);
        assert!(!directory.exists());
    }
}
