//! `autoscale load` against a pool.

use crate::harness::Bench;

#[tokio::test]
async fn its_report_agrees_with_the_pool() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    pool.until_ready(2).await;
    let url = format!("{}/?cpu_ms=0", pool.url);
    let report = bench.finish(["load", &url, "-n", "50", "-c", "5", "-o", "json"]).await.json();
    for field in ["sent", "succeeded"] {
        assert_eq!(report[field], 50, "{field}: {report:#}");
    }
    assert_eq!((&report["failed"], &report["statuses"]["200"]), (&0.into(), &50.into()), "{report:#}");
    let shares = report["workers"].as_object().unwrap();
    assert_eq!(shares.len(), 2, "both took their share: {report:#}");
    assert_eq!(shares.values().filter_map(|share| share.as_u64()).sum::<u64>(), 50, "{report:#}");
    for field in ["p50", "p90", "p95", "p99", "p999", "max"] {
        assert!(report["latency_ms"][field].as_f64() > Some(0.0), "{field}: {report:#}");
        assert!(report["uncorrected_latency_ms"][field].as_f64() > Some(0.0), "{field}: {report:#}");
    }
    let status = pool.until("all are counted", |status| status.requests.total == 50).await;
    assert_eq!(status.requests.failed, 0);
    let open = bench.finish(["load", &url, "--rate", "100", "-n", "20", "--json"]).await.json();
    assert_eq!((&open["sent"], &open["rate_asked"]), (&20.into(), &100.0.into()), "{open:#}");
}

#[tokio::test]
async fn a_breached_threshold_is_99() {
    let bench = Bench::new().await;
    let pool = bench.run(&[]).await;
    pool.until_ready(1).await;
    let nowhere = format!("{}/nowhere", pool.url);
    let breached = bench.finish(["load", &nowhere, "-n", "5", "--fail-if", "failed>1%"]).await;
    assert_eq!(breached.code(), Some(99), "{breached:#?}");
    assert!(breached.stderr.contains("failed"), "{breached:#?}");
    let url = format!("{}/?cpu_ms=0", pool.url);
    bench.finish(["load", &url, "-n", "5", "--fail-if", "failed>1%"]).await.well();
}
