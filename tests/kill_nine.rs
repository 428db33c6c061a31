//! Workers are killed while requests come in: none is lost, none is done twice.

use std::collections::{BTreeMap, BTreeSet};

use admin::Status;
use control::State;
use rand_core::Rng;
use rand_pcg::Pcg32;
use rustix::process::Signal;

use crate::harness::{Bench, Running, Traffic, post, signal, there_is, until};
use crate::stand_in;

/// Kills of one test. A loop that waits for effects, not for time, needs no more.
const KILLS: usize = 6;
/// Nothing about a crash loop's waits is tested here, so requests may outwait them.
const PATIENT: &[&str] = &["--queue-timeout", "50s", "--max", "4", "--min", "2", "--interval", "200ms"];

/// Answers each request on a connection of its own. With a backlog as application servers have
/// it: when all workers are dead at once, what waited comes to the first new one in one wave.
const APP: &str = "
import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('content-length', '6')
        self.end_headers()
        self.wfile.write(b'hello\\n')

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024

Server(('127.0.0.1', int(os.environ['PORT'])), Answer).serve_forever()
";

/// Kills ready workers at random and scales the pool by hand, until `KILLS` have died. Each
/// kill meets a pool that is whole again, as on a machine quick enough for one every few
/// seconds: a request survives two of them, not any number.
async fn kill_and_scale(bench: &Bench, pool: &Running, seed: u64) {
    let mut chance = Pcg32::new(seed, 1);
    let mut below = |bound: usize| chance.next_u32() as usize % bound;
    for _ in 0..KILLS {
        let whole = |status: &Status| status.ready == status.desired;
        let status = pool.until("all are ready", whole).await;
        let ready = status.workers.iter().filter(|worker| worker.state == State::Ready);
        let ready: Vec<u32> = ready.filter_map(|worker| worker.pid).collect();
        let victim = ready[below(ready.len())];
        if bench.processes().iter().any(|process| process.pid == victim) {
            signal(victim, Signal::KILL);
        }
        pool.until("the killed worker is out", |status| {
            status.workers.iter().all(|worker| worker.pid != Some(victim))
        })
        .await;
        let replicas = 2 + below(3);
        pool.ask(bench, &["scale", &replicas.to_string()]).await.well();
        pool.until("the order is taken", |status| status.held.is_some_and(|held| held as usize == replicas))
            .await;
    }
}

/// Loads the pool at this path while workers are killed.
async fn no_get_is_lost_at(bench: &Bench, mut pool: Running, path: &str) {
    pool.until_ready(2).await;
    let load = Traffic::open(&format!("{}{path}", pool.url), 50.0);
    kill_and_scale(bench, &pool, 7).await;
    load.end_without_failure().await;
    let status = pool.status().await;
    assert_eq!(status.requests.failed, 0);
    // One that was told to leave just before it was killed is no crash.
    assert!(status.fleet.crashes >= KILLS as u64 / 2, "{:?}", status.fleet);
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn no_get_is_lost() {
    let bench = Bench::whole_machine().await;
    let pool = bench.run(PATIENT).await;
    no_get_is_lost_at(&bench, pool, "/?cpu_ms=1&sleep_ms=10").await;
}

#[tokio::test]
async fn no_get_is_lost_with_a_python_app() {
    if !there_is("python3") {
        return;
    }
    let bench = Bench::whole_machine().await;
    bench.write("app.py", APP);
    let pool = bench.run(&[PATIENT, &["--", "python3", "app.py"]].concat()).await;
    no_get_is_lost_at(&bench, pool, "/").await;
}

#[tokio::test]
async fn no_post_is_done_twice_and_every_answer_is_true() {
    let bench = Bench::whole_machine().await;
    let mut pool = stand_in::run(&bench, PATIENT).await;
    pool.until_ready(2).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clients = (0..4).map(|client| {
        let (url, stopped) = (pool.url.clone(), stopped.clone());
        tokio::spawn(async move {
            let mut answers = BTreeMap::new();
            while !*stopped.borrow() {
                let id = format!("{client}-{}", answers.len());
                answers
                    .insert(id.clone(), post(&format!("{url}/?id={id}")).await.map(|answer| answer.status));
            }
            answers
        })
    });
    let clients: Vec<_> = clients.collect();
    until("some are done", async || at_least(20, stand_in::done(&bench).len())).await;
    kill_and_scale(&bench, &pool, 11).await;
    stop.send(true).unwrap();
    let mut answers = BTreeMap::new();
    for client in clients {
        answers.extend(client.await.unwrap());
    }
    let done = stand_in::done(&bench);
    let once: BTreeSet<&String> = done.iter().collect();
    assert_eq!(once.len(), done.len(), "some were done twice: {done:?}");
    for (id, answer) in &answers {
        match answer {
            Ok(200) => assert!(once.contains(id), "{id} was answered and not done"),
            // Whether a worker that died had done it, nobody can know; that is what 502 says.
            Ok(502 | 503) => {}
            other => panic!("{id} was answered {other:?}"),
        }
    }
    let well = answers.values().filter(|answer| **answer == Ok(200)).count();
    eprintln!("{} POSTs, {} told to have failed", answers.len(), answers.len() - well);
    assert!(well > KILLS, "hardly any was answered: {answers:?}");
    pool.signal(Signal::TERM);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}

fn at_least(wanted: usize, there: usize) -> Result<(), String> {
    if there >= wanted { Ok(()) } else { Err(there.to_string()) }
}
