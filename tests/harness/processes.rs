//! A look at the machine from outside: which processes live, and signals to them.

use std::path::Path;

use rustix::process::{Pid, Signal};

/// Everything that a bench starts, and what that starts in turn, carries the bench's folder in
/// this variable.
pub(super) const MARK: &str = "XDG_STATE_HOME";

/// A process that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its command line.
    pub(crate) command: String,
}

/// Processes whose environment carries the mark. One that has ended and waits to be reaped has
/// no environment.
#[cfg(target_os = "linux")]
pub(super) fn marked(folder: &Path) -> Vec<Process> {
    let mark = format!("{MARK}={}", folder.display());
    let carries = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    let named = |pid: u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| carries(*pid)).map(|pid| Process { pid, command: named(pid) }).collect()
}

/// Processes whose environment carries the mark, as BSD's `ps` shows it for one's own.
#[cfg(not(target_os = "linux"))]
pub(super) fn marked(folder: &Path) -> Vec<Process> {
    let mark = format!("{MARK}={}", folder.display());
    let listed = std::process::Command::new("ps").args(["-A", "-E", "-o", "pid=,command="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let process = |line: &str| {
        let (pid, command) = line.trim_start().split_once(' ')?;
        Some(Process { pid: pid.parse().ok()?, command: command.to_owned() })
    };
    listed.lines().filter(|line| line.contains(&mark)).filter_map(process).collect()
}

/// Sends a signal; false if there is no such process any more.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is positive");
    rustix::process::kill_process(pid, signal).is_ok()
}

/// The pid of the one process whose command line holds these words.
pub(crate) fn pid_of(processes: &[Process], words: &str) -> u32 {
    let found: Vec<&Process> = processes.iter().filter(|one| one.command.contains(words)).collect();
    assert_eq!(found.len(), 1, "one process with `{words}` among {processes:?}");
    found[0].pid
}
