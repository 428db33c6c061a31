//! What a worker is: a command line without a shell, its environment, its port or its socket.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;
use traffic::WorkerId;

use crate::sockets::PLACEHOLDER;

/// Workers listen on this machine only; the world comes in through the balancer.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A port on the loopback answers or refuses within microseconds.
const PORT_ANSWERS_WITHIN: Duration = Duration::from_millis(100);

/// The program that each worker runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerCommand {
    /// A path, or a name to look for in `PATH`.
    pub program: String,
    /// `{port}`, `$PORT` and `${PORT}` in them stand for the worker's port, `{socket}` for the path
    /// of a Unix socket, on which it is then spoken to instead. No shell is involved.
    pub arguments: Vec<String>,
    /// On top of our own environment; `{socket}` in values as in arguments.
    pub environment: Vec<(String, String)>,
    /// Where to run it; `None`: where we run.
    pub directory: Option<PathBuf>,
}

/// A command that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to run.
    #[error("no command to run")]
    Empty,
    /// A name without a slash that no directory of `PATH` has.
    #[error("`{0}` was not found in PATH")]
    NotInPath(String),
    /// A path that leads nowhere.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// It is there but may not be executed, or is a directory.
    #[error("`{0}` is not an executable file; hint: chmod +x, or put its interpreter before it")]
    NotExecutable(String),
    /// Its working directory is not there.
    #[error("the working directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
}

impl WorkerCommand {
    /// Looks whether it can be run at all, before anything is started.
    pub fn check(&self) -> Result<(), CommandError> {
        if self.program.is_empty() {
            return Err(CommandError::Empty);
        }
        if let Some(directory) = self.directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(CommandError::NoDirectory(directory.clone()));
        }
        let program = self.program.clone();
        if program.contains('/') {
            let path = self.directory.clone().unwrap_or_default().join(&program);
            return match (path.exists(), is_executable(&path)) {
                (false, _) => Err(CommandError::NotFound(program)),
                (true, false) => Err(CommandError::NotExecutable(program)),
                (true, true) => Ok(()),
            };
        }
        let given = self.environment.iter().rev().find(|(name, _)| name == "PATH");
        let path = given.map(|(_, value)| value.into()).or_else(|| std::env::var_os("PATH"));
        let places: Vec<PathBuf> =
            std::env::split_paths(path.as_deref().unwrap_or(OsStr::new("/bin:/usr/bin")))
                .map(|directory| directory.join(&program))
                .collect();
        if places.iter().any(|place| is_executable(place)) {
            Ok(())
        } else if places.iter().any(|place| place.is_file()) {
            Err(CommandError::NotExecutable(program))
        } else {
            Err(CommandError::NotInPath(program))
        }
    }

    /// Whether its workers listen on Unix sockets.
    pub(crate) fn wants_socket(&self) -> bool {
        let values = self.environment.iter().map(|(_, value)| value);
        self.arguments.iter().chain(values).any(|text| text.contains(PLACEHOLDER))
    }

    /// Program and arguments of a worker at this place.
    pub(crate) fn words(&self, port: u16, socket: Option<&Path>) -> Vec<String> {
        let port = port.to_string();
        let place = |argument: &String| with_socket(&with_port(argument, &port), socket);
        std::iter::once(self.program.clone()).chain(self.arguments.iter().map(place)).collect()
    }

    /// What a worker finds in its environment on top of ours. The user's own entries come last
    /// and win.
    pub(crate) fn environment_of(
        &self,
        id: WorkerId,
        port: u16,
        socket: Option<&Path>,
    ) -> Vec<(String, String)> {
        let slot = id.slot.to_string();
        let ours = [
            ("PORT", port.to_string()),
            ("HOST", HOST.to_string()),
            ("AUTOSCALE_WORKER_ID", id.to_string()),
            ("AUTOSCALE_REPLICA_NUM", slot.clone()),
            // As process-compose and pm2 name it, for apps made for them.
            ("PC_REPLICA_NUM", slot.clone()),
            ("NODE_APP_INSTANCE", slot),
        ];
        let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
        let theirs = self.environment.iter();
        ours.chain(theirs.map(|(name, value)| (name.clone(), with_socket(value, socket)))).collect()
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path.as_os_str().as_bytes(), Access::EXEC_OK).is_ok()
}

/// Puts the port in place of `{port}`, `${PORT}` and `$PORT`, but not of `$PORTAL`.
fn with_port(argument: &str, port: &str) -> String {
    let argument = argument.replace("{port}", port).replace("${PORT}", port);
    let mut whole = String::with_capacity(argument.len());
    let mut rest = argument.as_str();
    while let Some((before, after)) = rest.split_once("$PORT") {
        let is_longer = after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
        whole.extend([before, if is_longer { "$PORT" } else { port }]);
        rest = after;
    }
    whole + rest
}

fn with_socket(text: &str, socket: Option<&Path>) -> String {
    socket.map_or_else(|| text.to_owned(), |path| text.replace(PLACEHOLDER, &path.to_string_lossy()))
}

/// A free port for the worker in `slot` (from 1): `first + slot - 1` or the next that is not
/// taken, by a stranger or in `ours`; any free one if `first` is 0.
///
/// Somebody may take it before the worker does. The worker then ends, and its successor is
/// given another.
pub(crate) fn free_port(first: u16, slot: u32, ours: &BTreeSet<u16>) -> std::io::Result<u16> {
    if first == 0 {
        return Ok(TcpListener::bind((HOST, 0))?.local_addr()?.port());
    }
    let start = u32::from(first).saturating_add(slot.saturating_sub(1));
    let candidates = (start..=u32::from(u16::MAX)).filter_map(|port| u16::try_from(port).ok());
    let is_free = |port: &u16| !ours.contains(port) && !is_taken(*port);
    candidates.take(PORTS_TRIED_MAX).find(is_free).ok_or_else(|| {
        std::io::Error::other(format!("no free port from {start} on; hint: choose another --worker-port"))
    })
}

/// A machine with so many ports taken in a row has another problem than ours.
const PORTS_TRIED_MAX: usize = 1000;

/// Bound by somebody, or answered by somebody who bound all addresses at once.
fn is_taken(port: u16) -> bool {
    let address = SocketAddr::from((HOST, port));
    TcpListener::bind(address).is_err() || TcpStream::connect_timeout(&address, PORT_ANSWERS_WITHIN).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_in_place_without_a_shell() {
        let cases = [
            ("{port}", "5001"),
            ("$PORT", "5001"),
            ("--bind=127.0.0.1:${PORT}", "--bind=127.0.0.1:5001"),
            ("$PORT:$PORT", "5001:5001"),
            ("$PORTAL", "$PORTAL"),
            ("$PORT_2", "$PORT_2"),
            ("cost $5", "cost $5"),
        ];
        for (argument, expected) in cases {
            assert_eq!(with_port(argument, "5001"), expected);
        }
    }

    #[test]
    fn a_taken_port_is_skipped() {
        let stranger = TcpListener::bind((HOST, 0)).unwrap();
        let taken = stranger.local_addr().unwrap().port();
        if taken > u16::MAX - 20 {
            return;
        }
        let got = free_port(taken, 1, &BTreeSet::new()).unwrap();
        assert!(got > taken, "{got}");
        let next = free_port(taken, 1, &BTreeSet::from([got])).unwrap();
        assert!(next > got, "nor one that another worker was given");
        drop(stranger);
        assert_ne!(free_port(0, 3, &BTreeSet::new()).unwrap(), 0);
    }

    #[test]
    fn what_cannot_run_is_known_before() {
        let command = |program: &str| WorkerCommand { program: program.to_owned(), ..Default::default() };
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("plain.sh");
        fs_err::write(&plain, "echo").unwrap();
        let plain = plain.to_str().unwrap();
        assert_eq!(command("sh").check(), Ok(()));
        assert_eq!(command("/bin/sh").check(), Ok(()));
        assert_eq!(command("").check(), Err(CommandError::Empty));
        assert_eq!(command("no-such-app").check(), Err(CommandError::NotInPath("no-such-app".to_owned())));
        assert_eq!(command("./no/app").check(), Err(CommandError::NotFound("./no/app".to_owned())));
        assert_eq!(command(plain).check(), Err(CommandError::NotExecutable(plain.to_owned())));
        let nowhere = PathBuf::from("/no/such/place");
        let lost = WorkerCommand { directory: Some(nowhere.clone()), ..command("sh") };
        assert_eq!(lost.check(), Err(CommandError::NoDirectory(nowhere)));
    }
}
