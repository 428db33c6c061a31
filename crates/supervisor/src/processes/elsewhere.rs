//! Processes through sysinfo, on Unixes without `/proc`. Nothing adopts orphans here, and
//! nothing tells a child of its parent's death: the guardian's pipe and groups remain.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use sysinfo::{Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::{Seen, TOKEN_VARIABLE, Token, as_pid, by_parent};

fn refreshed(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(which, true, what);
    Some(system)
}

fn figures() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().with_cpu().with_memory()
}

fn seen(process: &Process) -> Seen {
    let pid = process.pid().as_u32();
    // The kernel's own processes, children of 0, are in no group that could be asked for.
    let is_common = process.parent().is_some_and(|parent| parent.as_u32() > 0);
    let asked = as_pid(pid).filter(|_| is_common);
    let group = asked.and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
    Seen {
        pid,
        parent: process.parent().map_or(0, sysinfo::Pid::as_u32),
        group: group.and_then(|group| u32::try_from(group.as_raw_pid()).ok()).unwrap_or(0),
        born: process.start_time(),
        is_zombie: process.status() == ProcessStatus::Zombie,
        own_cpu: Duration::from_millis(process.accumulated_cpu_time()),
        reaped_cpu: Duration::ZERO,
        resident_bytes: process.memory(),
    }
}

/// Reads one process; `None` when there is none.
pub(crate) fn look(pid: u32) -> Option<Seen> {
    let pid = sysinfo::Pid::from_u32(pid);
    refreshed(ProcessesToUpdate::Some(&[pid]), figures())?.process(pid).map(seen)
}

/// Every process of the machine.
pub(crate) fn all() -> Vec<Seen> {
    let system = refreshed(ProcessesToUpdate::All, figures());
    system.iter().flat_map(|system| system.processes().values()).map(seen).collect()
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    by_parent().remove(&parent).unwrap_or_default()
}

/// Names the current run of the machine.
pub(crate) fn boot() -> String {
    System::boot_time().map(|seconds| seconds.to_string()).unwrap_or_default()
}

/// The token in a process's environment.
pub(crate) fn token(pid: u32) -> Token {
    let pid = sysinfo::Pid::from_u32(pid);
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let system = refreshed(ProcessesToUpdate::Some(&[pid]), what);
    let process = system.as_ref().and_then(|system| system.process(pid));
    let Some(process) = process.filter(|process| !process.environ().is_empty()) else {
        return Token::Unreadable;
    };
    let value = |entry: &std::ffi::OsString| {
        entry.to_str()?.strip_prefix(TOKEN_VARIABLE)?.strip_prefix('=').map(str::to_owned)
    };
    process.environ().iter().find_map(value).map_or(Token::Absent, Token::Is)
}

/// Signals the process that was born then; the window between look and signal is short.
pub(crate) fn signal_exactly(pid: u32, born: u64, signal: Signal) -> bool {
    let is_same = look(pid).is_some_and(|seen| seen.born == born);
    is_same && as_pid(pid).is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Only Linux knows this.
pub(crate) fn adopt_orphans() {}

/// Only Linux knows this.
pub(crate) fn die_with_parent(_command: &mut Command) {}
