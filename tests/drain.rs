//! A worker on its way out finishes what it has begun.

use admin::Status;
use control::State;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Bench, Running, get};
use crate::stand_in;

/// No drain ends here because it took too long.
const PATIENT: &[&str] = &["--min", "1", "--max", "2", "--drain-timeout", "5m"];

/// A request that ends when the test lets it.
fn hold(pool: &Running) -> JoinHandle<Result<Answer, String>> {
    let url = format!("{}/hold", pool.url);
    tokio::spawn(async move { get(&url).await })
}

fn in_state(status: &Status, state: State) -> Option<u32> {
    status.workers.iter().find(|worker| worker.state == state).and_then(|worker| worker.pid)
}

fn pids(status: &Status) -> Vec<Option<u32>> {
    status.workers.iter().map(|worker| worker.pid).collect()
}

/// Two workers, each with a request under way, and then one of them draining.
async fn one_of_two_drains(bench: &Bench, pool: &Running) -> ([JoinHandle<Result<Answer, String>>; 2], u32) {
    pool.ask(bench, &["scale", "2", "--hold", "1h"]).await.well();
    pool.until_ready(2).await;
    let first = hold(pool);
    // Two at the very same moment may meet at one worker: each thread of the balancer saw it idle.
    pool.until("one is at work", |status| status.workers.iter().any(|worker| worker.in_flight == 1)).await;
    let requests = [first, hold(pool)];
    pool.until("both are at work", |status| status.workers.iter().all(|worker| worker.in_flight == 1)).await;
    pool.ask(bench, &["scale", "1", "--hold", "1h"]).await.well();
    let status = pool.until("one drains", |status| in_state(status, State::Draining).is_some()).await;
    (requests, in_state(&status, State::Draining).unwrap())
}

async fn all_well(requests: impl IntoIterator<Item = JoinHandle<Result<Answer, String>>>) {
    for request in requests {
        assert_eq!(request.await.unwrap().map(|answer| answer.status), Ok(200));
    }
}

#[tokio::test]
async fn scale_in_waits_for_requests() {
    let bench = Bench::new().await;
    let pool = stand_in::run(&bench, PATIENT).await;
    let (requests, leaving) = one_of_two_drains(&bench, &pool).await;
    // What comes now goes to the other one.
    for _ in 0..4 {
        assert_eq!(get(&pool.url).await.map(|answer| answer.status), Ok(200));
    }
    let status = pool.until("they are counted", |status| status.requests.total == 4).await;
    let drained = status.workers.iter().find(|worker| worker.pid == Some(leaving)).unwrap();
    assert_eq!((drained.state, drained.requests), (State::Draining, 0));
    stand_in::let_go(&bench);
    all_well(requests).await;
    let after = pool.until_ready(1).await;
    assert!(!pids(&after).contains(&Some(leaving)), "{:?}", after.workers);
}

#[tokio::test]
async fn a_draining_worker_is_put_back_when_demand_returns() {
    let bench = Bench::new().await;
    let pool = stand_in::run(&bench, PATIENT).await;
    let (requests, leaving) = one_of_two_drains(&bench, &pool).await;
    pool.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    let after = pool.until_ready(2).await;
    assert!(pids(&after).contains(&Some(leaving)), "the same process is back: {:?}", after.workers);
    stand_in::let_go(&bench);
    all_well(requests).await;
    assert_eq!(pool.status().await.fleet.crashes, 0);
}

#[tokio::test]
async fn a_worker_drained_by_hand_is_replaced_before_its_request_ends() {
    let bench = Bench::new().await;
    let pool = stand_in::run(&bench, PATIENT).await;
    let before = pool.until_ready(1).await.workers[0].clone();
    let request = hold(&pool);
    pool.until("it is at work", |status| status.workers[0].in_flight == 1).await;
    pool.ask(&bench, &["drain", &before.id]).await.well();
    pool.until("another is ready while it drains", |status| {
        in_state(status, State::Draining) == before.pid && in_state(status, State::Ready).is_some()
    })
    .await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.status), Ok(200), "the other one serves");
    stand_in::let_go(&bench);
    all_well([request]).await;
    let after = pool.until_ready(1).await;
    assert_ne!(after.workers[0].pid, before.pid);
}

#[tokio::test]
async fn the_end_waits_for_requests() {
    let bench = Bench::new().await;
    let mut pool = stand_in::run(&bench, PATIENT).await;
    pool.until_ready(1).await;
    let request = hold(&pool);
    pool.until("it is at work", |status| status.requests.in_flight == 1).await;
    pool.signal(Signal::TERM);
    pool.until_complains("stopping: requests are finished first").await;
    assert!(!request.is_finished());
    stand_in::let_go(&bench);
    all_well([request]).await;
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}
