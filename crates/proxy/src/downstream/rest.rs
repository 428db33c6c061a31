//! A connection between requests: a socket, a timer, and nothing else in memory.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::Stream;
use crate::serve::Thread;

/// When serving stops, a new connection may still bring the request it was made for.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);
/// When serving stops, a request may already be in the socket of an idle connection: this is time
/// for the runtime to look.
pub(super) const NEXT_REQUEST_GRACE: Duration = Duration::from_millis(5);

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
                timer.set(thread.clock.sleep(if is_fresh { FIRST_REQUEST_GRACE } else { NEXT_REQUEST_GRACE }));
            }
            () = poll_fn(|cx| seat.as_ref().map_or(Poll::Pending, |seat| seat.poll_dismissed(cx))) => return false,
            () = &mut timer => return false,
        }
    }
}
