//! A worker on its way out finishes what it has begun.

use control::State;

use crate::harness::{Bench, get};

#[tokio::test]
async fn a_long_request_survives_scale_in_and_may_revive_its_worker() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "1", "--max", "2"]).await;
    let worker = |id: &str, status: &admin::Status| {
        status.workers.iter().find(|worker| worker.id == id).map(|worker| (worker.pid, worker.state))
    };
    pool.ask(&bench, &["scale", "2"]).await.well();
    let before = pool.until_ready(2).await;
    // One long request at each worker, so that whichever goes has one.
    let long = format!("{}/?cpu_ms=0&sleep_ms=4000", pool.url);
    let requests = [0, 1].map(|_| {
        let long = long.clone();
        tokio::spawn(async move { get(&long).await })
    });
    pool.until("both are at work", |status| status.workers.iter().all(|worker| worker.in_flight == 1)).await;
    pool.ask(&bench, &["scale", "1"]).await.well();
    let draining = pool
        .until("one drains", |status| status.workers.iter().any(|worker| worker.state == State::Draining))
        .await;
    let gone = draining.workers.iter().find(|worker| worker.state == State::Draining).unwrap();
    pool.ask(&bench, &["scale", "2"]).await.well();
    let after = pool.until_ready(2).await;
    assert_eq!(worker(&gone.id, &after), worker(&gone.id, &before), "the same process is back");
    for request in requests {
        assert_eq!(request.await.unwrap().map(|answer| answer.status), Ok(200));
    }
}
