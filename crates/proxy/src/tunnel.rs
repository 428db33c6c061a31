//! After `101 Switching Protocols`: bytes both ways, until both ends are done.

use clock::Clock;
use traffic::{Lease, Outcome};

use crate::account::Account;
use crate::downstream::Stream;
use crate::upstream;

/// The worker's end, and all that the request occupies. The lease is held throughout: the worker is
/// busy with this connection, and must not be taken for drained.
pub(crate) struct Tunnel {
    pub(crate) worker: upstream::Tunnel,
    pub(crate) lease: Lease,
    pub(crate) account: Account,
}

/// Connects the two ends, once the client's has changed protocol as the worker's has.
pub(crate) async fn run(clock: Clock, mut client: Stream, tunnel: Tunnel) {
    let Tunnel { mut worker, lease, account } = tunnel;
    // How the conversation ended is between the two ends.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut worker).await;
    let (now, outcome) = (clock.now(), Outcome::Answered(101));
    lease.finish(now, outcome);
    account.finish(now, outcome);
}
