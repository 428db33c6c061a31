//! What the machine knows about processes, behind one small wall: `/proc` on Linux, sysinfo
//! elsewhere.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rustix::process::{Pid, Signal};

#[cfg(not(target_os = "linux"))]
use self::elsewhere as machine;
#[cfg(target_os = "linux")]
use self::linux as machine;

pub(crate) use self::machine::{
    adopt_orphans, all, boot, children, die_with_parent, look, signal_exactly, token,
};

/// Tells a process that listening sockets were handed to it: none of our children is meant.
pub(crate) const HANDED_OVER: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "AUTOSCALE_UPGRADE"];

/// Carries a worker's unique token, so that all that it starts can be told to be ours.
pub(crate) const TOKEN_VARIABLE: &str = "AUTOSCALE_WORKER_TOKEN";

/// A process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// Process group; 0 where unknown.
    pub(crate) group: u32,
    /// Start time in the machine's own unit since boot. With the pid it names one process.
    pub(crate) born: u64,
    /// It has ended and waits to be reaped.
    pub(crate) is_zombie: bool,
    /// CPU time of its own threads.
    pub(crate) own_cpu: Duration,
    /// CPU time of children that it has reaped, theirs included; zero where unknown.
    pub(crate) reaped_cpu: Duration,
    pub(crate) resident_bytes: u64,
}

/// The token of a process, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Its environment may not be read.
    Unreadable,
    /// It has none.
    Absent,
    /// This one.
    Is(String),
}

impl Token {
    /// Whether it is `token` itself or made from it (`token.1.3` from `token`).
    pub(crate) fn belongs_to(&self, token: &str) -> bool {
        let Self::Is(own) = self else { return false };
        own.strip_prefix(token).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// All that descend from `root`, itself excluded, parents before children.
pub(crate) fn descendants(root: u32) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut known = HashSet::from([root]);
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for pid in children(parent) {
            // A pid reused while we walk must not lead in a circle.
            if known.insert(pid)
                && let Some(seen) = look(pid)
            {
                found.push(seen);
                next.push(pid);
            }
        }
    }
    found
}

/// Pids by parent, for machines on which only all processes can be listed.
fn by_parent() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for seen in all() {
        children.entry(seen.parent).or_default().push(seen.pid);
    }
    children
}

/// Whether the very process that was seen before still runs.
pub(crate) fn runs(pid: u32, born: u64) -> bool {
    look(pid).is_some_and(|seen| seen.born == born && !seen.is_zombie)
}

/// A pid as the system calls take it; `None` for 0 and for numbers that no pid has.
pub(crate) fn as_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Ends exactly this process by force.
pub(crate) fn kill_exactly(pid: u32, born: u64) -> bool {
    signal_exactly(pid, born, Signal::KILL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_itself_and_its_children() {
        let me = look(std::process::id()).unwrap();
        assert!(me.resident_bytes > 0 && !me.is_zombie, "{me:?}");
        let mut child =
            std::process::Command::new("sleep").arg("60").env(TOKEN_VARIABLE, "t.1").spawn().unwrap();
        let seen = descendants(me.pid);
        let child_seen = seen.iter().find(|one| one.pid == child.id()).unwrap();
        assert_eq!((child_seen.parent, child_seen.group), (me.pid, me.group));
        assert!(runs(child.id(), child_seen.born));
        assert!(!kill_exactly(child.id(), child_seen.born + 1), "another process would be spared");
        assert!(kill_exactly(child.id(), child_seen.born));
        child.wait().unwrap();
        assert!(!runs(child_seen.pid, child_seen.born));
    }

    #[test]
    fn tokens_belong_only_to_their_owner() {
        let token = Token::Is("ab.1.2".to_owned());
        assert!(token.belongs_to("ab") && token.belongs_to("ab.1") && token.belongs_to("ab.1.2"));
        assert!(!token.belongs_to("a") && !token.belongs_to("ab.1.20") && !token.belongs_to("ab.1.2.3"));
        assert!(!Token::Absent.belongs_to("ab") && !Token::Unreadable.belongs_to("ab"));
    }
}
