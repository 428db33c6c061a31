//! What is counted, and that readers do not disturb each other.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use traffic::{Meter, Outcome, Reading, Sample};

use crate::support::{at, draw, pool, route};

fn after(milliseconds: u64) -> Timestamp {
    at(0) + Duration::from_millis(milliseconds)
}

/// `shown` stands for `actual` within the 3 % that the histogram promises.
fn close(shown: Duration, actual: Duration) -> bool {
    (shown.as_secs_f64() / actual.as_secs_f64() - 1.0).abs() <= 0.03
}

#[test]
fn a_window_tells_what_happened_between_two_readings() {
    let meter = Meter::default();
    let (one, other) = (Rc::new(meter.shard()), Rc::new(meter.shard()));
    one.arrive(at(0)).finish(after(10), Outcome::Answered(200));
    let earlier = meter.read(at(1));
    let waiting = other.arrive(at(1));
    let at_worker = one.arrive(at(1));
    other.enter_queue();
    for milliseconds in 1..=100 {
        one.arrive(at(0)).finish(after(milliseconds), Outcome::Answered(404));
    }
    one.arrive(at(0)).finish(after(100), Outcome::Answered(500));
    one.arrive(at(0)).finish(after(100), Outcome::Refused { status: 503, reason: "queue_full" });
    one.arrive(at(0)).finish(after(100), Outcome::Broken);
    drop(one.arrive(at(0)));
    one.count_retry();
    let now = meter.read(at(3));
    let window = now.since(&earlier);
    assert_eq!(window.length, Duration::from_secs(2));
    assert_eq!((window.arrivals, window.completions, window.failures), (106, 100, 3));
    assert_eq!((window.in_flight, window.queued), (1, 1));
    let latency = window.latency.unwrap();
    assert!(close(latency.p50, Duration::from_millis(52)), "{latency:?}");
    assert!(close(latency.p99, Duration::from_millis(100)), "{latency:?}");
    assert_eq!(now.statuses, [0, 1, 0, 100, 2]);
    assert_eq!((now.cancelled, now.retries, now.open()), (1, 1, 2));
    drop((waiting, at_worker));
}

#[test]
fn longest_wait_belongs_to_the_window_in_which_it_ended() {
    let meter = Meter::default();
    let shard = meter.shard();
    for wait in [Duration::from_secs(4), Duration::from_millis(20)] {
        shard.enter_queue();
        assert_eq!(meter.read(at(0)).queued, 1);
        let earlier = meter.read(at(0));
        shard.leave_queue(wait);
        let window = meter.read(at(1)).since(&earlier);
        assert!(close(window.queue_wait_max, wait), "{window:?}");
        assert_eq!(window.queued, 0);
    }
}

#[test]
fn empty_window_has_no_latency() {
    let meter = Meter::default();
    let window = meter.read(at(1)).since(&Reading::empty(at(0)));
    assert_eq!((window.latency, window.queue_wait_max, window.arrivals), (None, Duration::ZERO, 0));
}

#[test]
fn a_connection_that_changed_protocol_counts_but_has_no_latency() {
    let meter = Meter::default();
    Rc::new(meter.shard()).arrive(at(0)).finish(at(3600), Outcome::Answered(101));
    let reading = meter.read(at(3600));
    assert_eq!((reading.completions, reading.statuses[0], reading.latency.count()), (1, 1, 0));
}

#[test]
fn a_sample_joins_pool_and_meter_and_moves_only_its_own_mark() {
    let (pool, meter) = (pool("round_robin", None), Meter::default());
    pool.replace(&[2, 1].map(route));
    let (mut loop_mark, metrics_mark) = (Reading::empty(at(0)), Reading::empty(at(0)));
    let arrival = Rc::new(meter.shard()).arrive(at(0));
    let lease = pool.lease(draw(0), None).unwrap();
    let first = Sample::take(&pool, &meter, &mut loop_mark, at(1));
    assert_eq!((first.window.in_flight, first.window.arrivals), (1, 1));
    assert_eq!(first.backends.iter().map(|backend| backend.id.slot).collect::<Vec<_>>(), [1, 2]);
    lease.finish(at(2), Outcome::Answered(200));
    arrival.finish(at(2), Outcome::Answered(200));
    let second = Sample::take(&pool, &meter, &mut loop_mark, at(2));
    assert_eq!((second.window.in_flight, second.window.arrivals, second.window.completions), (0, 0, 1));
    assert_eq!(meter.read(at(2)).since(&metrics_mark).arrivals, 1, "another reader sees all of it");
}

#[test]
fn shards_written_by_many_threads_add_up() {
    let meter = Arc::new(Meter::default());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shard = meter.shard();
            std::thread::spawn(move || {
                let shard = Rc::new(shard);
                for _ in 0..10_000 {
                    shard.arrive(at(0)).finish(after(1), Outcome::Answered(200));
                }
            })
        })
        .collect();
    let mut earlier = Reading::empty(at(0));
    let mut seen = 0;
    while seen < 40_000 {
        let now = meter.read(at(0));
        let window = now.since(&earlier);
        assert!(now.completions <= now.arrivals, "ended before it came: {now:?}");
        seen += window.completions;
        earlier = now;
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(meter.read(at(0)).latency.count(), 40_000);
}

proptest! {
    #[test]
    fn quantiles_and_buckets_are_within_three_percent(mut millis in proptest::collection::vec(1_u64..100_000, 1..200), share in 0.01_f64..=1.0) {
        let meter = Meter::default();
        let shard = Rc::new(meter.shard());
        for &milliseconds in &millis {
            shard.arrive(at(0)).finish(after(milliseconds), Outcome::Answered(200));
        }
        millis.sort_unstable();
        let latency = meter.read(at(1)).latency;
        prop_assert_eq!(latency.count(), u64::try_from(millis.len()).unwrap());
        prop_assert_eq!(latency.sum(), Duration::from_millis(millis.iter().sum()));
        let rank = millis.iter().position(|&value| {
            let at_most = millis.iter().filter(|&&other| other <= value).count();
            at_most as f64 >= (millis.len() as f64 * share).ceil()
        });
        let exact = Duration::from_millis(millis[rank.unwrap()]);
        let shown = latency.quantile(share).unwrap();
        prop_assert!(close(shown, exact), "{shown:?} for {exact:?}");
        prop_assert_eq!(latency.at_most(Duration::from_secs(200)), latency.count());
        prop_assert_eq!(latency.at_most(Duration::from_micros(1)), 0);
    }
}
