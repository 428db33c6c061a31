//! Asking and steering a running pool with the commands that users type, and with signals.

use std::time::Duration;

use control::State;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Bench, get, until};
use crate::replay::verified;

/// Lets the policy act at once where a test waits for it.
const BRISK: &[&str] =
    &["--interval", "200ms", "--cooldown-up", "200ms", "--cooldown-down", "200ms", "--warm-up", "0s"];

#[tokio::test]
async fn a_number_set_by_hand_holds_until_resumed() {
    let bench = Bench::new().await;
    let pool = bench.run(BRISK).await;
    let said = pool.ask(&bench, &["scale", "3"]).await.well();
    assert!(said.contains('3'), "{said}");
    let held = pool.until_ready(3).await;
    assert_eq!(held.held, Some(3));
    let left = Duration::try_from(held.held_until.unwrap().duration_since(held.at)).unwrap();
    assert!(left <= Duration::from_secs(60), "held for a minute at most: {left:?}");
    let table = pool.ask(&bench, &["status"]).await.well();
    assert!(table.contains("held      at 3 until 2"), "{table}");

    pool.ask(&bench, &["scale", "-1"]).await.well();
    pool.until_ready(2).await;
    pool.ask(&bench, &["scale", "max"]).await.well();
    pool.until_ready(5).await;
    pool.ask(&bench, &["scale", "+1"]).await.well();
    pool.until_event("scale to +1").await;
    assert_eq!(pool.until_ready(5).await.desired, 5, "never above the bound");
    pool.ask(&bench, &["resume"]).await.well();
    let free = pool.until_ready(1).await;
    assert_eq!((free.held, free.held_until), (None, None));
}

#[tokio::test]
async fn a_paused_pool_changes_nothing() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&[BRISK, &["--record", "run.db"]].concat()).await;
    pool.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    pool.until_ready(2).await;
    pool.ask(&bench, &["pause"]).await.well();
    let paused = pool.until("paused", |status| status.paused).await;
    assert!(pool.ask(&bench, &["status"]).await.well().contains("paused    until resumed"));
    // Idle, the policy would go down to one at its next turn; let several pass.
    let turns = async |since: jiff::Timestamp| {
        let cycles = pool.client.cycles(100).await.unwrap();
        cycles.iter().filter(|cycle| cycle.at() > since).count()
    };
    until("ten turns have passed", async || match turns(paused.at).await {
        10.. => Ok(()),
        fewer => Err(fewer.to_string()),
    })
    .await;
    assert_eq!(pool.status().await.desired, 2);
    pool.ask(&bench, &["resume"]).await.well();
    pool.until_ready(1).await;
    pool.ask(&bench, &["stop"]).await.well();
    assert_eq!(pool.ended().await.code(), Some(0));
    verified(&bench).await;
}

#[tokio::test]
async fn a_drained_worker_and_a_killed_one_are_replaced() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    for order in ["drain", "kill"] {
        let before = pool.until_ready(2).await;
        let pids =
            |status: &admin::Status| status.workers.iter().map(|worker| worker.pid).collect::<Vec<_>>();
        let first = &before.workers[0];
        pool.ask(&bench, &[order, &first.id]).await.well();
        let after = pool
            .until("another takes its place", |status| {
                let ready = status.workers.iter().filter(|worker| worker.state == State::Ready);
                ready.count() == 2 && !pids(status).contains(&first.pid)
            })
            .await;
        assert!(pids(&after).contains(&before.workers[1].pid), "{order}: the other one was left alone");
    }
    for order in ["drain", "kill", "logs"] {
        for unknown in ["w9", "first"] {
            let refused = pool.ask(&bench, &[order, unknown]).await;
            assert_eq!(refused.code(), Some(4), "{order}: {refused:#?}");
            assert!(refused.stderr.contains(unknown) && refused.stderr.contains("hint: "), "{refused:#?}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_is_told_in_words_and_as_json() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2"]).await;
    let status = pool.until_ready(2).await;
    let first = &status.workers[0];
    let pid = first.pid.unwrap().to_string();

    let json = pool.ask(&bench, &["status", "-o", "json"]).await.json();
    let expected =
        [("/desired", 2), ("/min", 2), ("/max", 5), ("/requests/total", 0), ("/requests/failed", 0)];
    for (field, value) in expected {
        assert_eq!(json.pointer(field), Some(&Value::from(value)), "{field}: {json:#}");
    }
    for (field, value) in [("/policy", "threshold"), ("/signal", "worker_cpu"), ("/workers/0/state", "ready")]
    {
        assert_eq!(json.pointer(field), Some(&Value::from(value)), "{field}: {json:#}");
    }
    let workers = pool.ask(&bench, &["ps", "-o", "json"]).await.json();
    assert_eq!(workers.as_array().map(Vec::len), Some(2), "{workers:#}");
    assert_eq!(workers[0]["id"], *first.id);
    let table = pool.ask(&bench, &["ps"]).await.well();
    assert!(table.contains(&pid) && table.contains(first.address.as_deref().unwrap()), "{table}");
    let yaml = pool.ask(&bench, &["status", "-o", "yaml"]).await.well();
    assert!(yaml.contains("desired: 2\n"), "{yaml}");

    let logs = pool.ask(&bench, &["logs", &first.id]).await.well();
    assert!(logs.contains("stdout listening on http://127.0.0.1:"), "{logs}");
    let events = pool.ask(&bench, &["events"]).await.well();
    assert!(events.contains("starting → ready"), "{events}");
    let events = pool.ask(&bench, &["events", "-n", "1", "-o", "json"]).await.json();
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events:#}");
    let frame = pool.ask(&bench, &["top", "--once", "--plain"]).await.well();
    assert!(frame.contains("workers 2/2 ready") && frame.contains(&format!("(PID: {pid}) ready")), "{frame}");
}

#[tokio::test]
async fn why_tells_what_the_status_shows() {
    let bench = Bench::new().await;
    let pool = bench.run(BRISK).await;
    pool.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    pool.until_ready(2).await;
    let why = pool.ask(&bench, &["why"]).await.well();
    assert!(why.contains('2') && why.contains("held"), "{why}");
    let records = pool.ask(&bench, &["why", "-n", "3", "-o", "json"]).await.json();
    assert_eq!(records.as_array().map(Vec::len), Some(3), "{records:#}");
    assert_eq!(records[0]["desired"], 2, "{records:#}");
    let at = records[2]["at"].as_str().unwrap();
    let then = pool.ask(&bench, &["why", "--at", at, "-o", "json"]).await.json();
    assert_eq!(then[0]["at"], at);
    pool.ask(&bench, &["why-not"]).await.well();
    let wrong = pool.ask(&bench, &["why", "--at", "noon"]).await;
    assert_eq!(wrong.code(), Some(2), "{wrong:#?}");
}

#[tokio::test]
async fn stop_ends_the_pool_and_those_who_follow_it() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&[]).await;
    pool.until_ready(1).await;
    let mut following = bench.command(["events", "-f", "--admin", &pool.admin]).spawn().unwrap();
    let mut screen = bench.command(["top", "--plain", "--admin", &pool.admin]).spawn().unwrap();
    let said = pool.ask(&bench, &["stop"]).await.well();
    assert!(said.contains("stop"), "{said}");
    assert_eq!(pool.ended().await.code(), Some(0));
    for follower in [&mut following, &mut screen] {
        let ended =
            until("a follower ends", async || follower.try_wait().unwrap().ok_or_else(String::new)).await;
        assert_eq!(ended.code(), Some(0));
    }
    assert_eq!(bench.processes(), []);
    let gone = bench.finish(["status", "--admin", &pool.admin]).await;
    let (code, complaint) = gone.failure();
    assert_eq!(code, Some(1));
    let expected =
        format!("error: no autoscale answers at {}\nhint: start one with `autoscale run`", pool.admin);
    assert!(complaint.starts_with(&expected), "{complaint}");
}

#[tokio::test]
async fn hup_reads_the_file_again_and_a_wrong_one_changes_nothing() {
    let bench = Bench::new().await;
    let file = bench.write("autoscale.toml", "[pool]\nmin_replicas = 1\n");
    let mut pool = bench.run(&["--config", file.to_str().unwrap(), "--record", "run.db"]).await;
    pool.until_ready(1).await;
    bench.write("autoscale.toml", "[pool]\nmin_replicas = 2\nmax_replicas = 4\n[policy]\nup = 60\n");
    pool.signal(Signal::HUP);
    let status = pool.until_ready(2).await;
    assert_eq!((status.min, status.max), (2, 4));
    pool.until_complains("the configuration was read again").await;

    bench.write("autoscale.toml", "[pool]\nmin_replica = 3\n");
    pool.signal(Signal::HUP);
    pool.until_complains("the old one stays").await;
    pool.until_complains("min_replica").await;
    assert_eq!(pool.status().await.min, 2);
    let refused = pool.client.reload().await.unwrap_err().to_string();
    assert!(refused.contains("the old one stays"), "the API says so, too: {refused}");

    bench.write("autoscale.toml", "[pool]\nmin_replicas = 2\nkill_deadline = \"2s\"\n");
    pool.client.reload().await.unwrap();
    pool.signal(Signal::HUP);
    pool.until_complains("[pool] has changed and takes effect at the next start").await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    verified(&bench).await;
}

#[tokio::test]
async fn ttin_and_ttou_are_one_more_and_one_fewer() {
    let bench = Bench::new().await;
    let pool = bench.run(&[]).await;
    pool.until_ready(1).await;
    pool.signal(Signal::TTIN);
    assert_eq!(pool.until_ready(2).await.held, Some(2));
    pool.signal(Signal::TTOU);
    assert_eq!(pool.until_ready(1).await.held, Some(1));
}

#[tokio::test]
async fn strangers_are_refused() {
    let bench = Bench::new().await;
    let pool = bench.run(&[]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = format!("{}/api/v1/status", pool.admin);
    let answer = client.get(&status).header("host", "evil.example").send().await.unwrap();
    assert!(answer.status().is_client_error(), "DNS rebinding: {answer:?}");
    let order = client.post(format!("{}/api/v1/stop", pool.admin)).header("origin", "http://evil.example");
    let answer = order.header("content-type", "application/json").body("{}").send().await.unwrap();
    assert!(answer.status().is_client_error(), "CSRF: {answer:?}");
    pool.until_ready(1).await;

    let locked = bench.run(&["--admin-token", "open-sesame"]).await;
    let shut = locked.ask(&bench, &["status"]).await;
    assert_eq!(shut.code(), Some(2), "{shut:#?}");
    locked.ask(&bench, &["status", "--admin-token", "open-sesame"]).await.well();
}

#[tokio::test]
async fn the_idlest_goes_and_a_protected_worker_stays() {
    let bench = Bench::new().await;
    let file = bench.write("autoscale.toml", "[pool]\nmax_replicas = 4\n");
    let pool = bench.run(&["--config", file.to_str().unwrap()]).await;
    pool.ask(&bench, &["scale", "3", "--hold", "1h"]).await.well();
    pool.until_ready(3).await;
    // Live: no restart is needed to choose in another way.
    bench.write("autoscale.toml", "[pool]\nmax_replicas = 4\nvictims = \"idlest\"\n");
    pool.client.reload().await.unwrap();
    pool.until("the reload is in force", |status| status.max == 4).await;
    // Two of the three workers are kept busy for as long as the test needs.
    let held: Vec<_> = (0..2)
        .map(|_| {
            let url = format!("{}/?cpu_ms=0&sleep_ms=20000", pool.url);
            tokio::spawn(async move { get(&url).await.unwrap().status })
        })
        .collect();
    let busy = pool
        .until("two are busy", |status| status.workers.iter().filter(|one| one.in_flight == 1).count() == 2)
        .await;
    let of = |wanted: u32| busy.workers.iter().filter(move |one| one.in_flight == wanted).map(|one| &one.id);
    let idle = of(0).next().unwrap().clone();
    pool.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    let told = pool.until_event("fewest requests in flight (0)").await;
    assert!(told.starts_with(&format!("{idle} ready → draining: no longer needed: 2 desired")), "{told}");

    // The idle one is gone; of the busy ones the older is protected, and the younger goes.
    let older = of(1).next().unwrap().clone();
    let said = pool.ask(&bench, &["protect", &older]).await.well();
    assert_eq!(said.trim_end(), format!("{older} is protected from scale-in"));
    pool.until("it is protected", |status| status.workers.iter().any(|one| one.id == older && one.protected))
        .await;
    assert!(pool.ask(&bench, &["ps"]).await.well().contains("(protected)"));
    pool.ask(&bench, &["scale", "1", "--hold", "1h"]).await.well();
    pool.until_event("fewest requests in flight (1), 1 protected").await;
    for one in held {
        assert_eq!(one.await.unwrap(), 200, "no request is lost over it");
    }
    let left = pool.until_ready(1).await;
    assert_eq!(left.workers[0].id, older);
    pool.ask(&bench, &["protect", &older, "--off"]).await.well();
    pool.until("it is protected no longer", |status| !status.workers[0].protected).await;
    assert_eq!(pool.ask(&bench, &["protect", "w9"]).await.code(), Some(4));
}
