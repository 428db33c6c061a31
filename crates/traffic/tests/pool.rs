//! Who gets the next request: rotation, ties, limits, membership and draining.

use std::num::NonZeroU32;

use crate::support::{Notices, at, draw, pool, route};
use proptest::prelude::*;
use traffic::{BALANCERS, Lease, Outcome, Pool, WorkerId};

/// Leases `count` times, ending each at once, and counts per worker slot.
fn spread(pool: &Pool, count: u32) -> Vec<(u32, u32)> {
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..count {
        let lease = pool.lease(draw(0), None).expect("a backend is ready");
        *counts.entry(lease.backend().id().slot).or_insert(0) += 1;
        lease.finish(at(0), Outcome::Answered(200));
    }
    counts.into_iter().collect()
}

#[test]
fn idle_backends_share_exactly_under_every_algorithm() {
    let exact = |name: &str| !matches!(name, "random" | "p2c_peak_ewma" | "consistent_hash");
    for entry in BALANCERS.iter().filter(|entry| exact(entry.name)) {
        let pool = Pool::new((entry.build)(), None);
        pool.replace(&[1, 2, 3, 4, 5].map(route));
        let expected: Vec<(u32, u32)> = (1..=5).map(|slot| (slot, 100)).collect();
        assert_eq!(spread(&pool, 500), expected, "{}", entry.name);
    }
}

#[test]
fn an_unknown_algorithm_is_named_with_those_there_are() {
    let error = traffic::balance::build("least_conections").unwrap_err().to_string();
    assert!(error.contains("least_conections") && error.contains("round_robin"), "{error}");
    assert!(traffic::balance::build(traffic::balance::DEFAULT).is_ok());
}

#[test]
fn avoided_backend_does_not_double_its_neighbours_share() {
    let pool = pool("round_robin", None);
    pool.replace(&[1, 2, 3].map(route));
    let mut counts = [0; 4];
    for _ in 0..100 {
        let lease = pool.lease(draw(0), Some(WorkerId { slot: 2, run: 1 })).unwrap();
        counts[usize::try_from(lease.backend().id().slot).unwrap()] += 1;
    }
    assert_eq!(counts, [0, 50, 0, 50]);
}

#[test]
fn only_backend_is_not_leased_when_avoided() {
    let pool = pool("least_connections", None);
    assert!(pool.lease(draw(0), None).is_none(), "an empty pool");
    pool.replace(&[route(1)]);
    assert!(pool.lease(draw(0), Some(WorkerId { slot: 1, run: 1 })).is_none());
    assert!(pool.lease(draw(0), Some(WorkerId { slot: 1, run: 2 })).is_some(), "another process of the slot");
}

#[test]
fn slow_backend_gets_less_under_least_connections() {
    let pool = pool("least_connections", None);
    pool.replace(&[1, 2].map(route));
    let held: Vec<Lease> = (0..4).filter_map(|_| pool.lease(draw(0), None)).collect();
    let (slow, quick): (Vec<_>, Vec<_>) = held.into_iter().partition(|lease| lease.backend().id().slot == 1);
    assert_eq!((slow.len(), quick.len()), (2, 2));
    drop(quick);
    assert_eq!(spread(&pool, 10), [(2, 10)]);
}

#[test]
fn limit_is_never_exceeded_and_room_is_announced_to_those_who_wait() {
    let pool = pool("least_connections", NonZeroU32::new(2));
    let notices = Notices::watch(&pool);
    pool.replace(&[1, 2].map(route));
    let mut held: Vec<Lease> = (0..4).map(|_| pool.lease(draw(0), None).unwrap()).collect();
    assert!(pool.lease(draw(0), None).is_none());
    held.pop();
    assert_eq!(notices.vacated(), 0, "nobody waits");
    pool.set_waiting(1);
    held.pop();
    assert_eq!(notices.vacated(), 1);
    assert!(pool.lease(draw(0), None).is_some());
}

#[test]
fn counts_survive_retirement_and_revival() {
    let pool = pool("least_connections", None);
    let notices = Notices::watch(&pool);
    pool.replace(&[1, 2].map(route));
    spread(&pool, 10);
    let held = pool.lease(draw(0), None).unwrap();
    let slot = held.backend().id().slot;
    let retired = pool.replace(&[route(3 - slot)]);
    assert_eq!(retired.len(), 1);
    assert!(retired[0].is_retired());
    assert_eq!(notices.drained(), [], "a request is left");
    pool.replace(&[1, 2].map(route));
    assert!(!retired[0].is_retired());
    held.finish(at(5), Outcome::Answered(200));
    assert_eq!(notices.drained(), [], "revived before the last request ended");
    let samples = pool.backends();
    assert_eq!(
        samples.iter().map(|sample| sample.requests).collect::<Vec<_>>(),
        if slot == 1 { [6, 5] } else { [5, 6] }
    );
    assert!(samples.iter().all(|sample| sample.in_flight == 0 && sample.first_request_at == Some(at(0))));
}

#[test]
fn drain_is_reported_when_idle_at_retirement_and_when_the_last_lease_ends() {
    let pool = pool("least_connections", None);
    let notices = Notices::watch(&pool);
    pool.replace(&[1, 2].map(route));
    let held = pool.lease(draw(0), None).unwrap();
    let (busy, idle) = (held.backend().id(), 3 - held.backend().id().slot);
    pool.replace(&[]);
    assert_eq!(notices.drained(), [WorkerId { slot: idle, run: 1 }]);
    assert_eq!(pool.backends().len(), 1, "only the draining one is still shown");
    drop(held);
    assert_eq!(notices.drained(), [WorkerId { slot: idle, run: 1 }, busy]);
    assert!(pool.backends().is_empty());
    pool.replace(&[]);
    assert_eq!(notices.drained().len(), 2, "retiring nobody reports nobody");
    pool.replace(&[1, 2].map(route));
    pool.replace(&[]);
    assert_eq!(notices.drained().len(), 4, "a second retirement is reported again");
}

#[test]
#[should_panic(expected = "moved from")]
fn a_worker_does_not_move() {
    let pool = pool("round_robin", None);
    pool.replace(&[route(1)]);
    let mut moved = route(1);
    moved.address = route(2).address;
    pool.replace(&[moved]);
}

/// What may happen to a pool.
#[derive(Clone, Debug)]
enum Act {
    Replace(Vec<u32>),
    Lease(Option<u32>),
    End(usize, bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let slots = proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 0..=5);
    let act = prop_oneof![
        1 => slots.prop_map(Act::Replace),
        4 => proptest::option::weighted(0.3, 1_u32..=5).prop_map(Act::Lease),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(index, well)| Act::End(index.index(1000), well)),
    ];
    proptest::collection::vec(act, 1..80)
}

proptest! {
    /// Any order of events, against plain bookkeeping.
    #[test]
    fn pool_agrees_with_plain_bookkeeping(acts in acts(), limit in proptest::option::of(1_u32..4), rotate in any::<bool>()) {
        let name = if rotate { "round_robin" } else { "least_connections" };
        let pool = pool(name, limit.and_then(NonZeroU32::new));
        let notices = Notices::watch(&pool);
        let mut routed: Vec<u32> = Vec::new();
        let mut held: Vec<Lease> = Vec::new();
        let mut ended = [0_u64; 6];
        let mut draining: Vec<u32> = Vec::new();
        let mut drained: Vec<u32> = Vec::new();
        let index = |slot: u32| usize::try_from(slot).unwrap();
        for act in acts {
            let load = |held: &[Lease], slot: u32| held.iter().filter(|lease| lease.backend().id().slot == slot).count();
            match act {
                Act::Replace(slots) => {
                    pool.replace(&slots.iter().map(|&slot| route(slot)).collect::<Vec<_>>());
                    for slot in routed.iter().filter(|slot| !slots.contains(slot)) {
                        if load(&held, *slot) == 0 { drained.push(*slot) } else { draining.push(*slot) }
                    }
                    draining.retain(|slot| !slots.contains(slot));
                    routed = slots;
                }
                Act::Lease(avoid) => {
                    let eligible: Vec<u32> = routed.iter().copied()
                        .filter(|&slot| Some(slot) != avoid)
                        .filter(|&slot| limit.is_none_or(|limit| load(&held, slot) < index(limit)))
                        .collect();
                    let lease = pool.lease(draw(0), avoid.map(|slot| WorkerId { slot, run: 1 }));
                    prop_assert_eq!(lease.is_some(), !eligible.is_empty());
                    if let Some(lease) = lease {
                        let slot = lease.backend().id().slot;
                        prop_assert!(eligible.contains(&slot));
                        if !rotate {
                            let least = eligible.iter().map(|&slot| load(&held, slot)).min();
                            prop_assert_eq!(Some(load(&held, slot)), least);
                        }
                        held.push(lease);
                    }
                }
                Act::End(at_index, well) if !held.is_empty() => {
                    let lease = held.swap_remove(at_index % held.len());
                    let slot = lease.backend().id().slot;
                    if well { lease.finish(at(1), Outcome::Answered(200)); ended[index(slot)] += 1; } else { drop(lease); }
                    if draining.contains(&slot) && load(&held, slot) == 0 {
                        draining.retain(|&other| other != slot);
                        drained.push(slot);
                    }
                }
                Act::End(..) => {}
            }
            let mut expected: Vec<u32> = routed.iter().chain(&draining).copied().collect();
            expected.sort_unstable();
            let samples = pool.backends();
            prop_assert_eq!(samples.iter().map(|sample| sample.id.slot).collect::<Vec<_>>(), expected);
            for sample in samples {
                let slot = sample.id.slot;
                prop_assert_eq!(index(sample.in_flight), held.iter().filter(|lease| lease.backend().id().slot == slot).count());
                prop_assert_eq!(sample.requests, ended[index(slot)]);
            }
            let mut reported: Vec<u32> = notices.drained().iter().map(|id| id.slot).collect();
            let mut expected = drained.clone();
            reported.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(reported, expected);
        }
    }

    /// Equals take exact turns, whichever part of the pool they are.
    #[test]
    fn ties_rotate_exactly(busy in proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 0..=4), rounds in 1_u32..20) {
        let pool = pool("least_connections", None);
        pool.replace(&[1, 2, 3, 4, 5].map(route));
        // One request stays at each busy backend: it is then never among the equals.
        let leases: Vec<Lease> = (0..5).map(|_| pool.lease(draw(0), None).unwrap()).collect();
        let _held: Vec<Lease> = leases.into_iter().filter(|lease| busy.contains(&lease.backend().id().slot)).collect();
        let idle = (1..=5).filter(|slot| !busy.contains(slot));
        let expected: Vec<(u32, u32)> = idle.map(|slot| (slot, rounds)).collect();
        let total = rounds * u32::try_from(expected.len()).unwrap();
        prop_assert_eq!(spread(&pool, total), expected);
    }
}
