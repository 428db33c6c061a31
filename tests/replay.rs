//! A recorded run, put before the decision code again, and taken up by the next start.

use rustix::process::Signal;

use crate::harness::{Bench, Traffic, until};

/// Watches what does not depend on how quick the machine is, and never scales in by itself.
const UP_ONLY: &[&str] = &[
    "--signal",
    "in_flight",
    "--up",
    "3",
    "--down",
    "0",
    "--interval",
    "100ms",
    "--cooldown-up",
    "300ms",
    "--cooldown-down",
    "1h",
    "--warm-up",
    "0s",
    "--record",
    "run.db",
];

/// Lines of `replay --verify`, which must find no divergence.
pub(crate) async fn verified(bench: &Bench) -> Vec<String> {
    let said = bench.finish(["replay", "run.db", "--verify"]).await.well();
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.last().map(String::as_str), Some("0 divergences"), "{said}");
    assert!(!said.contains("missing"), "{said}");
    lines
}

#[tokio::test]
async fn decisions_replay_and_survive_kill_nine() {
    let bench = Bench::new().await;
    let mut first = bench.run(UP_ONLY).await;
    first.until_ready(1).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=0&sleep_ms=50", first.url), 20);
    first.until_ready(5).await;
    load.end_without_failure().await;
    first.ask(&bench, &["scale", "4", "--hold", "1h"]).await.well();
    first.until_ready(4).await;
    first.ask(&bench, &["resume"]).await.well();
    first.until("the policy decides again", |status| status.held.is_none()).await;
    until("it is recorded", async || {
        let why = bench.finish(["why", "--run", "run.db", "-o", "json"]).await;
        let last = if why.code() == Some(0) { why.json() } else { Default::default() };
        if last[0]["desired"] == 4 && last[0]["held"].is_null() { Ok(()) } else { Err(last.to_string()) }
    })
    .await;
    first.kill_nine().await;
    assert_eq!(verified(&bench).await.len(), 2, "one session and the sum");

    let mut second = bench.run(UP_ONLY).await;
    second.until_complains("taking up the earlier run: 4 workers desired").await;
    second.until_ready(4).await;
    let turned = second.status().await.at;
    second
        .until("it has turned ten times more", |status| {
            status.turned_at.is_some_and(|at| at.duration_since(turned).as_millis() > 1_000)
        })
        .await;
    assert_eq!(second.status().await.desired, 4, "the restart is no reason to scale in");
    second.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    second.until_ready(2).await;
    second.signal(Signal::TERM);
    assert_eq!(second.ended().await.code(), Some(0));
    let lines = verified(&bench).await;
    assert_eq!(lines.len(), 3, "two sessions and the sum: {lines:?}");

    let rows = bench.finish(["replay", "run.db", "-o", "json"]).await.json();
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{rows:#}");
    for row in rows.as_array().unwrap() {
        assert!(row["turns"].as_u64() > Some(10) && row["divergences"] == 0, "{row:#}");
    }
    let why = bench.finish(["why", "--run", "run.db"]).await.well();
    assert!(why.contains('2'), "{why}");
}

#[tokio::test]
async fn without_a_record_a_crash_is_taken_up_and_a_proper_end_is_not() {
    let bench = Bench::new().await;
    // Found again by its address, which must therefore be the same.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let words = ["--listen", &port, "--max", "3"];
    let mut first = bench.run(&words).await;
    first.ask(&bench, &["scale", "3", "--hold", "1h"]).await.well();
    first.until_ready(3).await;
    first.kill_nine().await;
    let mut second = bench.run(&words).await;
    second.until_complains("taking up the earlier run: 3 workers desired").await;
    let held = second.until_ready(3).await;
    assert_eq!(held.held, Some(3), "the order by hand still holds");
    second.signal(Signal::INT);
    assert_eq!(second.ended().await.code(), Some(0));
    let third = bench.run(&words).await;
    third.until_ready(1).await;
    assert!(!third.complained().contains("taking up"), "{}", third.complained());
}

#[tokio::test]
async fn a_file_that_is_no_run_file_is_told_apart_from_none() {
    let bench = Bench::new().await;
    bench.write("diary.txt", "Dear diary,\n");
    let none = bench.finish(["replay", "no-such.db"]).await;
    let expected = "error: no-such.db: no such run file\nhint: `autoscale run --record FILE` writes one";
    assert_eq!(none.failure(), (Some(4), expected));
    let foreign = bench.finish(["replay", "diary.txt", "--verify"]).await;
    assert_eq!(foreign.code(), Some(1), "{foreign:#?}");
    assert!(foreign.stderr.contains("diary.txt"), "{foreign:#?}");
}
