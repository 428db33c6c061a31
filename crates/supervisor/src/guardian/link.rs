//! The pool's end of the wire to its guardian.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clock::Clock;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::protocol::{Order, PROTOCOL, Report, STREAMS, line, take};
use crate::processes::HANDED_OVER;

/// Orders on their way; a pool of the largest size may be ordered whole at once.
const ORDERS_MAX: usize = 4 * control::fleet::WORKERS_MAX as usize;
/// Reports not looked at yet; the guardian waits once its socket is full, too.
const REPORTS_MAX: usize = 1024;
/// Our own binary is up within milliseconds; a loaded machine gets this long.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How to start the guardian: a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardianCommand {
    /// A binary whose main function calls [`crate::guardian::run`] for these arguments.
    pub program: PathBuf,
    /// What makes it do so.
    pub arguments: Vec<String>,
}

impl GuardianCommand {
    /// Our own binary with the argument `guardian`. An error when the system cannot say where
    /// that is.
    pub fn ourselves() -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["guardian".to_owned()] })
    }
}

/// An order and the file descriptors that go with it.
struct Parcel {
    order: Order,
    streams: Option<[OwnedFd; STREAMS]>,
}

/// A running guardian.
pub(crate) struct Link {
    orders: mpsc::Sender<Parcel>,
    /// What it reports; closed once it is gone.
    pub(crate) reports: mpsc::Receiver<Report>,
    child: Child,
    clock: Clock,
}

impl Link {
    /// Starts a guardian and waits until it answers.
    pub(crate) async fn start(
        command: &GuardianCommand,
        token: String,
        record: Option<PathBuf>,
        clock: Clock,
        tasks: &TaskTracker,
    ) -> std::io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let mut started = Command::new(&command.program);
        for name in HANDED_OVER {
            started.env_remove(name);
        }
        let child = started
            .args(&command.arguments)
            .stdin(OwnedFd::from(theirs))
            // Held by it, they would keep a pipe that we write to open after our death.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // It holds the other end too: as long as it does, nothing tells us that the guardian has gone.
        drop(started);
        let (from_it, to_it) = ours.into_split();
        let (orders, parcels) = mpsc::channel(ORDERS_MAX);
        let (said, reports) = mpsc::channel(REPORTS_MAX);
        tasks.spawn(write_orders(to_it, parcels));
        tasks.spawn(read_reports(from_it, said));
        let mut link = Self { orders, reports, child, clock };
        link.order(Order::Begin { token, record }, None);
        match clock.timeout(HELLO_WITHIN, link.reports.recv()).await {
            Ok(Some(Report::Here { protocol: PROTOCOL })) => Ok(link),
            Ok(Some(_)) => Err(std::io::Error::other("it speaks another version; start autoscale again")),
            Ok(None) => Err(std::io::Error::other("it ended at once")),
            Err(_) => Err(std::io::Error::other("it did not answer")),
        }
    }

    /// The guardian's process id; `None` once it was seen to end.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends an order. One that cannot be sent is lost with its guardian, whose end is about to
    /// show in `reports`.
    pub(crate) fn order(&self, order: Order, streams: Option<[OwnedFd; STREAMS]>) {
        let _ = self.orders.try_send(Parcel { order, streams });
    }

    /// Dismisses the guardian and waits for its end, by force after `within`.
    pub(crate) async fn dismiss(self, within: Duration) {
        let Self { orders, mut reports, mut child, clock } = self;
        drop(orders);
        let quiet = async {
            while reports.recv().await.is_some() {}
            child.wait().await
        };
        if clock.timeout(within, quiet).await.is_err() {
            // Fails only if it has ended in the meantime.
            let _ = child.kill().await;
        }
    }
}

/// Ends, and with it the guardian's reason to live, when the link is dropped.
async fn write_orders(to_it: OwnedWriteHalf, mut parcels: mpsc::Receiver<Parcel>) {
    while let Some(parcel) = parcels.recv().await {
        if send(to_it.as_ref(), parcel).await.is_err() {
            return;
        }
    }
}

async fn send(socket: &UnixStream, parcel: Parcel) -> std::io::Result<()> {
    let bytes = line(&parcel.order)?;
    let mut sent = 0;
    if let Some(streams) = &parcel.streams {
        sent = socket.async_io(Interest::WRITABLE, || send_with_streams(socket, &bytes, streams)).await?;
    }
    while sent < bytes.len() {
        socket.writable().await?;
        match socket.try_write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_with_streams(
    socket: &UnixStream,
    bytes: &[u8],
    streams: &[OwnedFd; STREAMS],
) -> std::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let streams = streams.each_ref().map(AsFd::as_fd);
    let fits = control.push(SendAncillaryMessage::ScmRights(&streams));
    debug_assert!(fits, "the buffer is made for them");
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty())?)
}

/// Ends when the guardian does, or says what nobody understands.
async fn read_reports(mut from_it: OwnedReadHalf, said: mpsc::Sender<Report>) {
    let mut pending = Vec::new();
    while let Ok(1..) = from_it.read_buf(&mut pending).await {
        let Ok(reports) = take(&mut pending) else { return };
        for report in reports {
            if said.send(report).await.is_err() {
                return;
            }
        }
    }
}
