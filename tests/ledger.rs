//! No request is lost, as the run file proves; and a run file that says otherwise is found out.

use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Bench, Traffic, get, signal, until};

/// Refuses some requests, loses some clients, and lets a worker be killed under the rest.
const HARSH: &[&str] = &[
    "--min",
    "2",
    "--max",
    "2",
    "--interval",
    "100ms",
    "--max-in-flight",
    "2",
    "--queue",
    "4",
    "--record",
    "run.db",
];

async fn verdicts(bench: &Bench) -> (Option<i32>, Vec<Value>) {
    let done = bench.finish(["verify", "no-loss", "run.db", "-o", "json"]).await;
    let rows: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    (done.code(), rows)
}

fn change(path: &Path, sql: &str) {
    let changed = Connection::open(path).unwrap().execute(sql, []).unwrap();
    assert_eq!(changed, 1, "{sql}");
}

#[tokio::test]
async fn a_run_proves_that_no_request_was_lost() {
    let bench = Bench::new().await;
    let mut pool = bench.run(HARSH).await;
    pool.until_ready(2).await;
    let url = format!("{}/?cpu_ms=0&sleep_ms=60000", pool.url);
    let impatient = tokio::spawn(async move { get(&url).await });
    pool.until("a worker has it", |status| status.requests.in_flight == 1).await;
    impatient.abort();
    // One who has ended its side may still read an answer: it is gone for good a little later.
    pool.until("it is known to have gone", |status| status.requests.in_flight == 0).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=0&sleep_ms=20", pool.url), 12);
    let victim = pool.status().await.workers[0].pid.unwrap();
    signal(victim, Signal::KILL);
    pool.until("the killed worker is out", |status| {
        status.workers.iter().all(|worker| worker.pid != Some(victim))
    })
    .await;
    pool.until_ready(2).await;
    let running = verdicts(&bench).await;
    assert_eq!((running.0, &running.1[0]["verdict"]), (Some(0), &Value::from("cut_short")), "{running:#?}");
    load.end().await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));

    let (code, rows) = verdicts(&bench).await;
    assert_eq!((code, rows.len()), (Some(0), 1), "{rows:#?}");
    let (row, books) = (&rows[0], &rows[0]["ledger"]);
    assert_eq!((&row["verdict"], &row["violation"]), (&Value::from("balanced"), &Value::Null), "{row:#}");
    for total in ["answered", "cancelled"] {
        assert!(books[total].as_u64() > Some(0), "{total}: {books:#}");
    }
    assert!(books["refused"]["queue_full"].as_u64() > Some(0), "{books:#}");
    let said = bench.finish(["verify", "no-loss", "run.db"]).await.well();
    assert!(said.contains("balanced: every request") && said.contains("queue_full"), "{said}");
}

#[tokio::test]
async fn a_changed_run_file_is_found_out() {
    let bench = Bench::new().await;
    let mut pool = bench.run(HARSH).await;
    pool.until_ready(2).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=0", pool.url), 2);
    until("turns are recorded", async || {
        let turns = verdicts(&bench).await.1[0]["turns"].as_u64();
        if turns > Some(10) { Ok(()) } else { Err(format!("{turns:?}")) }
    })
    .await;
    load.end().await;
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    let whole = bench.folder().join("whole.db");
    let path = bench.folder().join("run.db");
    std::fs::copy(&path, &whole).unwrap();
    assert_eq!(verdicts(&bench).await.0, Some(0));

    let set = |what: &str, by: &str| {
        format!(
            "UPDATE cycles SET cycle = json_set(cycle, '{what}', json_extract(cycle, '{what}') {by}) WHERE seq = 5"
        )
    };
    let rows = [
        (set("$.decided.ledger.accepted", "+ 1"), 1, "conservation", Some(5)),
        (set("$.decided.seen.traffic.arrivals", "+ 1"), 1, "window", Some(5)),
        (set("$.decided.ledger.workers[0].answered", "+ 1000000"), 1, "ended_once", Some(5)),
        ("DELETE FROM cycles WHERE seq = 5".to_owned(), 1, "turns_missing", None),
        ("UPDATE cycles SET cycle = 'gone' WHERE seq = 5".to_owned(), 1, "unreadable", None),
        (
            "UPDATE sessions SET closing = json_set(closing, '$.accepted', json_extract(closing, '$.accepted') + 1,
                 '$.open', 1)"
                .to_owned(),
            1,
            "all_ended",
            None,
        ),
    ];
    for (sql, code, rule, turn) in rows {
        std::fs::copy(&whole, &path).unwrap();
        change(&path, &sql);
        let found = verdicts(&bench).await;
        let violation = &found.1[0]["violation"];
        assert_eq!(
            (found.0, violation["rule"].as_str(), violation["turn"].as_u64()),
            (Some(code), Some(rule), turn),
            "{sql}"
        );
    }

    std::fs::copy(&whole, &path).unwrap();
    let old = "UPDATE cycles SET cycle = json_remove(cycle, '$.decided.ledger')";
    Connection::open(&path).unwrap().execute(old, []).unwrap();
    change(&path, "UPDATE sessions SET closing = NULL");
    let done = bench.finish(["verify", "no-loss", "run.db"]).await;
    assert_eq!(done.code(), Some(3), "{done:#?}");
    assert!(done.stderr.contains("recorded without a ledger"), "{done:#?}");
}
