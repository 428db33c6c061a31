//! `autoscale load` against a pool.

use crate::harness::{Bench, Finished, until};

/// Exit code of a measurement that a busy machine has made worthless.
const INVALID: i32 = 3;

/// Measures until the machine has let it.
async fn measured(bench: &Bench, words: &[&str]) -> Finished {
    until("a valid measurement", async || {
        let finished = bench.finish(words.iter().copied()).await;
        if finished.code() == Some(INVALID) { Err(finished.stderr) } else { Ok(finished) }
    })
    .await
}

#[tokio::test]
async fn its_report_has_the_fields_of_the_contract() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    pool.until_ready(2).await;
    let url = format!("{}/?cpu_ms=0", pool.url);
    let report = measured(&bench, &["load", &url, "-n", "50", "-c", "5", "-o", "json"]).await.json();
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
    let open = measured(&bench, &["load", &url, "--rate", "100", "-n", "20", "--json"]).await.json();
    assert_eq!((&open["sent"], &open["rate_asked"]), (&20.into(), &100.0.into()), "{open:#}");
}

#[tokio::test]
async fn a_breached_threshold_is_99() {
    let bench = Bench::new().await;
    let pool = bench.run(&[]).await;
    pool.until_ready(1).await;
    let nowhere = format!("{}/nowhere", pool.url);
    let breached = measured(&bench, &["load", &nowhere, "-n", "5", "--fail-if", "failed>1%"]).await;
    assert_eq!(breached.code(), Some(99), "{breached:#?}");
    assert!(breached.stderr.contains("failed"), "{breached:#?}");
    let url = format!("{}/?cpu_ms=0", pool.url);
    measured(&bench, &["load", &url, "-n", "5", "--fail-if", "failed>1%"]).await.well();
}

#[tokio::test]
async fn what_it_counts_the_pool_counts_too() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    pool.until_ready(2).await;
    let url = format!("{}/?cpu_ms=0", pool.url);
    // Whether the measurement is valid makes no difference to the count.
    let report = bench.finish(["load", &url, "-n", "50", "-c", "5", "-o", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((&report["sent"], &report["failed"]), (&50.into(), &0.into()), "{report:#}");
    let status = pool.until("all are counted", |status| status.requests.total == 50).await;
    assert_eq!(status.requests.failed, 0);
}
