//! Shares under every algorithm: fair among equals, nobody starves, weights hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use traffic::{BALANCERS, Draw, Lease, Outcome, Pool, Version, WorkerId};

use crate::support::{at, draw, pool, route};

/// The `turn`-th request of a run, and one of many clients.
fn turn(seed: u64, turn: u64) -> Draw {
    let random = (seed ^ turn).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ turn;
    Draw { at: at(0) + Duration::from_millis(turn), random, key: random, stick_to: None }
}

/// Sends `count` requests one after the other that take as long as `latency` says of a slot.
fn shares(pool: &Pool, seed: u64, count: u64, latency: impl Fn(u32, u64) -> Duration) -> BTreeMap<u32, f64> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for number in 0..count {
        let draw = turn(seed, number);
        let lease = pool.lease(draw, None).unwrap();
        let slot = lease.backend().id().slot;
        *counts.entry(slot).or_default() += 1;
        lease.finish(draw.at + latency(slot, draw.random), Outcome::Answered(200));
    }
    counts.into_iter().map(|(slot, served)| (slot, served as f64 / count as f64)).collect()
}

fn noisy(_slot: u32, random: u64) -> Duration {
    Duration::from_micros(1_000 + random % 500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn five_equal_workers_get_15_to_25_percent_each(seed in any::<u64>()) {
        for entry in BALANCERS {
            let pool = pool(entry.name, None);
            pool.replace(&[1, 2, 3, 4, 5].map(route));
            let shares = shares(&pool, seed, 5_000, noisy);
            prop_assert!(shares.len() == 5 && shares.values().all(|share| (0.15..=0.25).contains(share)),
                "{}: {shares:?}", entry.name);
        }
    }

    /// One worker has been slow and is quick again: no algorithm forgets it for good.
    #[test]
    fn nobody_starves(seed in any::<u64>()) {
        for entry in BALANCERS {
            let pool = pool(entry.name, None);
            pool.replace(&[1, 2, 3].map(route));
            let slow = |slot, random| if slot == 2 { Duration::from_secs(2) } else { noisy(slot, random) };
            shares(&pool, seed, 50, slow);
            let shares = shares(&pool, !seed, 3_000, noisy);
            prop_assert!(shares.get(&2).is_some_and(|share| *share > 0.002), "{}: {shares:?}", entry.name);
        }
    }

    #[test]
    fn weighted_shares_are_exact_and_smooth(weights in prop::collection::vec(0_u32..8, 2..6)) {
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let pool = pool("weighted_round_robin", None);
        let routes: Vec<_> = (1..).zip(&weights).map(|(slot, weight)| traffic::Route { weight: *weight, ..route(slot) }).collect();
        pool.replace(&routes);
        let mut served = vec![0_u32; weights.len()];
        for number in 1..=total * 3 {
            let lease = pool.lease(draw(0), None).unwrap();
            let index = usize::try_from(lease.backend().id().slot - 1).unwrap();
            served[index] += 1;
            for (served, weight) in served.iter().zip(&weights) {
                let due = f64::from(number) * f64::from(*weight) / f64::from(total);
                prop_assert!((f64::from(*served) - due).abs() <= weights.len() as f64, "{served} of {due}");
            }
        }
        let exact: Vec<u32> = weights.iter().map(|weight| weight * 3).collect();
        prop_assert_eq!(served, exact);
    }

    /// Whatever the pool's size, whoever may not take it, and whoever has what.
    #[test]
    fn the_fewest_requests_win_and_equals_take_turns(
        weights in prop::collection::vec(0_u32..4, 1..40),
        steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>()), 150),
    ) {
        let pool = pool("least_connections", std::num::NonZeroU32::new(5));
        let routes: Vec<_> = (1..).zip(&weights).map(|(slot, weight)| traffic::Route { weight: *weight, ..route(slot) }).collect();
        pool.replace(&routes);
        let ready = pool.ready();
        let (mut held, mut after_last): (Vec<Lease>, usize) = (Vec::new(), 0);
        for (number, (step, which)) in steps.iter().enumerate() {
            if *step == 0 && !held.is_empty() {
                held.swap_remove(which.index(held.len()));
                continue;
            }
            let avoid = ready[which.index(ready.len())].id();
            let in_turn = (0..ready.len()).map(|turn| (after_last + turn) % ready.len());
            let eligible = in_turn.filter(|&index| {
                ready[index].weight() > 0 && !ready[index].is_full() && ready[index].id() != avoid
            });
            let expected = eligible.min_by_key(|&index| ready[index].in_flight());
            let lease = pool.lease(draw(number as u64), Some(avoid));
            let chosen = lease.as_ref().map(|lease| lease.backend().id());
            prop_assert_eq!(chosen, expected.map(|index| ready[index].id()), "step {}", number);
            after_last = expected.map_or(after_last, |index| index + 1);
            held.extend(lease);
        }
    }

    #[test]
    fn keys_stay_where_they_are_when_others_leave(keys in prop::collection::vec(any::<u64>(), 50)) {
        let pool = pool("consistent_hash", None);
        let slot_of = |key| pool.lease(Draw { key, ..draw(0) }, None).unwrap().backend().id().slot;
        pool.replace(&[1, 2, 3, 4, 5].map(route));
        let before: Vec<u32> = keys.iter().map(|key| slot_of(*key)).collect();
        pool.replace(&[1, 2, 4, 5].map(route));
        for (key, before) in keys.iter().zip(before) {
            prop_assert!(before == 3 || slot_of(*key) == before);
        }
    }
}

#[test]
fn slow_workers_get_less_under_peak_ewma() {
    let pool = pool("p2c_peak_ewma", None);
    pool.replace(&[1, 2, 3, 4, 5].map(route));
    let slow = |slot, random| if slot == 3 { Duration::from_millis(50) } else { noisy(slot, random) };
    let shares = shares(&pool, 7, 5_000, slow);
    assert!(shares[&3] < 0.08 && shares[&3] > 0.0, "{shares:?}");
}

#[test]
fn requests_in_flight_count_under_peak_ewma() {
    let pool = pool("p2c_peak_ewma", None);
    pool.replace(&[1, 2].map(route));
    let held: Vec<Lease> = (0..200).map(|number| pool.lease(turn(1, number), None).unwrap()).collect();
    let first = held.iter().filter(|lease| lease.backend().id().slot == 1).count();
    assert!((80..=120).contains(&first), "{first} of 200");
}

#[test]
fn a_client_stays_with_its_worker_while_that_can() {
    let pool = pool("sticky_cookie", None);
    assert!(pool.is_sticky());
    pool.replace(&[1, 2, 3].map(route));
    let two = WorkerId { slot: 2, run: 1 };
    let stick = || Draw { stick_to: Some(two), ..draw(0) };
    let held: Vec<Lease> = (0..5).map(|_| pool.lease(stick(), None).unwrap()).collect();
    assert!(held.iter().all(|lease| lease.backend().id() == two));
    pool.replace(&[1, 3].map(route));
    assert_ne!(pool.lease(stick(), None).unwrap().backend().id(), two);
}

#[test]
fn weights_by_hand_overrule_routes_and_zero_is_none() {
    for entry in BALANCERS {
        let pool = pool(entry.name, None);
        pool.replace(&[1, 2].map(route));
        pool.ready()[0].set_weight(Some(0));
        let all = shares(&pool, 3, 100, noisy);
        assert!(all.keys().eq([&2]), "{}: {all:?}", entry.name);
        pool.replace(&[1, 2].map(route));
        pool.ready()[0].set_weight(None);
        assert!(shares(&pool, 3, 200, noisy).len() == 2, "{}", entry.name);
    }
}

#[test]
fn versions_share_as_they_are_told() {
    let pool = pool("least_connections", None);
    let versions =
        [1, 2, 3].map(|slot| traffic::Route { version: Version(u32::from(slot == 3)), ..route(slot) });
    pool.replace(&versions);
    pool.set_split(&[(Version(0), 90), (Version(1), 10)]);
    let split = shares(&pool, 5, 5_000, noisy);
    assert!((0.08..0.12).contains(&split[&3]), "{split:?}");
    pool.set_split(&[(Version(1), 1)]);
    assert!(shares(&pool, 5, 100, noisy).keys().eq([&3]));
    pool.replace(&versions[..2]);
    assert!(pool.lease(turn(0, 0), None).is_some(), "a version without workers leaves its share to others");
    pool.set_split(&[]);
    assert_eq!(shares(&pool, 5, 100, noisy).len(), 2);
}

#[test]
fn new_workers_warm_up() {
    for entry in BALANCERS.iter().filter(|entry| entry.name != "consistent_hash") {
        let pool = pool(entry.name, None);
        pool.set_slow_start(Duration::from_secs(60));
        pool.replace(&[1, 2].map(route));
        // The first two have been at it for long when the third comes.
        shares(&pool, 1, 10, noisy);
        pool.replace(&[1, 2, 3].map(route));
        let count = |from: u64| {
            let served = (0..2_000).filter(|number| {
                let draw = Draw { at: at(from), ..turn(9, *number) };
                let lease = pool.lease(draw, None).unwrap();
                let slot = lease.backend().id().slot;
                lease.finish(draw.at + noisy(slot, draw.random), Outcome::Answered(200));
                slot == 3
            });
            served.count()
        };
        let (cold, lukewarm, warm) = (count(100), count(130), count(200));
        assert!(
            cold > 0 && cold * 3 < warm && cold < lukewarm && lukewarm < warm,
            "{}: {cold}, {lukewarm}, {warm}",
            entry.name
        );
    }
}

#[test]
fn the_algorithm_changes_without_losing_a_lease() {
    let pool = pool("round_robin", None);
    pool.replace(&[1, 2].map(route));
    let held = Arc::new(pool.lease(draw(0), None).unwrap());
    pool.set_balancer(traffic::balance::build("least_connections").unwrap());
    let other = pool.lease(draw(0), None).unwrap();
    assert_ne!(other.backend().id(), held.backend().id());
    pool.set_in_flight_max(std::num::NonZeroU32::new(1));
    assert!(pool.lease(draw(0), None).is_none());
    drop(other);
    assert!(pool.lease(draw(0), None).is_some());
}
