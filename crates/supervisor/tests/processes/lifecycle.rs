//! Real processes through their lives: well-behaved ones and all others.

use std::time::Duration;

use control::{FleetConfig, State};
use rustix::process::Signal;
use supervisor::{OrderError, ProbeConfig, SupervisorConfig};

use crate::bench::{
    Bench, FAMILY, command, config, eventually, fixture, marker, processes_with, signal, zombies_of,
};

#[tokio::test]
async fn workers_come_serve_tell_and_go() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve"]), state.path())).await;
    bench.all_ready(3).await;
    let clock = bench.clock;
    // CPU needs a moment to be measurable.
    let mut seen = bench.status().await;
    while seen.workers.iter().any(|worker| worker.cpu_percent.is_none()) {
        assert!(clock.uptime() < crate::bench::DEADLINE, "{seen:?}");
        clock.sleep(Duration::from_millis(50)).await;
        seen = bench.status().await;
    }
    assert!(seen.workers.iter().all(|worker| worker.memory_bytes > Some(0)), "{seen:?}");
    let lines = bench.steering.outputs().last(2, 10).unwrap();
    assert!(lines[0].text.starts_with("serving as w2 on "), "{lines:?}");
    let guardian = parent_of(bench.pid(1));
    bench.all_ready(1).await;
    assert_eq!(bench.told("its requests have ended; told to stop").await.matches("told").count(), 1);
    let lines = bench.steering.outputs().last(3, 10).unwrap();
    assert_eq!(lines.last().unwrap().text, "stopping as told", "TERM, and time to obey");
    assert!(zombies_of(guardian).is_empty());
    assert_eq!(seen.fleet.crashes, 0);
    bench.end().await;
    assert!(is_gone(guardian), "the guardian goes with its pool");
    assert_eq!(fs_err::read_dir(state.path()).unwrap().count(), 0, "and its record with it");
}

fn parent_of(pid: u32) -> u32 {
    let listed = std::process::Command::new("ps").args(["-o", "ppid=", "-p", &pid.to_string()]).output();
    String::from_utf8_lossy(&listed.unwrap().stdout).trim().parse().unwrap()
}

fn is_gone(pid: u32) -> bool {
    !std::process::Command::new("ps").args(["-p", &pid.to_string()]).output().unwrap().status.success()
}

#[tokio::test]
async fn an_order_is_seen_before_it_is_taken_up() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve"]), state.path())).await;
    bench.scale(2).await;
    assert_eq!(bench.status().await.fleet.desired, 2);
    bench.all_ready(2).await;
    bench.end().await;
}

#[tokio::test]
async fn an_app_that_exits_at_once_backs_off_with_its_last_words() {
    let state = tempfile::tempdir().unwrap();
    let words = ["-c", "echo one; echo two; echo three; echo boom >&2; exit 7"];
    let mut bench = Bench::start(config(command("sh", &words), state.path())).await;
    bench.scale(1).await;
    let said = bench.told("next try in").await;
    assert!(said.contains("exited with code 7 after") && said.contains("2nd time"), "{said}");
    assert!(said.contains("; last output: ") && said.contains("boom"), "{said}");
    bench.until("backoff is seen", |fleet, _| fleet.backoff == 1).await;
    bench.end().await;
}

#[tokio::test]
async fn an_app_that_never_listens_is_killed_with_a_hint() {
    let state = tempfile::tempdir().unwrap();
    let fleet = FleetConfig { startup_deadline: Duration::from_millis(500), ..FleetConfig::default() };
    let config = config(command("sleep", &["600"]), state.path());
    let mut bench = Bench::start(SupervisorConfig { fleet, ..config }).await;
    bench.scale(1).await;
    let said = bench.told("was not ready within 0.5 s: nothing listens on 127.0.0.1:").await;
    assert!(said.contains("hint: the app must listen on $PORT") && said.ends_with("killed"), "{said}");
    bench.told("ended by signal 9 (SIGKILL)").await;
    bench.end().await;
}

#[tokio::test]
async fn an_app_that_ignores_term_is_killed() {
    let state = tempfile::tempdir().unwrap();
    let fleet = FleetConfig { kill_deadline: Duration::from_millis(300), ..FleetConfig::default() };
    let config = config(fixture(&["serve", "--ignore-term"]), state.path());
    let mut bench = Bench::start(SupervisorConfig { fleet, ..config }).await;
    bench.all_ready(1).await;
    bench.scale(0).await;
    bench.told("did not stop within 0.3 s of SIGTERM; killed").await;
    bench.until("it is gone", |_, workers| workers.is_empty()).await;
    bench.end().await;
}

#[tokio::test]
async fn a_stopped_worker_is_unhealthy_then_replaced() {
    let state = tempfile::tempdir().unwrap();
    let fleet = FleetConfig { unhealthy_deadline: Duration::from_millis(500), ..FleetConfig::default() };
    let probe = ProbeConfig {
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(400),
        ..ProbeConfig::default()
    };
    let config = config(fixture(&["serve"]), state.path());
    let mut bench = Bench::start(SupervisorConfig { fleet, probe, ..config }).await;
    bench.all_ready(2).await;
    let stopped = bench.pid(1);
    signal(stopped, Signal::STOP);
    bench.until("out of rotation", |_, workers| workers[0].state == State::Unhealthy).await;
    assert_eq!(bench.routes.lock().last().unwrap().len(), 1);
    bench.until("replaced", |fleet, workers| fleet.ready == 2 && workers[0].id.run == 2).await;
    assert!(bench.told("failed 3 probes in a row").await.contains("was not answered within 0.4 s"));
    bench.told("unhealthy for 0.5 s").await;
    assert!(is_gone(stopped));
    bench.end().await;
}

#[tokio::test]
async fn what_a_worker_forked_goes_with_it() {
    let marker = marker("forks");
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve", "--family", &marker]), state.path())).await;
    bench.all_ready(2).await;
    let clock = bench.clock;
    eventually(clock, "all children run", || processes_with(&format!("linger {marker}")).len() == 2 * FAMILY)
        .await;
    bench.steering.kill(1).await.unwrap();
    bench.until("replaced", |fleet, workers| fleet.ready == 2 && workers[0].id.run == 2).await;
    eventually(clock, "the old children are gone", || {
        processes_with(&format!("linger {marker}")).len() == 2 * FAMILY
    })
    .await;
    assert_eq!(bench.status().await.fleet.crashes, 0, "a kill by hand is no crash");
    bench.all_ready(1).await;
    eventually(clock, "scaled in", || processes_with(&format!("linger {marker}")).len() == FAMILY).await;
    bench.end().await;
    assert_eq!(processes_with(&marker), [""; 0], "nothing is left");
}

#[tokio::test]
async fn a_crash_leaves_rotation_before_its_successor_comes() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve"]), state.path())).await;
    bench.all_ready(2).await;
    signal(bench.pid(2), Signal::KILL);
    bench.until("replaced", |fleet, workers| fleet.ready == 2 && workers[1].id.run == 2).await;
    let runs: Vec<Vec<(u32, u32)>> =
        bench.routes.lock().iter().map(|ids| ids.iter().map(|id| (id.slot, id.run)).collect()).collect();
    assert!(runs.ends_with(&[vec![(1, 1)], vec![(1, 1), (2, 2)]]), "{runs:?}");
    assert!(bench.told("replaced at once").await.starts_with("ended by signal 9 (SIGKILL) after"));
    assert_eq!(bench.status().await.fleet.crashes, 1);
    assert_eq!(bench.steering.drain(9).await, Err(OrderError::NoSuchWorker(9)));
    bench.steering.drain(1).await.unwrap();
    bench
        .until("drained by hand, replaced", |fleet, workers| {
            fleet.ready == 2
                && workers.len() == 2
                && workers.iter().all(|worker| (worker.id.slot, worker.id.run) != (1, 1))
        })
        .await;
    bench.end().await;
}

#[tokio::test]
async fn a_forced_shutdown_waits_for_nobody() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve", "--ignore-term"]), state.path())).await;
    bench.all_ready(2).await;
    let pids = [bench.pid(1), bench.pid(2)];
    bench.steering.shutdown(Duration::ZERO).await;
    assert!(pids.into_iter().all(is_gone));
    assert_eq!(bench.steering.kill(1).await, Err(OrderError::NoSuchWorker(1)));
}

#[tokio::test]
async fn a_pool_that_everybody_let_go_of_ends() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve", "--ignore-term"]), state.path())).await;
    bench.all_ready(1).await;
    let (clock, pid) = (bench.clock, bench.pid(1));
    drop(bench);
    eventually(clock, "its worker is gone", || is_gone(pid)).await;
}

#[tokio::test]
async fn after_its_end_a_pool_says_so() {
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve"]), state.path())).await;
    bench.steering.shutdown(Duration::ZERO).await;
    let clock = bench.clock;
    while live::Target::status(&mut bench.local).await.is_ok() {
        assert!(clock.uptime() < crate::bench::DEADLINE);
        clock.sleep(Duration::from_millis(1)).await;
    }
    assert!(live::Target::scale_to(&mut bench.local, 1, &[]).await.is_err());
}

#[tokio::test]
async fn any_http_server_will_do() {
    if command("python3", &[]).check().is_err() {
        return eprintln!("skipped: there is no python3 here");
    }
    let state = tempfile::tempdir().unwrap();
    let words = ["-u", "-m", "http.server", "$PORT", "--bind", "127.0.0.1"];
    let mut bench = Bench::start(config(command("python3", &words), state.path())).await;
    bench.all_ready(2).await;
    let lines = bench.steering.outputs().last(1, 5).unwrap();
    assert!(
        lines.iter().any(|line| line.text.contains("/healthz") || line.text.contains("Serving")),
        "{lines:?}"
    );
    bench.end().await;
}
