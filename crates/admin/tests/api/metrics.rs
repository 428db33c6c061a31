//! Metrics, in both dialects.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Pool, pool, scale_out, turn};

const OPENMETRICS: (&str, &str) = ("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");

async fn busy_pool() -> Pool {
    let pool = pool(9).await;
    [turn(1), turn(2), scale_out(3)].into_iter().for_each(|cycle| drop(pool.board.push(cycle)));
    pool
}

#[tokio::test]
async fn families_have_their_names_and_values() {
    let pool = busy_pool().await;
    let (_, text) = pool.raw("/metrics", &[OPENMETRICS]).await;
    for line in [
        "autoscale_build_info{version=\"0.1.0\"} 1",
        "autoscale_desired_replicas 5",
        "autoscale_min_replicas 1",
        "autoscale_max_replicas 5",
        "autoscale_workers{state=\"ready\"} 1",
        "autoscale_workers{state=\"backoff\"} 0",
        "autoscale_signal_value{signal=\"worker_cpu\"} 40",
        "autoscale_signal_target{signal=\"worker_cpu\",line=\"up\"} 35",
        "# TYPE autoscale_decisions counter",
        "autoscale_decisions_total{action=\"none\",reason=\"within\",engine=\"threshold\"} 2",
        "autoscale_decisions_total{action=\"scale_up\",reason=\"bounds\",engine=\"threshold\"} 1",
        "autoscale_worker_seconds_total 4",
        "autoscale_worker_cpu_ratio{worker=\"w1\"} 0.03",
        "autoscale_worker_requests_total{worker=\"w1\"} 30",
        "autoscale_worker_info{worker=\"w2\",pid=\"102\"} 1",
        "autoscale_proxy_requests_total{code=\"2xx\"} 1199",
        "autoscale_proxy_request_duration_seconds_bucket{le=\"0.005\"} 200",
        "autoscale_proxy_request_duration_seconds_bucket{le=\"+Inf\"} 1200",
        "autoscale_proxy_request_duration_seconds_sum 14.5",
        "autoscale_run_file_cycles_total 7",
    ] {
        assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
}

#[tokio::test]
async fn each_dialect_says_what_it_is() {
    let pool = busy_pool().await;
    let kind = async |accept: &str| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("http://{}/metrics", pool.address)).header("accept", accept);
        request.send().await.unwrap().headers()["content-type"].to_str().unwrap().to_owned()
    };
    assert!(kind(OPENMETRICS.1).await.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(kind("*/*").await.starts_with("text/plain; version=0.0.4"));
}

/// Families are whole and in one piece, as OpenMetrics demands.
#[tokio::test]
async fn no_family_is_begun_twice_and_each_sample_stands_in_its_own() {
    let pool = busy_pool().await;
    let (_, text) = pool.raw("/metrics", &[OPENMETRICS]).await;
    let mut begun = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert_eq!(lines.peek(), None);
            break;
        }
        let name = line.strip_prefix("# HELP ").unwrap().split(' ').next().unwrap();
        assert!(!begun.contains(&name), "{name} is begun twice");
        begun.push(name);
        let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample.split(['{', ' ']).next().unwrap();
            let suffix = sample.strip_prefix(name).unwrap();
            let allowed: &[&str] = match kind {
                "gauge" => &[""],
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("{name} is of type {other}"),
            };
            assert!(allowed.contains(&suffix), "{sample} in {kind} {name}");
        }
    }
    assert!(begun.len() > 25, "{begun:?}");
}

#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let pool = busy_pool().await;
    let (_, text) = pool.raw("/metrics", &[]).await;
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        eprintln!("SKIPPED: promtool is not installed (Debian: apt install prometheus)");
        return;
    };
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}");
}
