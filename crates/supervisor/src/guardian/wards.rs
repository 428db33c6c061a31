//! The guardian's children: started, signalled, reaped, and what they leave behind ended.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use control::Exit;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions};
use traffic::WorkerId;

use crate::processes::{self, as_pid};

/// Rounds of looking for what an ended worker left, 20 ms apart: a process that the kernel has
/// not let go by then is waited for only at the guardian's own end.
const SWEEPS_MAX: u32 = 250;

/// A worker's process that was not reaped yet: its pid and its group's number are its own.
struct Ward {
    id: WorkerId,
    pid: u32,
    token: String,
    /// Its descendants when it was last signalled: they are known even if they hide their
    /// environment.
    family: Vec<(u32, u64)>,
}

/// What may remain of an ended worker.
struct Sweep {
    token: String,
    family: Vec<(u32, u64)>,
    rounds: u32,
}

/// All children.
#[derive(Default)]
pub(super) struct Wards {
    token: String,
    wards: Vec<Ward>,
    sweeps: Vec<Sweep>,
}

impl Wards {
    pub(super) fn begin(&mut self, token: String) {
        self.token = token;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wards.is_empty()
    }

    pub(super) fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.wards.iter().map(|ward| ward.pid)
    }

    /// Starts a worker in a process group of its own; its pid, or why not.
    pub(super) fn spawn(
        &mut self,
        id: WorkerId,
        words: &[String],
        environment: Vec<(String, String)>,
        directory: Option<PathBuf>,
        streams: Option<(OwnedFd, OwnedFd)>,
    ) -> Result<u32, String> {
        let [program, arguments @ ..] = words else { return Err("no command".to_owned()) };
        let (output, errors) = streams.ok_or("its output streams did not arrive")?;
        let token = format!("{}.{}.{}", self.token, id.slot, id.run);
        let mut command = Command::new(program);
        command.args(arguments).envs(environment).env(processes::TOKEN_VARIABLE, &token);
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        processes::die_with_parent(&mut command);
        let child = command.spawn().map_err(|error| why_not(program, &error))?;
        let pid = child.id();
        self.wards.push(Ward { id, pid, token, family: Vec::new() });
        Ok(pid)
    }

    /// Signals a worker's group. One that has ended already is not found, and nobody else is.
    pub(super) fn signal(&mut self, id: WorkerId, signal: i32) {
        let Some(ward) = self.wards.iter_mut().find(|ward| ward.id == id) else { return };
        ward.family = processes::descendants(ward.pid).iter().map(|seen| (seen.pid, seen.born)).collect();
        send(ward.pid, signal);
    }

    pub(super) fn signal_all(&mut self, signal: i32) {
        for ward in &self.wards {
            send(ward.pid, signal);
        }
    }

    /// Takes note of children that have ended, and ends what is left of their groups first:
    /// while the leader is not reaped, the group's number cannot go to others.
    pub(super) fn reap(&mut self) -> Vec<(WorkerId, Exit)> {
        let mut ended = Vec::new();
        let mut index = 0;
        while let Some(ward) = self.wards.get(index) {
            let Some(exit) = as_pid(ward.pid).and_then(exit_of) else {
                index += 1;
                continue;
            };
            send(ward.pid, Signal::KILL.as_raw());
            let ward = self.wards.swap_remove(index);
            reap_one(ward.pid);
            ended.push((ward.id, exit));
            self.sweeps.push(Sweep { token: ward.token, family: ward.family, rounds: SWEEPS_MAX });
        }
        self.sweep();
        self.reap_adopted();
        ended
    }

    /// Ends what left the group of an ended worker.
    fn sweep(&mut self) {
        if self.sweeps.is_empty() {
            return;
        }
        let descendants = processes::descendants(std::process::id());
        let wards = &self.wards;
        self.sweeps.retain_mut(|sweep| {
            let mut found = false;
            for seen in descendants.iter().filter(|seen| !seen.is_zombie) {
                let is_family = sweep.family.contains(&(seen.pid, seen.born));
                let is_ward = wards.iter().any(|ward| ward.pid == seen.pid);
                if !is_ward && (is_family || processes::token(seen.pid).belongs_to(&sweep.token)) {
                    found = true;
                    processes::kill_exactly(seen.pid, seen.born);
                }
            }
            sweep.rounds -= 1;
            found && sweep.rounds > 0
        });
    }

    /// Orphans that we adopted as a subreaper are ours to reap. Elsewhere there are none.
    fn reap_adopted(&self) {
        if !cfg!(target_os = "linux") {
            return;
        }
        for pid in processes::children(std::process::id()) {
            if !self.wards.iter().any(|ward| ward.pid == pid) {
                reap_one(pid);
            }
        }
    }

    /// Ends all that descend from us, workers or not; how many there were.
    pub(super) fn kill_descendants(&self) -> usize {
        let mut living = processes::descendants(std::process::id());
        living.retain(|seen| !seen.is_zombie);
        for seen in &living {
            processes::kill_exactly(seen.pid, seen.born);
        }
        living.len()
    }
}

/// Why a program could not be started, with a hint where people go wrong.
fn why_not(program: &str, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "; hint: it, or the interpreter in its first line, is not there",
        std::io::ErrorKind::PermissionDenied => "; hint: chmod +x, or put its interpreter before it",
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            "; hint: a script needs a first line like #!/bin/sh"
        }
        _ => "",
    };
    format!("`{program}`: {error}{hint}")
}

/// How a child has ended, if it has; it stays to be reaped.
fn exit_of(pid: rustix::process::Pid) -> Option<Exit> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::Pid(pid), look) {
        Ok(None) => None,
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, signal) => signal.map(Exit::Signal),
        },
        // No child of ours any more: it is gone, and nobody can say how.
        Err(rustix::io::Errno::CHILD) => Some(Exit::Code(-1)),
        Err(_) => None,
    }
}

fn reap_one(pid: u32) {
    if let Some(pid) = as_pid(pid) {
        // Fails only if there is nothing to reap.
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Signals the group that an unreaped child leads, or the child alone if it left its group. A
/// stopped process is woken to be told.
fn send(pid: u32, signal: i32) {
    let (Some(pid), Some(signal)) = (as_pid(pid), Signal::from_named_raw(signal)) else { return };
    if rustix::process::kill_process_group(pid, signal).is_err() {
        let _ = rustix::process::kill_process(pid, signal);
    }
    if signal == Signal::TERM {
        let _ = rustix::process::kill_process_group(pid, Signal::CONT);
    }
}
