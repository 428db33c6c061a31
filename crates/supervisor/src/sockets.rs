//! Unix sockets for workers that can listen on one: `{socket}` in a command stands for its path.
//!
//! They lie in a directory of this user's alone, as whoever may connect may also ask. Its path is
//! short, because a socket's path may have no more than 103 bytes on some systems.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use traffic::WorkerId;

/// In arguments and environment it stands for the path of the worker's socket.
pub(crate) const PLACEHOLDER: &str = "{socket}";
/// So much of the owner's token tells directories apart.
const NAME_CHARS: usize = 12;
/// macOS has room for 104 bytes with the zero at the end, Linux for 108.
const PATH_BYTES_MAX: usize = 103;
/// As much as an id ever takes: `w` and two numbers of ten digits with a dot.
const ID_BYTES_MAX: usize = 22;

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
        let directory = parent.join(format!("autoscale-{name}"));
        // Not recursive: one that is there already is somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
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
