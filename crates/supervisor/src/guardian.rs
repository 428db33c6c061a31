//! The guardian: a small process of our own binary that is the parent of all workers, so that
//! none outlives its owner, however that ends.
//!
//! It is told what to do over a socket, its standard input. When the socket closes (the owner
//! is done, has panicked or was killed) it ends all that runs and then itself. One thread, no
//! async runtime: the parent-death signal of the workers is tied to the thread that started
//! them, and there is little here that could break.

pub(crate) mod link;
pub(crate) mod protocol;
pub(crate) mod record;
mod wards;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clock::Clock;
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};

use self::protocol::{Inbox, Order, PROTOCOL, Received, Report, line};
use self::record::Record;
use self::wards::Wards;
use crate::processes;

/// Workers of a dead owner get this long to end by themselves; all must be gone within 2 s.
const GRACE: Duration = Duration::from_secs(1);
/// A process stuck in the kernel cannot be waited for forever.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often to look again for processes that should be gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A second of a terminal's user, `kill` by group or a closing session must not reach it: it
/// goes when its owner does. A handler, unlike ignoring them, is not inherited by workers.
const UNMOVED_BY: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU];

/// The whole life of the guardian process; `autoscale guardian` is nothing else. Its standard
/// input must be the socket that the supervisor gave it.
pub fn run() -> ExitCode {
    let Ok(mut guardian) = Guardian::begin() else { return ExitCode::FAILURE };
    let end = guardian.serve();
    guardian.end_all();
    if end.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Guardian {
    socket: UnixStream,
    /// Readable when a child has ended.
    wake: UnixStream,
    inbox: Inbox,
    wards: Wards,
    record: Option<Record>,
}

impl Guardian {
    fn begin() -> std::io::Result<Self> {
        let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let unmoved = Arc::new(AtomicBool::new(false));
        for signal in UNMOVED_BY {
            signal_hook::flag::register(signal, Arc::clone(&unmoved))?;
        }
        let (wake, bell) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, bell)?;
        processes::adopt_orphans();
        Ok(Self { socket, wake, inbox: Inbox::default(), wards: Wards::default(), record: None })
    }

    /// Obeys until the owner is gone.
    fn serve(&mut self) -> std::io::Result<()> {
        loop {
            let told = self.wait(self.wards.is_sweeping().then_some(LOOK_AGAIN))?;
            if told {
                match self.inbox.receive(&self.socket)? {
                    Received::Closed => return Ok(()),
                    Received::Orders(orders) => {
                        for order in orders {
                            self.obey(order)?;
                        }
                    }
                }
            }
            self.reap()?;
        }
    }

    /// Waits for an order or for a child's end, at most for `limit`. Says whether orders came.
    fn wait(&mut self, limit: Option<Duration>) -> std::io::Result<bool> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut both = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        match rustix::event::poll(&mut both, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [told, woken] = both.map(|one| !one.revents().is_empty());
        if woken {
            self.hush()?;
        }
        Ok(told)
    }

    /// Empties the bell, so that it rings again at the next child's end.
    fn hush(&mut self) -> std::io::Result<()> {
        let mut rings = [0_u8; 64];
        loop {
            match (&self.wake).read(&mut rings) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn obey(&mut self, order: Order) -> std::io::Result<()> {
        match order {
            Order::Begin { token, record } => {
                self.record = record.and_then(|path| Record::begin(path, &token));
                self.wards.begin(token);
                self.report(&Report::Here { protocol: PROTOCOL })?;
                self.write_record()
            }
            Order::Spawn { id, command, environment, directory } => {
                let streams = self.inbox.streams();
                let report = match self.wards.spawn(id, &command, environment, directory, streams) {
                    Ok(pid) => Report::Spawned { id, pid },
                    Err(because) => Report::Failed { id, because },
                };
                self.report(&report)?;
                self.write_record()
            }
            Order::Signal { id, signal } => {
                self.wards.signal(id, signal);
                Ok(())
            }
        }
    }

    fn reap(&mut self) -> std::io::Result<()> {
        let ended = self.wards.reap();
        for (id, exit) in &ended {
            self.report(&Report::Exited { id: *id, exit: *exit })?;
        }
        if ended.is_empty() { Ok(()) } else { self.write_record() }
    }

    fn report(&mut self, report: &Report) -> std::io::Result<()> {
        self.socket.write_all(&line(report)?)
    }

    /// A record that cannot be written costs the clean-up after a death of owner and guardian
    /// at once; the workers are no worse for it.
    fn write_record(&mut self) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        match record.write(self.wards.pids()) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.record = None;
                self.report(&Report::Trouble(format!("the record of running workers is not kept: {error}")))
            }
        }
    }

    /// Ends all workers, gently for a moment, then whatever descends from us.
    fn end_all(&mut self) {
        let clock = Clock::start();
        self.wards.signal_all(SIGTERM);
        while !self.wards.is_empty() && clock.uptime() < GRACE {
            self.wait_for_children();
            self.wards.reap();
        }
        loop {
            self.wards.signal_all(signal_hook::consts::SIGKILL);
            let strays = self.wards.kill_descendants();
            self.wards.reap();
            if (self.wards.is_empty() && strays == 0) || clock.uptime() > GIVE_UP {
                break;
            }
            self.wait_for_children();
        }
        if let Some(record) = &self.record {
            record.remove();
        }
    }

    fn wait_for_children(&mut self) {
        let limit = Timespec::try_from(LOOK_AGAIN).ok();
        // Whatever it says, the caller looks at the children next.
        let _ = rustix::event::poll(&mut [PollFd::new(&self.wake, PollFlags::IN)], limit.as_ref());
        let _ = self.hush();
    }
}
