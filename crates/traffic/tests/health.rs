//! Who is out of service, who stays whatever happens, and who comes back.

use std::collections::BTreeSet;

use traffic::{Outcome, Pool, Probed};

use crate::support::{at, draw, pool, route};

/// Fails requests at `bad` slots, and answers at the others, until nothing changes any more.
fn fail(pool: &Pool, seconds: u64, bad: &[u32]) -> BTreeSet<u32> {
    for _ in 0..200 {
        let lease = pool.lease(draw(seconds), None).unwrap();
        let status = if bad.contains(&lease.backend().id().slot) { 503 } else { 200 };
        lease.finish(at(seconds), Outcome::Answered(status));
    }
    served(pool, seconds)
}

/// Who gets requests now.
fn served(pool: &Pool, seconds: u64) -> BTreeSet<u32> {
    (0..50).map(|_| pool.lease(draw(seconds), None).unwrap().backend().id().slot).collect()
}

#[test]
fn a_failing_worker_is_out_for_a_while_and_longer_the_next_time() {
    let pool = pool("round_robin", None);
    pool.replace(&[1, 2, 3].map(route));
    assert_eq!(fail(&pool, 0, &[2]), BTreeSet::from([1, 3]));
    let listed = pool.target_health(at(0));
    let states: Vec<_> = listed.iter().map(|target| (target.state, target.reason)).collect();
    assert_eq!(states, [("healthy", ""), ("unhealthy", "Target.Ejected"), ("healthy", "")]);
    assert_eq!(served(&pool, 1), BTreeSet::from([1, 2, 3]), "back after a second");
    assert_eq!(fail(&pool, 1, &[2]), BTreeSet::from([1, 3]), "one failure is enough on probation");
    assert_eq!(served(&pool, 2), BTreeSet::from([1, 3]), "two seconds this time");
    assert_eq!(fail(&pool, 3, &[]), BTreeSet::from([1, 2, 3]));
}

#[test]
fn at_least_half_stay_by_count() {
    for (workers, kept) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
        let pool = pool("round_robin", None);
        let slots: Vec<_> = (1..=workers).map(route).collect();
        pool.replace(&slots);
        // All but the first fail, one after the other, so that no failure looks like everybody's.
        for bad in 2..=workers {
            fail(&pool, 0, &[bad]);
        }
        assert_eq!(served(&pool, 0).len(), kept, "of {workers}");
    }
}

#[test]
fn what_everybody_fails_is_nobodys_fault() {
    let pool = pool("round_robin", None);
    pool.replace(&[1, 2, 3, 4].map(route));
    assert_eq!(fail(&pool, 0, &[1, 2, 3, 4]).len(), 4);
}

#[test]
fn refused_connections_count_as_failures() {
    let pool = pool("round_robin", None);
    pool.replace(&[1, 2].map(route));
    for _ in 0..10 {
        let lease = pool.lease(draw(0), None).unwrap();
        if lease.backend().id().slot == 1 { lease.unreached(at(0)) } else { drop(lease) }
    }
    assert_eq!(served(&pool, 0), BTreeSet::from([2]));
    assert_eq!(pool.backends()[0].requests, 0, "it never knew of them");
}

#[test]
fn probes_take_out_and_bring_back_and_where_all_are_out_all_are_tried() {
    let pool = pool("least_connections", None);
    pool.replace(&[1, 2].map(route));
    let ready = pool.ready();
    ready[0].set_probed(Probed::TimedOut);
    ready[1].set_probed(Probed::Healthy);
    assert_eq!(served(&pool, 0), BTreeSet::from([2]));
    ready[1].set_probed(Probed::Failed);
    assert_eq!(served(&pool, 0), BTreeSet::from([1, 2]), "panic");
    ready[0].set_probed(Probed::Healthy);
    assert_eq!(served(&pool, 0), BTreeSet::from([1]));
    let reasons: Vec<_> = pool.target_health(at(0)).iter().map(|target| target.reason).collect();
    assert_eq!(reasons, ["", "Target.FailedHealthChecks"]);
}
