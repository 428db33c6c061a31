//! Many threads lease while one changes the routes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use traffic::{Outcome, Route};

use crate::support::{Notices, at, draw, pool, route};

const LEASING_THREADS: u64 = 3;
const CHANGES: u32 = 500;
const LIMIT: u32 = 3;

#[test]
fn every_retirement_drains_exactly_once_and_no_count_is_lost() {
    let pool = pool("least_connections", NonZeroU32::new(LIMIT));
    let notices = Notices::watch(&pool);
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicU64::new(0));
    // A slot is never empty for good, so that leasing threads always get on.
    let mut runs = [1_u32; 3];
    let routes = |runs: &[u32; 3]| -> Vec<Route> {
        let mut routes = [1, 2, 3].map(route);
        for (route, run) in routes.iter_mut().zip(runs) {
            route.id.run = *run;
        }
        routes.to_vec()
    };
    pool.replace(&routes(&runs));
    let threads: Vec<_> = (0..LEASING_THREADS)
        .map(|_| {
            let (pool, stop, ended) = (Arc::clone(&pool), Arc::clone(&stop), Arc::clone(&ended));
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let Some(lease) = pool.lease(draw(0), None) else { continue };
                    assert!(lease.backend().in_flight() <= LIMIT, "more requests than the limit");
                    lease.finish(at(1), Outcome::Answered(200));
                    ended.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let mut retired = Vec::new();
    for change in 0..CHANGES {
        let slot = usize::try_from(change % 3).unwrap();
        // Another process in the slot: its predecessor never comes back.
        runs[slot] += 1;
        for backend in pool.replace(&routes(&runs)) {
            assert!(backend.is_retired());
            retired.push(backend);
        }
    }
    retired.extend(pool.replace(&[]));
    assert!(pool.lease(draw(0), None).is_none(), "leased after `replace` had returned");
    stop.store(true, SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let mut drained = notices.drained();
    assert_eq!(drained.len(), retired.len(), "one notice a retirement");
    drained.sort_unstable();
    drained.dedup();
    assert_eq!(drained.len(), retired.len(), "no worker twice");
    assert!(retired.iter().all(|backend| backend.in_flight() == 0));
    assert_eq!(retired.iter().map(|backend| backend.requests()).sum::<u64>(), ended.load(SeqCst));
}

#[test]
fn revival_and_drain_never_cross() {
    let pool = pool("round_robin", None);
    let notices = Notices::watch(&pool);
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..LEASING_THREADS)
        .map(|_| {
            let (pool, stop) = (Arc::clone(&pool), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    drop(pool.lease(draw(0), None));
                }
            })
        })
        .collect();
    for _ in 0..CHANGES {
        let before = notices.drained().len();
        pool.replace(&[]);
        pool.replace(&[route(1)]);
        let after_revival = notices.drained().len();
        assert!(after_revival <= before + 1, "more than one notice for one retirement");
        // Routed again: whatever ends now, no notice may come.
        drop(pool.lease(draw(0), None));
        std::thread::yield_now();
        assert_eq!(notices.drained().len(), after_revival, "a notice after the revival");
    }
    pool.replace(&[]);
    stop.store(true, SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(pool.backends().is_empty(), "the last retirement has drained");
}
