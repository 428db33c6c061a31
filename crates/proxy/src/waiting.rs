//! The one bounded queue of requests that no worker can take yet, first come, first served.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use traffic::{Draw, Lease, Pool, WorkerId};

/// Requests of all threads that wait for a lease. Whoever makes room (new routes, a lease that
/// ends in a limited pool) hands leases to them in order, so none has to look for itself and none
/// is overtaken.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Mutex<Queue>,
    max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    next_ticket: u64,
    /// By ticket: in order of arrival, and a request that leaves is found at once.
    requests: BTreeMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    draw: Draw,
    avoid: Option<WorkerId>,
    grant: oneshot::Sender<Lease>,
}

/// The queue has as many requests as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Waiting {
    pub(crate) fn new(max: usize) -> Self {
        Self { queue: Mutex::default(), max: AtomicUsize::new(max) }
    }

    /// Changes how many may wait; those who do stay.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Relaxed);
    }

    /// Takes a place at the end of the queue. If there is room for the request already, the
    /// ticket is ready at once.
    pub(crate) fn enter(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        draw: Draw,
        avoid: Option<WorkerId>,
    ) -> Result<Ticket, Full> {
        let (grant, granted) = oneshot::channel();
        let number = {
            let mut queue = self.queue.lock();
            if queue.requests.len() >= self.max.load(Relaxed) {
                return Err(Full);
            }
            let number = queue.next_ticket;
            queue.next_ticket += 1;
            queue.requests.insert(number, Request { draw, avoid, grant });
            announce(pool, &queue);
            number
        };
        // After the announcement: whoever made room before it had nobody to hand it to.
        self.serve(pool, draw.at);
        Ok(Ticket { waiting: Arc::clone(self), pool: Arc::clone(pool), number, granted })
    }

    /// Hands out leases from the front until there are no more.
    pub(crate) fn serve(&self, pool: &Pool, at: Timestamp) {
        // Leases whose request has just left; given back once the queue is unlocked, because
        // giving back serves the queue.
        let mut unclaimed = Vec::new();
        let mut queue = self.queue.lock();
        let mut from = 0;
        while let Some((&number, request)) = queue.requests.range(from..).next() {
            from = number + 1;
            match pool.lease(Draw { at, ..request.draw }, request.avoid) {
                Some(lease) => {
                    let granted = queue.requests.remove(&number).map(|request| request.grant.send(lease));
                    unclaimed.extend(granted.and_then(Result::err));
                }
                // Another may do for a request that is less particular.
                None if request.avoid.is_some() => {}
                None => break,
            }
        }
        announce(pool, &queue);
        drop(queue);
        drop(unclaimed);
    }
}

fn announce(pool: &Pool, queue: &Queue) {
    pool.set_waiting(u32::try_from(queue.requests.len()).unwrap_or(u32::MAX));
}

/// A place in the queue; resolves to the lease. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Ticket {
    waiting: Arc<Waiting>,
    pool: Arc<Pool>,
    number: u64,
    granted: oneshot::Receiver<Lease>,
}

impl Ticket {
    /// From now on any worker will do.
    pub(crate) fn stop_avoiding(&self, at: Timestamp) {
        if let Some(request) = self.waiting.queue.lock().requests.get_mut(&self.number) {
            request.avoid = None;
        }
        self.waiting.serve(&self.pool, at);
    }
}

impl Future for Ticket {
    type Output = Lease;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Lease> {
        let granted = Pin::new(&mut self.granted).poll(cx);
        granted.map(|lease| lease.expect("a request leaves the queue with a lease or by its ticket"))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queue = self.waiting.queue.lock();
        if queue.requests.remove(&self.number).is_some() {
            announce(&self.pool, &queue);
        }
        // A lease granted but not taken is dropped with `granted`, after the queue is unlocked.
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use traffic::{Address, Route, Version};

    use super::*;

    const DRAW: Draw = Draw { at: Timestamp::UNIX_EPOCH, random: 0, key: 0, stick_to: None };

    fn id(slot: u32) -> WorkerId {
        WorkerId { slot, run: 1 }
    }

    fn routes(slots: &[u32]) -> Vec<Route> {
        let route = |&slot: &u32| {
            let address = Address::Unix(format!("/{slot}").into());
            Route { id: id(slot), address, weight: 1, version: Version::default() }
        };
        slots.iter().map(route).collect()
    }

    fn setup() -> (Arc<Waiting>, Arc<Pool>) {
        let balancer = traffic::balance::build("round_robin").unwrap();
        (Arc::new(Waiting::new(3)), Pool::new(balancer, std::num::NonZeroU32::new(1)))
    }

    #[test]
    fn room_that_came_before_the_ticket_is_not_missed() {
        let (waiting, pool) = setup();
        pool.replace(&routes(&[1]));
        let ticket = waiting.enter(&pool, DRAW, None).unwrap();
        assert!(ticket.now_or_never().is_some());
        assert_eq!(pool.waiting(), 0);
    }

    #[test]
    fn first_come_first_served_except_who_is_too_particular() {
        let (waiting, pool) = setup();
        let mut particular = waiting.enter(&pool, DRAW, Some(id(1))).unwrap();
        let mut first = waiting.enter(&pool, DRAW, None).unwrap();
        let mut second = waiting.enter(&pool, DRAW, None).unwrap();
        assert_eq!(waiting.enter(&pool, DRAW, None).unwrap_err(), Full);
        pool.replace(&routes(&[1]));
        waiting.serve(&pool, DRAW.at);
        let lease = (&mut first).now_or_never().expect("the first that may have worker 1 has it");
        assert!((&mut second).now_or_never().is_none() && (&mut particular).now_or_never().is_none());
        drop(lease);
        particular.stop_avoiding(DRAW.at);
        assert!((&mut particular).now_or_never().is_some(), "its place is still before the second");
        assert_eq!(pool.waiting(), 1);
        drop(second);
        assert_eq!(pool.waiting(), 0);
    }

    #[test]
    fn a_lease_granted_to_one_who_left_goes_back() {
        let (waiting, pool) = setup();
        let ticket = waiting.enter(&pool, DRAW, None).unwrap();
        pool.replace(&routes(&[1]));
        waiting.serve(&pool, DRAW.at);
        assert_eq!(pool.backends()[0].in_flight, 1, "granted");
        drop(ticket);
        assert_eq!(pool.backends()[0].in_flight, 0);
    }
}
