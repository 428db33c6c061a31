//! What is learned from requests and needs no request to learn it: off their path, at intervals.

use std::rc::Rc;
use std::time::Duration;

use crate::serve::Thread;

/// As often as there is something new to be learned, and seldom enough to cost nothing.
const LEARN_EVERY: Duration = Duration::from_millis(250);

/// Has the pool learn until its task is dropped.
pub(crate) async fn run(thread: Rc<Thread>) {
    loop {
        thread.clock.sleep(LEARN_EVERY).await;
        thread.pool.learn(thread.clock.now());
    }
}
