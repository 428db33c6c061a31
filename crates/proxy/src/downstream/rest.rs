//! A connection between requests: a socket, a timer, and nothing else in memory.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::Stream;
use crate::serve::Thread;

/// When serving stops, a new connection may still bring the request it was made for.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);

/// How long a connection that brings nothing is waited for once serving stops.
pub(super) fn grace(thread: &Thread, is_fresh: bool) -> Duration {
    if is_fresh { FIRST_REQUEST_GRACE.max(thread.idle_grace()) } else { thread.idle_grace() }
}

/// Waits until the client says something more, for so long; whether it did. `is_fresh`: it has not
/// said anything before.
pub(super) async fn until_bytes(
    thread: &Thread,
    stream: &mut Stream,
    patience: Duration,
    is_fresh: bool,
) -> bool {
    let mut timer = std::pin::pin!(thread.clock.sleep(patience));
    let mut stopping = std::pin::pin!(thread.stopping.cancelled());
    let mut stop_asked = false;
    let seat = (!is_fresh).then(|| thread.idle.sit());
    loop {
        tokio::select! {
            biased;
            read = stream.read_early() => return read.is_ok_and(|read| read > 0),
            () = &mut stopping, if !stop_asked => {
                stop_asked = true;
                timer.set(thread.clock.sleep(grace(thread, is_fresh)));
            }
            () = poll_fn(|cx| seat.as_ref().map_or(Poll::Pending, |seat| seat.poll_dismissed(cx))) => return false,
            () = &mut timer => return false,
        }
    }
}
