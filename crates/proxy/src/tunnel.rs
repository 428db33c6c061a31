//! After `101 Switching Protocols`: bytes both ways, until both ends are done.

use std::rc::Rc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use traffic::{Lease, Outcome};

use crate::account::Account;
use crate::serve::Thread;
use crate::upstream::Tunnel;

/// Connects the two ends once the client's has changed protocol, as the worker's has. The lease is held throughout: the
/// worker is busy with this connection, and must not be taken for drained.
pub(crate) fn open(
    thread: &Rc<Thread>,
    client: OnUpgrade,
    mut worker: Tunnel,
    lease: Lease,
    account: Account,
) {
    let clock = thread.clock;
    thread.tasks.spawn_local(async move {
        // A client that fails to change protocol has closed its connection; the worker's follows.
        let Ok(client) = client.await else { return };
        let mut client = TokioIo::new(client);
        // How the conversation ended is between the two ends.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut worker).await;
        let (now, outcome) = (clock.now(), Outcome::Answered(101));
        lease.finish(now, outcome);
        account.finish(now, outcome);
    });
}
