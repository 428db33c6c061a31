//! Up with load, down without it, and no request lost.

use crate::harness::{Bench, Traffic};

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
