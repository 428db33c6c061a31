//! The page that Prometheus reads.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{Bench, Traffic, get, there_is};

#[tokio::test]
async fn the_metrics_page_counts_and_passes_promtool() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    pool.until_ready(2).await;
    let sent = Traffic::closed(&format!("{}/?cpu_ms=0", pool.url), 2);
    pool.until("some are answered", |status| status.requests.total > 20).await;
    let sent = sent.end_without_failure().await.sent;
    let total = pool.until("all are counted", |status| status.requests.total == sent).await;
    let seen: u64 = total.workers.iter().map(|worker| worker.requests).sum();
    assert!(seen <= sent, "{total:#?}");
    let page = get(&format!("{}/metrics", pool.admin)).await.unwrap();
    assert_eq!(page.status, 200);
    let value = |name: &str| -> u64 {
        let lines = page.body.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(value("autoscale_proxy_requests_total"), sent, "{}", page.body);
    if !there_is("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.body.as_bytes()).await.unwrap();
    let checked = promtool.wait_with_output().await.unwrap();
    let complaints = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaints}\n{}", page.body);
}
