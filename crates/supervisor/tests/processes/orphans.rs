//! Nothing outlives its owner, however owner and guardian end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use clock::Clock;
use rustix::process::Signal;
use supervisor::{Local, StartError, SupervisorConfig};

use crate::bench::{
    Bench, FAMILY, FIXTURE, Mortal, command, config, eventually, fixture, marker, processes_with, signal,
};

/// A process that owns two workers, each with a child and a child that left the session.
fn owner(state: &Path, marker: &str) -> Mortal {
    let state = state.to_str().unwrap();
    let owner = Command::new(FIXTURE)
        .args(["owner", state, "2", FIXTURE, "serve", "--family", marker])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut owner = Mortal(owner);
    let mut said = String::new();
    BufReader::new(owner.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    owner
}

fn guardian_of(owner: &Mortal) -> u32 {
    let listed = processes_with("fixture guardian");
    let of_owner = listed.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = of_owner.into_iter().find(|words| words[1] == owner.0.id().to_string()).unwrap();
    line[0].parse().unwrap()
}

async fn family_complete(clock: Clock, marker: &str) {
    eventually(clock, "all children run", || processes_with(&format!("linger {marker}")).len() == 2 * FAMILY)
        .await;
}

#[tokio::test]
async fn kill_nine_of_the_owner_ends_all() {
    let (clock, marker) = (Clock::start(), marker("kill9"));
    let state = tempfile::tempdir().unwrap();
    let mut owner = owner(state.path(), &marker);
    family_complete(clock, &marker).await;
    let guardian = guardian_of(&owner);
    owner.kill();
    let killed_at = clock.uptime();
    eventually(clock, "all are gone", || processes_with(&marker).is_empty()).await;
    eprintln!("all gone {:?} after kill -9", clock.uptime() - killed_at);
    eventually(clock, "the guardian, too", || {
        processes_with("fixture guardian")
            .iter()
            .all(|line| !line.trim_start().starts_with(&guardian.to_string()))
    })
    .await;
    assert_eq!(fs_err::read_dir(state.path()).unwrap().count(), 0, "its record is removed");
}

/// The program does not read its input and has a child of its own: nothing but the leash would
/// tell it that its owner is dead.
#[tokio::test]
async fn kill_nine_ends_programs_that_decide() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: descendants are ended on Linux only");
    }
    let (clock, marker) = (Clock::start(), marker("exec"));
    let script = format!("{FIXTURE} linger {marker} & exec {FIXTURE} linger {marker}");
    let asker = Command::new(FIXTURE).args(["asker", "sh", "-c", &script]).spawn().unwrap();
    let mut asker = Mortal(asker);
    let linger = format!("linger {marker}");
    let lingering = || {
        let mut found = processes_with(&linger);
        // Neither the asker nor the leash, whose words these are, too.
        found.retain(|line| !line.contains("asker") && !line.contains("leash"));
        found.len()
    };
    eventually(clock, "the program and its child run", || lingering() == 2).await;
    asker.kill();
    eventually(clock, "all are gone", || processes_with(&marker).is_empty()).await;
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing() {
    let (clock, marker) = (Clock::start(), marker("orderly"));
    let state = tempfile::tempdir().unwrap();
    let mut owner = owner(state.path(), &marker);
    family_complete(clock, &marker).await;
    drop(owner.0.stdin.take());
    assert!(owner.0.wait().unwrap().success());
    assert_eq!(processes_with(&marker), [""; 0]);
}

#[tokio::test]
async fn leftovers_of_a_dead_pair_are_found_at_the_next_start() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: what left its group is found on Linux only");
    }
    let (clock, marker) = (Clock::start(), marker("pair"));
    let state = tempfile::tempdir().unwrap();
    let mut owner = owner(state.path(), &marker);
    family_complete(clock, &marker).await;
    let guardian = guardian_of(&owner);
    // A stranger with the same words in its command line must not be touched.
    let stranger = Command::new(FIXTURE).args(["linger", "stranger", &marker]).stdout(Stdio::null()).spawn();
    let mut stranger = Mortal(stranger.unwrap());
    // Stopped, the owner cannot act on its guardian's death. The other way round would not do:
    // the kernel wakes a stopped group that loses its parent.
    signal(owner.0.id(), Signal::STOP);
    signal(guardian, Signal::KILL);
    owner.kill();
    eventually(clock, "the workers died with their parent", || {
        processes_with(&format!("serve --family {marker}")).is_empty()
    })
    .await;
    assert_eq!(processes_with(&format!("linger {marker}")).len(), 2 * FAMILY, "but their children live");
    let mut bench = Bench::start(config(fixture(&["serve"]), state.path())).await;
    assert_eq!(processes_with(&format!("linger {marker}")), [""; 0]);
    bench.status().await;
    let expected = format!("ended what autoscale (pid {}) had left behind: pid ", owner.0.id());
    assert!(bench.notices.iter().any(|notice| notice.starts_with(&expected)), "{:?}", bench.notices);
    assert!(stranger.0.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill();
    bench.all_ready(1).await;
    bench.end().await;
}

#[tokio::test]
async fn a_dead_guardian_is_replaced_and_its_workers_with_it() {
    let marker = marker("guardian");
    let state = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(config(fixture(&["serve", "--family", &marker]), state.path())).await;
    bench.all_ready(2).await;
    family_complete(bench.clock, &marker).await;
    let line = processes_with(&format!("serve --family {marker}")).remove(0);
    let guardian: u32 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    signal(guardian, Signal::KILL);
    bench
        .until("all anew", |fleet, workers| fleet.ready == 2 && workers.iter().all(|one| one.id.run == 2))
        .await;
    family_complete(bench.clock, &marker).await;
    bench.status().await;
    assert!(
        bench.notices[0].starts_with("the guardian died, and its workers with it"),
        "{:?}",
        bench.notices
    );
    assert_eq!(bench.status().await.fleet.crashes, 2);
    bench.end().await;
    assert_eq!(processes_with(&marker), [""; 0]);
}

#[tokio::test]
async fn a_pool_that_cannot_start_says_why() {
    let state = tempfile::tempdir().unwrap();
    let start = |config: SupervisorConfig| async {
        let (_out, drained) = tokio::sync::mpsc::channel(1);
        let wires = supervisor::Wires { routes: std::sync::Arc::new(|_| {}), drained, progress: None };
        let Err(error) = Local::start(config, Clock::start(), wires).await else { panic!("it started") };
        error
    };
    let error = start(config(command("no-such-app", &[]), state.path())).await;
    assert!(matches!(error, StartError::Command(_)));
    assert_eq!(error.to_string(), "`no-such-app` was not found in PATH");
    let mut wrong = config(fixture(&["serve"]), state.path());
    wrong.guardian.program = "/bin/true".into();
    assert_eq!(
        start(wrong).await.to_string(),
        "the guardian `/bin/true` could not be started: it ended at once"
    );
}
