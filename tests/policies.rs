//! Policies at work on real processes: down to zero and back, shadows, programs that decide, and
//! what the doctor says of a signal.

use serde_json::Value;

use crate::harness::{Bench, Traffic, get, until};

/// Knative's shortest windows; a request waits for the first worker however slow the machine is.
const TO_ZERO: &[&str] = &[
    "--policy",
    "kpa:stable_window=6s,scale_to_zero_grace_period=1s,target=10",
    "--min",
    "0",
    "--queue-timeout",
    "60s",
    "--interval",
    "200ms",
];

#[tokio::test]
async fn down_to_zero_and_back_without_a_lost_request() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&[TO_ZERO, &["--record", "run.db"]].concat()).await;
    for round in 0..2 {
        pool.until("no worker is left", |status| status.desired == 0 && status.workers.is_empty()).await;
        // All come while nobody is there: they are held until the first worker is.
        let held: Vec<_> = (0..20)
            .map(|_| {
                let url = pool.url.clone();
                tokio::spawn(async move { get(&url).await })
            })
            .collect();
        for one in held {
            let answer = one.await.unwrap().unwrap();
            assert_eq!(answer.status, 200, "round {round}: {answer:?}");
        }
        // Under load it stays up, and nothing is lost over whatever it does.
        let load = Traffic::open(&pool.url, 20.0);
        pool.until("hundred more are answered", |status| status.requests.total >= 100 * (round + 1)).await;
        assert!(pool.status().await.ready > 0);
        load.end_without_failure().await;
    }
    pool.until("it goes down again", |status| status.desired == 0 && status.workers.is_empty()).await;
    assert_eq!(pool.status().await.requests.failed, 0);
    pool.until_event("1 → 0: ").await;
    pool.ask(&bench, &["stop"]).await.well();
    assert_eq!(pool.ended().await.code(), Some(0));
    crate::replay::verified(&bench).await;
}

#[tokio::test]
async fn shadows_judge_the_same_traffic_and_every_turn_is_explained() {
    let bench = Bench::new().await;
    let mut pool = bench
        .run(&[
            "--policy",
            "hpa",
            "--shadow",
            "threshold,kpa,aws",
            "--interval",
            "200ms",
            "--record",
            "run.db",
        ])
        .await;
    let load = Traffic::open(&pool.url, 40.0);
    let status = pool
        .until("all shadows have seen load", |status| {
            status.shadows.len() == 3 && status.shadows.iter().all(|shadow| shadow.busy_percent > Some(0.0))
        })
        .await;
    let labels: Vec<&str> = status.shadows.iter().map(|shadow| shadow.label.as_str()).collect();
    assert_eq!(labels, ["threshold", "kpa", "aws"]);
    // A turn without action has its reason, and what it would have taken.
    let why_not = until("a turn without action is explained", async || {
        let told = pool.ask(&bench, &["why-not", "-o", "json"]).await.json();
        let record = told.as_array().and_then(|all| all.first()).cloned().unwrap_or(told);
        let quiet = record["action"] == "none";
        let explained = !record["nearest_flip"].is_null() || record["blocked_by"] != Value::Array(Vec::new());
        if quiet && explained { Ok(record) } else { Err(record.to_string()) }
    })
    .await;
    assert_eq!(why_not["shadows"].as_array().map(Vec::len), Some(3));
    load.end_without_failure().await;
    pool.ask(&bench, &["stop"]).await.well();
    assert_eq!(pool.ended().await.code(), Some(0));
    crate::replay::verified(&bench).await;
}

#[tokio::test]
async fn a_program_that_decides_does_not_outlive_a_killed_pool() {
    let bench = Bench::new().await;
    // Answers once and then neither reads nor ends by itself.
    let script = bench.write(
        "policy.sh",
        "read -r question\necho '{\"replicas\":2,\"reason\":\"two it is\"}'\nexec sleep 3600\n",
    );
    let policy = format!("exec:command=sh {},timeout=1h,stale_after=1h", script.display());
    let mut pool = bench.run(&["--policy", &policy]).await;
    pool.until_ready(2).await;
    assert!(bench.processes().iter().any(|one| one.command.contains("sleep 3600")), "the program runs");
    pool.kill_nine().await;
    bench.until_empty().await;
}

#[tokio::test]
async fn the_doctor_says_whether_a_signal_falls() {
    let bench = Bench::whole_machine().await;
    let pool = bench.run(&["--max", "3"]).await;
    pool.until_ready(1).await;
    let idle =
        pool.ask(&bench, &["doctor", "signal", "--settle", "1s", "--measure", "4s", "-o", "json"]).await;
    assert_eq!(idle.code(), Some(3), "without load it is no measurement: {idle:#?}");
    assert!(idle.stderr.contains("no request came in"), "{idle:#?}");

    let load = Traffic::open(&pool.url, 20.0);
    // Requests a second per worker fall in proportion, whatever the machine is busy with.
    let words = [
        "doctor",
        "signal",
        "--signal",
        "rps",
        "--to",
        "2",
        "--settle",
        "2s",
        "--measure",
        "10s",
        "-o",
        "json",
    ];
    let found = pool.ask(&bench, &words).await;
    load.end().await;
    let told: Value = serde_json::from_str(&found.stdout).unwrap_or_else(|_| panic!("{found:#?}"));
    assert_eq!((&told["signal"], told["steps"].as_array().map(Vec::len)), (&"rps".into(), Some(2)));
    // On a machine that stands still now and then the load was not constant, and it says so.
    if told["verdict"] != "invalid" {
        let slope = told["slope_per_worker"].as_f64().unwrap();
        assert!((-13.0..-7.0).contains(&slope), "20/s on one, 10/s on each of two: {told}");
    }
    assert_eq!(pool.status().await.held, None, "the policy decides again");
}
