//! Apps, machines and users at fault: each meets a message and the documented end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use control::State;
use rustix::process::Signal;

use crate::harness::{Bench, DEADLINE, finish, get, signal};
use crate::simulate::bench_with_trace;
use crate::stand_in;

#[tokio::test]
async fn a_command_that_cannot_be_run_is_refused_before_the_start() {
    let bench = Bench::new().await;
    let plain = bench.write("app.py", "print('hello')\n");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = "hint: check the command after `--`";
    let rows = [
        ("no-such-app", format!("error: `no-such-app` was not found in PATH\n{check}")),
        ("./no/such/app", format!("error: `./no/such/app` does not exist\n{check}")),
        (
            "./app.py",
            "error: `./app.py` is not an executable file\nhint: chmod +x, or put its interpreter before it"
                .to_owned(),
        ),
    ];
    for (command, complaint) in rows {
        let refused = bench.run_to_its_end(&["--", command]).await;
        assert_eq!(refused.failure(), (Some(1), complaint.as_str()));
    }
}

#[tokio::test]
async fn an_app_that_never_listens_is_killed_and_tried_again() {
    let bench = Bench::new().await;
    let words = ["--start-up-deadline", "300ms", "--queue-timeout", "200ms", "--", "sleep", "1000"];
    let mut pool = bench.run(&words).await;
    let told = pool.until_event("was not ready within 0.3 s").await;
    assert!(told.contains("the app must listen on $PORT"), "{told}");
    let unserved = get(&pool.url).await.unwrap();
    assert_eq!((unserved.status, unserved.retry_after.is_some()), (503, true), "{unserved:?}");
    pool.until_event("backoff").await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn an_app_that_exits_at_once_is_shown_with_its_last_words() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--", "sh", "-c", "echo 'no database here' >&2; exit 3"]).await;
    let seen = pool
        .until("a crash loop is seen", |status| {
            status.workers.iter().any(|worker| worker.state == State::Backoff && worker.restarts > 1)
        })
        .await;
    assert!(seen.alarms.iter().any(|alarm| alarm.contains("see `autoscale logs w1`")), "{:?}", seen.alarms);
    let table = pool.ask(&bench, &["ps"]).await.well();
    assert!(table.contains("backoff"), "{table}");
    let told = pool.until_event("exit").await;
    assert!(told.contains("no database here"), "the last words are in the event: {told}");
    let logs = pool.ask(&bench, &["logs", "w1"]).await.well();
    assert!(logs.contains("stderr no database here"), "{logs}");
}

#[tokio::test]
async fn an_app_that_ignores_term_is_killed_after_the_deadline() {
    let bench = Bench::new().await;
    let app = stand_in::command(&bench);
    // What is ignored stays so beyond `exec`, and the stand-in sets no handler of its own.
    let stubborn = ["--kill-deadline", "300ms", "--", "sh", "-c", "trap '' TERM; exec \"$@\"", "sh"];
    let words: Vec<&str> = stubborn.into_iter().chain(app.iter().map(String::as_str)).collect();
    let mut pool = bench.run(&words).await;
    pool.until_ready(1).await;
    pool.ask(&bench, &["scale", "2", "--hold", "1h"]).await.well();
    pool.until_ready(2).await;
    pool.ask(&bench, &["scale", "1", "--hold", "1h"]).await.well();
    pool.until_event("did not stop within 0.3 s of SIGTERM; killed").await;
    pool.until_ready(1).await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn an_app_that_closes_mid_answer_is_a_502_or_a_broken_answer() {
    let bench = Bench::new().await;
    let pool = stand_in::run(&bench, &[]).await;
    pool.until_ready(1).await;
    let small = get(&format!("{}/cut?length=100", pool.url)).await.unwrap();
    assert_eq!(small.status, 502, "a small answer is held until it is whole: {small:?}");
    let large = get(&format!("{}/cut?length=100000000", pool.url)).await;
    assert!(large.is_err(), "the client can tell that it is not whole: {large:?}");
    let whole = get(&format!("{}/whole", pool.url)).await.unwrap();
    assert_eq!((whole.status, whole.body.as_str()), (200, "ok, ok, ok"));
    assert_eq!(pool.until("both are counted", |status| status.requests.total == 3).await.requests.failed, 2);
}

#[tokio::test]
async fn a_taken_port_is_said_plainly() {
    let bench = Bench::new().await;
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin"] {
        let refused = bench.run_to_its_end(&[flag, &taken]).await;
        let (code, complaint) = refused.failure();
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains(&taken) && complaint.contains("\nhint: "), "{complaint}");
        assert!(complaint.contains(flag), "the hint names the flag: {complaint}");
    }
    bench.until_empty().await;
}

#[tokio::test]
async fn a_stopped_worker_is_replaced() {
    let bench = Bench::new().await;
    let pool = bench.run(&[]).await;
    let hung = pool.until_ready(1).await.workers[0].pid.unwrap();
    signal(hung, Signal::STOP);
    pool.until_event("failed 3 probes in a row").await;
    pool.until("another takes its place", |status| {
        status.ready == 1 && status.workers.iter().all(|worker| worker.pid != Some(hung))
    })
    .await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.status), Ok(200));
}

#[tokio::test]
async fn a_pool_whose_lines_nobody_reads_goes_on() {
    let bench = Bench::new().await;
    let mut pool = bench.run(&["--interval", "100ms"]).await;
    pool.until_ready(1).await;
    pool.stop_reading();
    pool.until_complains("nobody reads stdout any more").await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.status), Ok(200));
    pool.until_ready(1).await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_run_file_that_cannot_be_written_is_refused() {
    let bench = Bench::new().await;
    let foreign = bench.write("diary.txt", "Dear diary,\n");
    let folder = bench.folder().to_str().unwrap().to_owned();
    for path in ["no/such/folder/run.db", &folder, foreign.to_str().unwrap()] {
        let refused = bench.run_to_its_end(&["--record", path]).await;
        let (code, complaint) = refused.failure();
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains(path) && complaint.contains("\nhint: name a"), "{complaint}");
    }
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "Dear diary,\n", "a foreign file is left alone");
    assert_eq!(bench.processes(), []);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_under_the_output_is_an_error_and_a_closed_pipe_is_none() {
    let bench = bench_with_trace().await;
    let record = "simulate --trace load.csv --policies hpa --record run.db -q";
    bench.finish(record.split(' ')).await.well();
    let said = "error: standard output cannot be written: No space left on device";
    for words in [
        "simulate --trace load.csv --policies hpa -q",
        "simulate --trace load.csv --policies hpa -q -o json",
        "simulate --trace load.csv --policies hpa -q -o csv",
        "simulate --chaos --seed 7",
        "report run.db",
        "top run.db --plain",
        "why --run run.db -o yaml",
        "diagnose flap run.db",
        "replay run.db --verify",
        "gym --trace load.csv",
        "policy list",
        "completions bash",
        "--help",
        "simulate --help",
        "--version",
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = bench.command(words.split(' '));
        command.stdout(full);
        let failed = finish(command, DEADLINE).await;
        let (code, complaint) = failed.failure();
        assert_eq!(code, Some(1), "{words}: {complaint}");
        assert!(complaint.starts_with(said) && complaint.contains("\nhint: "), "{words}: {complaint}");
        let (reads, pipe) = std::io::pipe().unwrap();
        drop(reads);
        let mut command = bench.command(words.split(' '));
        command.stdout(pipe);
        assert_eq!(finish(command, DEADLINE).await.failure(), (Some(0), ""), "{words}");
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_record_but_not_the_pool() {
    let bench = Bench::new().await;
    // A limit on the size of files fails writes as a full disk does.
    let full = ["-c", "ulimit -f 256; trap '' XFSZ; exec \"$0\" \"$@\""];
    let record = bench.file("run.db");
    let mut pool =
        bench.run_under("sh", &full, &["--interval", "20ms", "--record", record.to_str().unwrap()]).await;
    let told =
        |status: &admin::Status| status.alarms.iter().any(|alarm| alarm.starts_with("not recording: "));
    pool.until("an alarm says so", told).await;
    pool.until_ready(1).await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.status), Ok(200));
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert!(pool.complained().contains("the run file is not whole"), "{}", pool.complained());
    let replayed = bench.finish(["replay", record.to_str().unwrap(), "--verify"]).await;
    assert_eq!(replayed.code(), Some(0), "what was written can be read: {replayed:#?}");
}
