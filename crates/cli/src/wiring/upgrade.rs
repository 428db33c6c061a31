//! Handing over to a new process of the same name, without losing a request: it is given the
//! listening sockets, both serve once it is ready, and this one finishes what it has and leaves.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Board;
use anyhow::{Context, bail};
use clock::Clock;
use control::Cycle;
use proxy::{Proxy, Sockets};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use traffic::Pool;

use super::sockets::{self, Handed, Predecessor, READY, UPGRADE};
use crate::config::Config;
use crate::output;

/// A successor starts as many workers as there are here and waits until they are ready: an app
/// that takes longer to start does not get one this way.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// Clients that keep connections are told by their next answer to make a new one; most ask again
/// within this time.
pub(crate) const IDLE_GRACE: Duration = Duration::from_secs(5);
/// And those that do not end by themselves, such as websockets, are cut after this.
pub(crate) const HAND_OVER_GRACE: Duration = Duration::from_secs(300);
/// How often a successor looks whether its workers are ready.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What Linux says of a program that has been replaced on the disk since it was started.
const REPLACED: &[u8] = b" (deleted)";

/// What is handed over.
pub(crate) struct Offer {
    sockets: Sockets,
    admin: TcpListener,
    /// Workers wanted at that moment, where there is a fleet.
    desired: Box<dyn Fn() -> Option<u32> + Send + Sync>,
    /// Whether this process draws on a terminal, which two cannot do.
    on_screen: bool,
}

impl Offer {
    /// A pool's sockets, and how many workers it wants.
    pub(super) fn of_pool(
        proxy: &Proxy,
        admin: &admin::Handle,
        board: &Arc<Board>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        Ok(Self { desired: wanted(board), on_screen: !config.is_plain(), ..Self::of_balancer(proxy, admin)? })
    }

    /// A balancer's sockets.
    pub(crate) fn of_balancer(proxy: &Proxy, admin: &admin::Handle) -> anyhow::Result<Self> {
        let (sockets, admin) = (proxy.sockets()?, admin.socket()?);
        Ok(Self { sockets, admin, desired: Box::new(|| None), on_screen: false })
    }
}

/// Waits for the order to hand over: signal USR2, or `asked`.
pub(crate) struct Upgrades {
    task: JoinHandle<bool>,
}

impl Upgrades {
    /// Starts to wait. Once a successor serves, `stop` is cancelled; what cannot be done is said,
    /// and this process goes on.
    pub(crate) fn listen(
        offer: Offer,
        asked: Arc<Notify>,
        clock: Clock,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut told = signal(SignalKind::user_defined2()).context("signals cannot be heard")?;
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return false,
                    Some(()) = told.recv() => {}
                    () = asked.notified() => {}
                }
                output::complain("note: a new process is being started to take over");
                match succeed(&offer, clock, &stop).await {
                    Ok(pid) => {
                        output::complain(&format!(
                            "note: process {pid} has taken over; this one finishes and leaves"
                        ));
                        stop.cancel();
                        return true;
                    }
                    Err(error) => {
                        output::complain(&format!("error: no upgrade, this process goes on: {error:#}"))
                    }
                }
            }
        });
        Ok(Self { task })
    }

    /// Closes the copies of the sockets, after `stop`; whether a successor has taken over.
    pub(crate) async fn end(self) -> bool {
        self.task.await.unwrap_or(false)
    }
}

/// Waits until a successor can do what its predecessor does, which serves meanwhile and answers those
/// who ask how things are.
pub(super) async fn all_ready(
    handed: &Handed,
    pool: &Pool,
    replicas: u32,
    clock: Clock,
    within: Duration,
) -> anyhow::Result<()> {
    if handed.predecessor.is_none() {
        return Ok(());
    }
    let ready = async {
        while pool.ready().len() < replicas as usize {
            clock.sleep(LOOK_AGAIN).await;
        }
    };
    let waited = clock.timeout(within, ready).await;
    waited.map_err(|_| anyhow::anyhow!("{replicas} workers were not ready within {within:?}"))
}

/// How many workers were wanted at the last turn.
fn wanted(board: &Arc<Board>) -> Box<dyn Fn() -> Option<u32> + Send + Sync> {
    let board = Arc::clone(board);
    Box::new(move || match &*board.newest()? {
        Cycle::Decided { decision, .. } => Some(decision.desired()),
        Cycle::Blind { .. } => None,
    })
}

/// Begins to accept, and tells the predecessor so.
pub(crate) fn begin(proxy: &Proxy, predecessor: Option<Predecessor>) -> anyhow::Result<()> {
    proxy.open();
    predecessor.map_or(Ok(()), Predecessor::ready)
}

/// Starts a successor and waits until it serves; its process id.
async fn succeed(offer: &Offer, clock: Clock, stop: &CancellationToken) -> anyhow::Result<u32> {
    if offer.on_screen {
        bail!("two processes cannot share a screen; hint: run with --plain, and watch with `autoscale top`");
    }
    let (ours, theirs) = UnixStream::pair()?;
    let program = program()?;
    let mut child = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env(UPGRADE, "1")
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .with_context(|| program.display().to_string())?;
    let outcome = tokio::select! {
        outcome = is_ready(offer, ours, &mut child, clock) => outcome,
        () = stop.cancelled() => Err(anyhow::anyhow!("told to stop meanwhile")),
    };
    if outcome.is_err() {
        // Fails for one that has ended, which is as well.
        let _ = child.start_kill();
    }
    outcome
}

async fn is_ready(offer: &Offer, ours: UnixStream, child: &mut Child, clock: Clock) -> anyhow::Result<u32> {
    let pid = child.id().context("it ended at once")?;
    sockets::send(&ours, &offer.sockets, &offer.admin, (offer.desired)())?;
    ours.set_nonblocking(true)?;
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    let mut said = [0; READY.len()];
    let heard = clock.timeout(READY_WITHIN, ours.read_exact(&mut said)).await;
    match heard {
        Err(_) => bail!("process {pid} was not ready within {READY_WITHIN:?}"),
        Ok(Ok(_)) if said == READY => Ok(pid),
        Ok(_) => {
            let status = child.wait().await?;
            bail!("process {pid} ended before it was ready: {status}")
        }
    }
}

/// This program, as it is on the disk now.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("our own binary cannot be found")?;
    Ok(undeleted(path.into_os_string()))
}

fn undeleted(path: OsString) -> PathBuf {
    match path.as_bytes().strip_suffix(REPLACED) {
        Some(path) => PathBuf::from(OsString::from_vec(path.to_vec())),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_found_under_its_name() {
        assert_eq!(undeleted("/bin/autoscale (deleted)".into()), PathBuf::from("/bin/autoscale"));
        assert_eq!(undeleted("/bin/autoscale".into()), PathBuf::from("/bin/autoscale"));
    }
}
