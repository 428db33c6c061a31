//! What the pool and its guardian say to each other: one JSON object a line.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use control::Exit;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde::{Deserialize, Serialize};
use traffic::WorkerId;

/// Changes whenever the words below do, so that a guardian of another build is noticed.
pub(crate) const PROTOCOL: u32 = 1;
/// Longest line; a command line with its environment stays far below.
const LINE_MAX: usize = 4 << 20;
/// Standard output and standard error of the worker to be started.
pub(crate) const STREAMS: usize = 2;

/// From the pool to the guardian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// The first of all.
    Begin {
        /// Unique to this owner; every worker's token starts with it.
        token: String,
        /// Where to keep the record of what runs; `None` keeps none.
        record: Option<PathBuf>,
    },
    /// Start a worker; its two output streams come along as file descriptors.
    Spawn {
        id: WorkerId,
        /// Program and arguments.
        command: Vec<String>,
        /// On top of the owner's own environment.
        environment: Vec<(String, String)>,
        directory: Option<PathBuf>,
    },
    /// Send this signal to the worker's process group.
    Signal { id: WorkerId, signal: i32 },
}

/// From the guardian to the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// Answers `Begin`.
    Here { protocol: u32 },
    /// The worker's process runs.
    Spawned { id: WorkerId, pid: u32 },
    /// It could not be started, for this reason.
    Failed { id: WorkerId, because: String },
    /// Its process has ended, and its group with it.
    Exited { id: WorkerId, exit: Exit },
    /// Something that people should know, such as a record that cannot be written.
    Trouble(String),
}

/// One message as it goes over the wire.
pub(crate) fn line<T: Serialize>(message: &T) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Takes whole messages out of `pending`.
pub(crate) fn take<T: for<'a> Deserialize<'a>>(pending: &mut Vec<u8>) -> std::io::Result<Vec<T>> {
    let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else {
        let fits = pending.len() <= LINE_MAX;
        return if fits { Ok(Vec::new()) } else { Err(std::io::Error::other("a message is too long")) };
    };
    let lines: Vec<u8> = pending.drain(..=end).collect();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
}

/// What a read of the socket brought.
pub(crate) enum Received {
    /// These orders.
    Orders(Vec<Order>),
    /// The other side is gone.
    Closed,
}

/// The guardian's end: bytes and file descriptors that are not used yet.
#[derive(Default)]
pub(crate) struct Inbox {
    pending: Vec<u8>,
    streams: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Reads what is there; waits only if nothing is.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> std::io::Result<Received> {
        let mut bytes = [0_u8; 16 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = match rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::empty(),
        ) {
            Ok(got) => got.bytes,
            Err(rustix::io::Errno::INTR) => return Ok(Received::Orders(Vec::new())),
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => return Err(error.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(streams) = message {
                for stream in streams {
                    // Nothing forks between the receipt and this line: we have one thread.
                    rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
                    self.streams.push_back(stream);
                }
            }
        }
        if got == 0 {
            return Ok(Received::Closed);
        }
        self.pending.extend_from_slice(&bytes[..got]);
        take(&mut self.pending).map(Received::Orders)
    }

    /// The two streams that came with the oldest `Spawn` not yet carried out.
    pub(crate) fn streams(&mut self) -> Option<(OwnedFd, OwnedFd)> {
        Some((self.streams.pop_front()?, self.streams.pop_front()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_being_cut_anywhere() {
        let sent = [
            Report::Here { protocol: PROTOCOL },
            Report::Failed { id: WorkerId { slot: 1, run: 2 }, because: "no\nsuch file".to_owned() },
            Report::Exited { id: WorkerId { slot: 1, run: 3 }, exit: Exit::Signal(9) },
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(|report| line(report).unwrap()).collect();
        for step in 1..bytes.len() {
            let mut pending = Vec::new();
            let mut got: Vec<Report> = Vec::new();
            for chunk in bytes.chunks(step) {
                pending.extend_from_slice(chunk);
                got.extend(take::<Report>(&mut pending).unwrap());
            }
            assert_eq!(got, sent, "in steps of {step}");
        }
        assert!(take::<Report>(&mut b"{nonsense}\n".to_vec()).is_err());
        assert!(take::<Report>(&mut vec![b'x'; LINE_MAX + 1]).is_err());
    }
}
