//! Places for client connections: how many there may be, and who gives way when all are taken.
//!
//! As in nginx, an idle connection gives way to a new one, the longest idle of a thread first; where
//! none is idle the newcomer is told so at once instead of being left in the kernel's queue.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clock::Clock;
use tokio::sync::Notify;

/// Newcomers that are told at once that there is no place: each costs a file descriptor and some
/// hundred bytes, for a second at the most. More are cut without a word.
const TURNED_AWAY_MAX: usize = 256;
/// An idle connection is closed in microseconds; a machine out of breath takes longer.
const GIVE_WAY_WITHIN: Duration = Duration::from_millis(100);

/// The places of all threads.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    max: AtomicUsize,
    turned_away: AtomicUsize,
    /// Idle connections that are to give way.
    wanted: AtomicUsize,
    /// Told when some are wanted.
    crowded: Notify,
    /// Told of each place that is given back.
    freed: Notify,
    /// Idle connections of each thread.
    idle: Box<[Padded]>,
}

/// On a cache line of its own: where there are many connections, it changes with every request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicUsize);

impl Places {
    pub(crate) fn new(max: usize, threads: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
            turned_away: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            crowded: Notify::new(),
            freed: Notify::new(),
            idle: (0..threads).map(|_| Padded::default()).collect(),
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    /// Changes how many there are. Connections beyond that give way when they are idle.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, SeqCst);
        self.wanted.store(self.taken().saturating_sub(max), Relaxed);
        self.crowded.notify_waiters();
    }

    /// Whether more are taken than there are, since their number has changed.
    fn is_overfull(&self) -> bool {
        self.taken() > self.max.load(SeqCst)
    }

    /// A place, if one is free.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let below_max = |taken| (taken < self.max.load(SeqCst)).then_some(taken + 1);
        self.taken.fetch_update(SeqCst, SeqCst, below_max).ok()?;
        Some(Place(Arc::clone(self)))
    }

    /// A place, if one is free or an idle connection gives way.
    pub(crate) async fn make_room(self: &Arc<Self>, clock: Clock) -> Option<Place> {
        if self.idle.iter().all(|thread| thread.0.load(Relaxed) == 0) {
            return self.enter();
        }
        self.wanted.fetch_add(1, Relaxed);
        self.crowded.notify_waiters();
        let freed = async {
            loop {
                self.freed.notified().await;
                if let Some(place) = self.enter() {
                    return place;
                }
            }
        };
        if let Ok(place) = clock.timeout(GIVE_WAY_WITHIN, freed).await {
            return Some(place);
        }
        // Nobody is to give way later to one who has left.
        let _ = self.wanted.fetch_update(Relaxed, Relaxed, |wanted| wanted.checked_sub(1));
        self.enter()
    }

    /// Leave to tell a newcomer that there is no place; `None` when too many are being told.
    pub(crate) fn turn_away(self: &Arc<Self>) -> Option<TurnedAway> {
        let below_max = |now| (now < TURNED_AWAY_MAX).then_some(now + 1);
        self.turned_away.fetch_update(SeqCst, SeqCst, below_max).ok()?;
        Some(TurnedAway(Arc::clone(self)))
    }
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, SeqCst);
        self.0.freed.notify_one();
    }
}

/// A newcomer who is being told.
#[derive(Debug)]
pub(crate) struct TurnedAway(Arc<Places>);

impl Drop for TurnedAway {
    fn drop(&mut self) {
        self.0.turned_away.fetch_sub(1, SeqCst);
    }
}

/// One thread's idle connections, in the order in which they became so.
#[derive(Debug)]
pub(crate) struct Idle {
    places: Arc<Places>,
    thread: usize,
    next: Cell<u64>,
    seats: RefCell<BTreeMap<u64, Waker>>,
}

impl Idle {
    /// Those of the `thread`-th thread.
    pub(crate) fn new(places: Arc<Places>, thread: usize) -> Self {
        Self { places, thread, next: Cell::new(0), seats: RefCell::default() }
    }

    /// A connection has become idle, until its seat is dropped.
    pub(crate) fn sit(&self) -> Seat<'_> {
        let number = self.next.replace(self.next.get() + 1);
        Seat { idle: self, number, is_taken: Cell::new(false) }
    }

    /// Has the longest idle ones give way whenever some are to.
    pub(crate) async fn give_way(&self) {
        loop {
            let crowded = self.places.crowded.notified();
            self.dismiss();
            crowded.await;
        }
    }

    fn dismiss(&self) {
        let mut seats = self.seats.borrow_mut();
        let here = seats.len();
        let rest = |wanted: usize| Some(wanted.saturating_sub(here));
        let wanted = self.places.wanted.fetch_update(Relaxed, Relaxed, rest).unwrap_or_default();
        for _ in 0..wanted.min(here) {
            seats.pop_first().into_iter().for_each(|(_, connection)| connection.wake());
        }
        self.count(seats.len());
    }

    fn count(&self, seats: usize) {
        if let Some(mine) = self.places.idle.get(self.thread) {
            mine.0.store(seats, Relaxed);
        }
    }
}

/// One idle connection.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    idle: &'a Idle,
    number: u64,
    is_taken: Cell<bool>,
}

impl Seat<'_> {
    /// Ready when the connection is to give way. Polled by one task only.
    pub(crate) fn poll_dismissed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut seats = self.idle.seats.borrow_mut();
        if !self.is_taken.replace(true) {
            if self.idle.places.is_overfull() {
                return Poll::Ready(());
            }
            seats.insert(self.number, cx.waker().clone());
            self.idle.count(seats.len());
            return Poll::Pending;
        }
        if seats.contains_key(&self.number) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut seats = self.idle.seats.borrow_mut();
        if seats.remove(&self.number).is_some() {
            self.idle.count(seats.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dismissed(seat: &Seat<'_>) -> bool {
        seat.poll_dismissed(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn places_are_counted_and_their_number_can_change() {
        let places = Arc::new(Places::new(2, 1));
        let taken = [places.enter().unwrap(), places.enter().unwrap()];
        assert!(places.enter().is_none());
        places.set_max(3);
        let third = places.enter().unwrap();
        places.set_max(1);
        drop(third);
        assert!(places.enter().is_none(), "there are still more than there may be");
        drop(taken);
        assert!(places.enter().is_some() && places.taken() == 0);
        let told: Vec<_> = std::iter::from_fn(|| places.turn_away()).collect();
        assert_eq!(told.len(), TURNED_AWAY_MAX);
    }

    #[test]
    fn the_longest_idle_give_way_and_no_more_than_are_wanted() {
        let places = Arc::new(Places::new(3, 1));
        let taken: Vec<_> = std::iter::from_fn(|| places.enter()).collect();
        let idle = Idle::new(Arc::clone(&places), 0);
        let seats = [idle.sit(), idle.sit(), idle.sit()];
        assert!(!seats.iter().any(is_dismissed));
        places.set_max(2);
        idle.dismiss();
        assert_eq!(seats.each_ref().map(is_dismissed), [true, false, false]);
        idle.dismiss();
        assert_eq!(seats.each_ref().map(is_dismissed), [true, false, false]);
        drop((taken, seats));
        assert_eq!(places.idle[0].0.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_only_while_somebody_may_give_way() {
        let (places, clock) = (Arc::new(Places::new(1, 2)), Clock::start());
        let place = places.enter().unwrap();
        let begun = clock.uptime();
        assert!(places.make_room(clock).await.is_none());
        assert_eq!(clock.uptime(), begun, "nobody is idle");
        let idle = Idle::new(Arc::clone(&places), 1);
        let holder = async {
            let seat = idle.sit();
            std::future::poll_fn(|cx| seat.poll_dismissed(cx)).await;
            drop(place);
        };
        let newcomer = async {
            tokio::task::yield_now().await;
            places.make_room(clock).await
        };
        let served = async { tokio::join!(holder, newcomer).1 };
        tokio::select! {
            place = served => assert!(place.is_some()),
            () = idle.give_way() => {}
        }
    }
}
