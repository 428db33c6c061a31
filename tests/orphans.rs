//! However the program ends, nothing that it started is left.

use rustix::process::{Pid, Signal};

use crate::harness::{AUTOSCALE, Bench, Running, get, pid_of, signal, until};

/// An app that starts a child, and one that leaves group and session, and then serves.
#[cfg(target_os = "linux")]
const FORKING: &str = "sleep 1000 & setsid sleep 1001 & exec \"$0\" worker --port $PORT";
/// Elsewhere what left its group cannot be told from a stranger.
#[cfg(not(target_os = "linux"))]
const FORKING: &str = "sleep 1000 & sleep 1001 & exec \"$0\" worker --port $PORT";

async fn family_complete(bench: &Bench, workers: usize) {
    until("all children run", async || {
        let count =
            |word: &str| bench.processes().iter().filter(|process| process.command.ends_with(word)).count();
        let counts = (count("sleep 1000"), count("sleep 1001"));
        if counts == (workers, workers) { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}

#[tokio::test]
async fn kill_nine_leaves_nothing_and_a_start_right_after_works() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&["--min", "2"]).await;
    pool.until_ready(2).await;
    assert!(bench.processes().len() >= 4, "autoscale, guardian and two workers are seen");
    pool.kill_nine().await;
    let next = bench.run(&["--min", "2"]).await;
    next.until_ready(2).await;
    drop(pool);
    let left: Vec<_> = bench.processes();
    assert_eq!(left.len(), 4, "only the second one's: {left:?}");
    drop(next);
    bench.until_empty().await;
}

#[tokio::test]
async fn kill_nine_ends_what_workers_started_too() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&["--min", "2", "--", "sh", "-c", FORKING, AUTOSCALE]).await;
    pool.until_ready(2).await;
    family_complete(&bench, 2).await;
    pool.kill_nine().await;
    bench.until_empty().await;
}

#[tokio::test]
async fn kill_nine_at_any_moment_of_the_start_leaves_nothing() {
    let bench = Bench::new().await;
    for moment in 0..6 {
        let words = ["--min", "3", "--", "sh", "-c", FORKING, AUTOSCALE];
        let mut pool = bench.run(&words).await;
        // Its pool grows meanwhile, so each round meets it at another moment.
        for _ in 0..moment {
            let _ = pool.client.status().await;
        }
        pool.kill_nine().await;
        bench.until_empty().await;
    }
}

#[tokio::test]
async fn what_a_dead_pair_left_is_ended_at_the_next_start() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let bench = Bench::new().await;
    let mut pool = bench.run(&["--", "sh", "-c", FORKING, AUTOSCALE]).await;
    pool.until_ready(1).await;
    family_complete(&bench, 1).await;
    let guardian = pid_of(&bench.processes(), "autoscale guardian");
    // Neither has time to see the other die.
    pool.signal(Signal::STOP);
    signal(guardian, Signal::KILL);
    pool.kill_nine().await;
    until("the pair is dead", async || {
        let left = bench.processes();
        let pair = left.iter().any(|process| process.command.contains("autoscale"));
        if pair { Err(format!("{left:?}")) } else { Ok(()) }
    })
    .await;
    assert_eq!(bench.processes().len(), 2, "the worker's children live: {:?}", bench.processes());
    let next = bench.run(&[]).await;
    next.until_complains("had left behind").await;
    next.until_ready(1).await;
    assert_eq!(bench.processes().len(), 3, "only the second one's: {:?}", bench.processes());
}

#[tokio::test]
async fn ctrl_c_reaches_the_whole_group_and_cuts_no_request() {
    let bench = Bench::new().await;
    let mut command = bench.pool_command(&[]);
    command.process_group(0);
    let mut pool = Running::start(command).await;
    pool.until_ready(1).await;
    let url = format!("{}/?cpu_ms=0&sleep_ms=1000", pool.url);
    let request = tokio::spawn(async move { get(&url).await });
    pool.until("it is at work", |status| status.requests.in_flight == 1).await;
    // A terminal signals every process of the group in its foreground.
    let group = Pid::from_raw(i32::try_from(pool.pid()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, Signal::INT).unwrap();
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(request.await.unwrap().map(|answer| answer.status), Ok(200));
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let bench = Bench::new().await;
        let mut pool = bench.run(&["--min", "2", "--", "sh", "-c", FORKING, AUTOSCALE]).await;
        pool.until_ready(2).await;
        family_complete(&bench, 2).await;
        pool.signal(signal);
        assert_eq!(pool.ended().await.code(), Some(0), "{signal:?}");
        assert_eq!(bench.processes(), [], "{signal:?}: gone before the pool is");
    }
}

#[tokio::test]
async fn a_second_signal_forces_the_end() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let bench = Bench::new().await;
        let mut pool = bench.run(&[]).await;
        pool.until_ready(1).await;
        let url = format!("{}/?cpu_ms=0&sleep_ms=60000", pool.url);
        let endless = tokio::spawn(async move { get(&url).await });
        pool.until("a request is at work", |status| status.requests.in_flight == 1).await;
        pool.signal(signal);
        pool.until_complains("stopping: requests are finished first").await;
        assert!(!endless.is_finished(), "the first one is patient");
        pool.signal(signal);
        assert_eq!(pool.ended().await.code(), Some(code), "{signal:?}");
        bench.until_empty().await;
        assert!(endless.await.unwrap().is_err(), "its connection was cut");
    }
}

#[tokio::test]
async fn a_dead_guardian_is_replaced() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&["--min", "2", "--", "sh", "-c", FORKING, AUTOSCALE]).await;
    let before = pool.until_ready(2).await;
    family_complete(&bench, 2).await;
    signal(pid_of(&bench.processes(), "autoscale guardian"), Signal::KILL);
    pool.until("all anew", |status| {
        let old = |pid| before.workers.iter().any(|worker| worker.pid == pid);
        status.ready == 2 && status.workers.iter().all(|worker| !old(worker.pid))
    })
    .await;
    family_complete(&bench, 2).await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    bench.until_empty().await;
}
