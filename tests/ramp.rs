//! Up with load, down without it, and no request lost.

use crate::harness::{Bench, Traffic, get};

/// What watches something that does not depend on how quick the machine is.
const BY_REQUESTS: &[&str] = &[
    "--signal",
    "in_flight",
    "--up",
    "3",
    "--down",
    "1",
    "--interval",
    "200ms",
    "--cooldown-up",
    "200ms",
    "--cooldown-down",
    "400ms",
    "--warm-up",
    "0s",
];

#[tokio::test]
async fn load_takes_the_pool_up_and_its_end_takes_it_down() {
    let bench = Bench::new().await;
    let pool = bench.run(&[BY_REQUESTS, &["--max", "3"]].concat()).await;
    pool.until_ready(1).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=0&sleep_ms=50", pool.url), 20);
    pool.until_ready(3).await;
    let report = load.end_without_failure().await;
    let workers: Vec<&String> = report.workers.keys().collect();
    assert_eq!(workers.len(), 3, "the new ones took their share: {workers:?}");
    pool.until_ready(1).await;

    let status = pool.status().await;
    assert_eq!((status.requests.total, status.requests.failed), (report.sent, 0));
    let up = pool.until_event("1 → 2").await;
    assert!(up.contains("in flight"), "a change says what caused it: {up}");
    let metrics = pool.client.series("desired", "60s").await;
    assert!(metrics.is_ok(), "{metrics:?}");
}

#[tokio::test]
async fn a_dry_run_decides_and_changes_nothing() {
    let bench = Bench::new().await;
    let pool = bench.run(&[BY_REQUESTS, &["--dry-run"]].concat()).await;
    pool.until("one is ready", |status| status.ready == 1).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=0&sleep_ms=50", pool.url), 20);
    let wants = pool.until("it would have more", |status| status.desired > 1).await;
    assert!(wants.dry_run);
    let turned = wants.turned_at;
    let later = pool.until("it has turned again", |status| status.turned_at > turned).await;
    assert_eq!((later.ready, later.workers.len()), (1, 1), "{later:#?}");
    pool.until("its shadow goes on by itself", |status| {
        status.shadows.first().is_some_and(|shadow| shadow.label == "dry run" && shadow.worker_seconds > 0.0)
    })
    .await;
    load.end_without_failure().await;
}

#[tokio::test]
async fn round_robin_goes_round() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "3", "--algorithm", "round_robin"]).await;
    pool.until_ready(3).await;
    let mut turns = Vec::new();
    for _ in 0..9 {
        turns.push(get(&format!("{}/?cpu_ms=0", pool.url)).await.unwrap().worker.unwrap());
    }
    let first: std::collections::BTreeSet<&String> = turns[..3].iter().collect();
    assert_eq!(first.len(), 3, "{turns:?}");
    assert!(turns[..3] == turns[3..6] && turns[..3] == turns[6..], "{turns:?}");
}
