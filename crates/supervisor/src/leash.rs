//! The leash: a small process of our own binary between us and a program that decides, so that
//! neither the program nor what it starts outlives us, however we end.
//!
//! The program's questions pass through it. When they end (we are done, have panicked or were
//! killed) it lets the program end by itself for a moment, then ends it and all its descendants.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::processes;

/// Time for a program whose input has ended to end by itself.
const GRACE: Duration = Duration::from_millis(500);
/// How often to look again for descendants that should be gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Looks at most: a process stuck in the kernel cannot be waited for forever.
const LOOKS_MAX: u32 = 100;
/// What a shell answers for a program that is not there.
const NOT_FOUND: u8 = 127;

/// How to start a leash; the program's words come after the arguments.
#[derive(Clone, Debug)]
pub struct Leash {
    /// Our binary.
    pub program: PathBuf,
    /// What makes it a leash.
    pub arguments: Vec<String>,
}

impl Leash {
    /// Our own binary. An error when the system cannot say where that is.
    pub fn ourselves() -> std::io::Result<Self> {
        let arguments = ["leash", "--"].map(str::to_owned).to_vec();
        Ok(Self { program: std::env::current_exe()?, arguments })
    }
}

enum News {
    /// The program has ended.
    Ended(Option<ExitStatus>),
    /// Our own input has: nobody asks any more.
    Released,
}

/// The whole life of the process: `autoscale leash -- PROGRAM ARGS…` is nothing else.
pub fn run(words: &[String]) -> ExitCode {
    let Some((name, arguments)) = words.split_first() else { return ExitCode::from(NOT_FOUND) };
    processes::adopt_orphans();
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::piped()).process_group(0);
    // Tied to this thread, which lives as long as the leash.
    processes::die_with_parent(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Its last words, which go into the reason of decisions made without it.
            let _ = writeln!(std::io::stderr(), "{name}: {error}");
            return ExitCode::from(NOT_FOUND);
        }
    };
    let (told, news) = mpsc::sync_channel(2);
    if let Some(input) = child.stdin.take() {
        let told = told.clone();
        std::thread::spawn(move || pass_on(input, &told));
    }
    std::thread::spawn(move || wait(child, &told));
    let mut first = news.recv().unwrap_or(News::Released);
    if matches!(first, News::Released) {
        first = match news.recv_timeout(GRACE) {
            Ok(ended) => ended,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => News::Released,
        };
    }
    end_descendants(&news);
    match first {
        News::Ended(Some(status)) => code(status),
        News::Ended(None) | News::Released => ExitCode::FAILURE,
    }
}

/// Hands our input on to the program until there is no more. A program that does not read keeps
/// nobody from seeing the end.
fn pass_on(input: ChildStdin, told: &SyncSender<News>) {
    let mut input = Some(input);
    let mut bytes = [0_u8; 16 << 10];
    loop {
        match std::io::stdin().read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => {
                if input.as_mut().is_some_and(|input| input.write_all(&bytes[..count]).is_err()) {
                    input = None;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    drop(input);
    let _ = told.send(News::Released);
}

fn wait(mut child: Child, told: &SyncSender<News>) {
    let _ = told.send(News::Ended(child.wait().ok()));
}

/// Ends the program if it still runs, and all that it left behind.
fn end_descendants(news: &mpsc::Receiver<News>) {
    for _ in 0..LOOKS_MAX {
        let mut living = processes::descendants(std::process::id());
        living.retain(|seen| !seen.is_zombie);
        for seen in &living {
            processes::kill_exactly(seen.pid, seen.born);
        }
        if living.is_empty() {
            return;
        }
        let _ = news.recv_timeout(LOOK_AGAIN);
    }
}

/// As a shell says it: the program's own code, or 128 and the signal's number.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
