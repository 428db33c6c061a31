//! The books balance whatever requests go through, and an audit finds where they do not.

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use traffic::ledger::Audit;
use traffic::{Ledger, Meter, Outcome, Pool, Reading, Sample, Shard, balance};

use crate::support::{at, draw, pool, route};

/// One request's fate, at the front and at the back.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered(u16),
    BrokeOff,
    Refused(&'static str),
    ClientGoneInQueue,
    ClientGoneAtWorker,
    /// Fails at one worker, unreached at another, answered by a third.
    Retried,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Answered(200)),
        Just(Fate::Answered(503)),
        Just(Fate::BrokeOff),
        Just(Fate::Refused("queue_full")),
        Just(Fate::Refused("too_many_requests")),
        Just(Fate::ClientGoneInQueue),
        Just(Fate::ClientGoneAtWorker),
        Just(Fate::Retried),
    ]
}

fn live(fate: Fate, number: u64, pool: &Pool, shard: &Rc<Shard>) {
    let arrival = shard.arrive(at(0));
    let lease = || pool.lease(draw(number), None).expect("workers have room");
    match fate {
        Fate::Answered(status) => {
            lease().finish(at(1), Outcome::Answered(status));
            arrival.finish(at(1), Outcome::Answered(status));
        }
        Fate::BrokeOff => {
            lease().finish(at(1), Outcome::Broken);
            arrival.finish(at(1), Outcome::Broken);
        }
        Fate::Refused(reason) => arrival.finish(at(1), Outcome::Refused { status: 503, reason }),
        Fate::ClientGoneInQueue => drop(arrival),
        Fate::ClientGoneAtWorker => drop((lease(), arrival)),
        Fate::Retried => {
            lease().finish(at(1), Outcome::Broken);
            shard.count_retry();
            lease().unreached(at(1));
            shard.count_retry();
            lease().finish(at(2), Outcome::Answered(200));
            arrival.finish(at(2), Outcome::Answered(200));
        }
    }
}

/// A run of some turns, with workers coming and going, as it would be recorded.
fn recorded(pool: &Pool, turns: &[Vec<Fate>]) -> (Vec<Sample>, Ledger) {
    let meter = Meter::default();
    let shards = [meter.shard(), meter.shard()].map(Rc::new);
    let mut last = Reading::empty(at(0));
    let samples = turns.iter().enumerate().map(|(turn, fates)| {
        let turn = u32::try_from(turn).unwrap();
        // More slots than the pool remembers drained workers of.
        pool.replace(&[route(turn % 30 + 1), route((turn + 1) % 30 + 1), route(turn % 7 + 40)]);
        for (number, fate) in (0..).zip(fates) {
            live(*fate, number, pool, &shards[usize::from(number % 2 == 1)]);
        }
        Sample::take(pool, &meter, &mut last, at(0) + Duration::from_secs(u64::from(turn)))
    });
    let samples: Vec<Sample> = samples.collect();
    (samples, Ledger::take(pool, &meter, at(99)))
}

fn audited(samples: &[Sample], closing: &Ledger) -> Result<(), String> {
    let mut audit = Audit::default();
    for (seq, sample) in (1..).zip(samples) {
        let ledger = sample.ledger.as_ref().unwrap();
        audit.turn(seq, Some(&sample.window), ledger).map_err(|v| format!("{seq} {}", v.rule))?;
    }
    audit.close(closing).map_err(|violation| format!("end {}: {}", violation.rule, violation.text))
}

proptest! {
    #[test]
    fn whatever_happens_to_requests_the_books_balance(
        turns in prop::collection::vec(prop::collection::vec(fate(), 0..20), 1..60)
    ) {
        let (samples, closing) = recorded(&pool("round_robin", None), &turns);
        let for_one_thread = Pool::for_one_thread(balance::build("round_robin").unwrap(), None);
        prop_assert_eq!(&recorded(&for_one_thread, &turns), &(samples.clone(), closing.clone()));
        prop_assert_eq!(audited(&samples, &closing), Ok(()));
        let requests: usize = turns.iter().map(Vec::len).sum();
        prop_assert_eq!(closing.accepted, u64::try_from(requests).unwrap());
        let again: Ledger = serde_json::from_str(&serde_json::to_string(&closing).unwrap()).unwrap();
        prop_assert_eq!(again, closing);
    }
}

/// Each row changes one number of a sound run; the audit names the rule that it breaks.
#[test]
fn one_changed_number_is_found() {
    let fates = vec![Fate::Answered(200), Fate::Retried, Fate::Refused("queue_full"), Fate::BrokeOff];
    let sound = recorded(&pool("round_robin", None), &vec![fates; 5]);
    assert_eq!(audited(&sound.0, &sound.1), Ok(()));
    type Change = fn(&mut Vec<Sample>, &mut Ledger);
    fn turn(samples: &mut [Sample]) -> &mut Ledger {
        samples[2].ledger.as_mut().unwrap()
    }
    let rows: &[(Change, &str)] = &[
        (|turns, _| turn(turns).accepted += 1, "3 conservation"),
        (|turns, _| turn(turns).answered -= 1, "3 conservation"),
        (|turns, _| *turn(turns).refused.get_mut("queue_full").unwrap() += 1, "3 conservation"),
        (
            |turns, _| {
                turn(turns).cancelled += 1;
                turn(turns).accepted += 1;
            },
            "3 window",
        ),
        (|turns, _| turns[2].window.completions += 1, "3 window"),
        (|turns, _| turns[2].window.arrivals -= 1, "3 window"),
        (|turns, _| turn(turns).workers[0].handed.answered += 9, "3 ended_once"),
        (|turns, _| turn(turns).retries -= 3, "3 totals_shrink"),
        (|turns, _| turns.swap(1, 3), "2 window"),
        (|_, closing| closing.gone.answered -= 1, "end one_worker"),
        (|_, closing| closing.workers[0].handed.leased += 1, "end all_ended"),
        (|_, closing| closing.workers[0].handed.in_flight += 1, "end all_ended"),
        (
            |_, closing| {
                closing.open += 1;
                closing.accepted += 1;
            },
            "end all_ended",
        ),
        (
            |_, closing| {
                closing.gone.leased += 9;
                closing.gone.cancelled += 9;
            },
            "end retries",
        ),
    ];
    for (change, expected) in rows {
        let (mut samples, mut closing) = sound.clone();
        change(&mut samples, &mut closing);
        let found = audited(&samples, &closing).expect_err(expected);
        assert!(found.starts_with(expected), "expected {expected}: {found}");
    }
}
