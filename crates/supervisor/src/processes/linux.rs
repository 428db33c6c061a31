//! Processes through `/proc`: one read each, and only of those asked for.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal};

use super::{Seen, TOKEN_VARIABLE, Token, as_pid, by_parent};

/// The kernel reports CPU times and births in this unit, 100 a second on every architecture
/// that Linux shares with us.
const TICKS_PER_SECOND: u64 = 100;

/// Reads one process; `None` when there is none.
pub(crate) fn look(pid: u32) -> Option<Seen> {
    parse(pid, &fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields counted from after the command name, which may hold spaces and brackets itself.
fn parse(pid: u32, stat: &str) -> Option<Seen> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let narrow = |index: usize| u32::try_from(number(index)?).ok();
    let ticks = |count: u64| Duration::from_millis(count * (1000 / TICKS_PER_SECOND));
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Seen {
        pid,
        parent: narrow(1)?,
        group: narrow(2)?,
        born: number(19)?,
        is_zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        own_cpu: ticks(number(11)? + number(12)?),
        reaped_cpu: ticks(number(13)? + number(14)?),
        resident_bytes: number(21)? * page,
    })
}

fn numbers_in(directory: &str) -> Vec<u32> {
    let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
    let number = |entry: std::io::Result<fs_err::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    entries.filter_map(number).collect()
}

/// Every process of the machine.
pub(crate) fn all() -> Vec<Seen> {
    numbers_in("/proc").into_iter().filter_map(look).collect()
}

/// The children of a process, zombies among them. A kernel without the list of children makes
/// this a walk over all processes.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for thread in numbers_in(&format!("/proc/{parent}/task")) {
        match fs_err::read_to_string(format!("/proc/{parent}/task/{thread}/children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            Err(_) if !lists_children() => return by_parent().remove(&parent).unwrap_or_default(),
            // The thread has just ended.
            Err(_) => {}
        }
    }
    found
}

fn lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| std::path::Path::new("/proc/thread-self/children").exists())
}

/// Names the current run of the machine: births are counted from it.
pub(crate) fn boot() -> String {
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The token in a process's environment.
pub(crate) fn token(pid: u32) -> Token {
    let Ok(environment) = fs_err::read(format!("/proc/{pid}/environ")) else { return Token::Unreadable };
    let value = |entry: &[u8]| {
        let rest = entry.strip_prefix(TOKEN_VARIABLE.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(rest).into_owned())
    };
    environment.split(|byte| *byte == 0).find_map(value).map_or(Token::Absent, Token::Is)
}

/// Signals the process that was born then, never another that has its pid by now. Says
/// whether it was there.
pub(crate) fn signal_exactly(pid: u32, born: u64, signal: Signal) -> bool {
    let Some(raw) = as_pid(pid) else { return false };
    // Held open, the pid cannot be given to another process between the look and the signal.
    let held = rustix::process::pidfd_open(raw, PidfdFlags::empty());
    if look(pid).is_none_or(|seen| seen.born != born) {
        return false;
    }
    match held {
        Ok(held) => rustix::process::pidfd_send_signal(held, signal).is_ok(),
        // Before Linux 5.3; the window between look and signal is some microseconds.
        Err(rustix::io::Errno::NOSYS) => rustix::process::kill_process(raw, signal).is_ok(),
        Err(_) => false,
    }
}

/// From now on orphaned descendants become our children instead of init's.
pub(crate) fn adopt_orphans() {
    // It fails only before Linux 3.4; what left its group is then not found.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// The kernel will kill the command's process should we die ourselves.
pub(crate) fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have died before the line above.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    };
    #[expect(
        unsafe_code,
        reason = "a hook between fork and exec; it makes two system calls and allocates nothing"
    )]
    // SAFETY: prctl and getppid are async-signal-safe, and neither memory nor locks are touched.
    unsafe {
        command.pre_exec(hook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_changes_nothing() {
        let tail = "S 7 8 8 0 -1 4194560 1 2 3 4 150 50 20 5 20 0 1 0 9000 1000 25 0";
        for name in ["sh", "a b", "x) R 1 1", ")))", "(("] {
            let seen = parse(42, &format!("42 ({name}) {tail}")).unwrap();
            assert_eq!((seen.parent, seen.group, seen.born), (7, 8, 9000), "{name}");
            assert_eq!(seen.own_cpu, Duration::from_secs(2));
            assert_eq!(seen.reaped_cpu, Duration::from_millis(250));
        }
        assert!(parse(42, "42 (sh) S 7").is_none());
    }
}
