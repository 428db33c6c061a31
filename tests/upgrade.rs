//! A new process takes the place of the old one under load; sockets may come from systemd too.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Running, Traffic, get, signal, until};

/// Clients of both kinds: some keep their connections, one makes a new one for each request.
struct Clients {
    keeping: Traffic,
    stop: CancellationToken,
    fresh: JoinHandle<u32>,
}

impl Clients {
    fn of(url: &str) -> Self {
        let (url, stop) = (format!("{url}/?cpu_ms=0&sleep_ms=5"), CancellationToken::new());
        let stopped = stop.clone();
        let keeping = Traffic::closed(&url, 8);
        let fresh = tokio::spawn(async move {
            let mut answered = 0;
            while !stopped.is_cancelled() {
                let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
                let answer = client.get(&url).send().await.unwrap_or_else(|error| panic!("{error:?}"));
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
                answered += 1;
            }
            answered
        });
        Self { keeping, stop, fresh }
    }

    async fn end_without_failure(self) {
        self.stop.cancel();
        assert!(self.fresh.await.unwrap() > 0);
        self.keeping.end_without_failure().await;
    }
}

/// The one process of this bench that is `command` of our program, other than `before`.
async fn successor(bench: &Bench, command: &str, before: u32) -> u32 {
    let words = format!("autoscale {command} ");
    until("the old process has gone, and one has come", async || {
        let mut found = bench.processes();
        found.retain(|process| process.command.contains(&words));
        match &found[..] {
            [one] if one.pid != before => Ok(one.pid),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn balance_over(bench: &Bench, pool: &Running) -> Running {
    let status = pool.status().await;
    let mut words = vec!["balance", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let addresses: Vec<String> =
        status.workers.iter().map(|worker| worker.address.clone().unwrap()).collect();
    words.extend(addresses.iter().flat_map(|address| ["--backend", address]));
    Running::start(bench.command(words)).await
}

#[tokio::test]
async fn a_balancer_hands_over_without_losing_a_request() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--min", "2", "--max", "2"]).await;
    pool.until_ready(2).await;
    let mut balancer = balance_over(&bench, &pool).await;
    let clients = Clients::of(&balancer.url);
    balancer.signal(Signal::USR2);
    assert_eq!(balancer.ended().await.code(), Some(0), "{}", balancer.complained());
    let second = successor(&bench, "balance", balancer.pid()).await;
    balancer.until_complains(&format!("process {second} has taken over")).await;

    // What was handed over can be handed on, by order of the admin API, which moved too.
    balancer.ask(&bench, &["upgrade"]).await.well();
    let third = successor(&bench, "balance", second).await;
    balancer.until_complains(&format!("process {third} has taken over")).await;
    let requests = |status: &admin::Status| status.requests.total;
    let before = requests(&balancer.status().await);
    balancer.until("the third serves", |status| requests(status) > before).await;
    clients.end_without_failure().await;
    assert!(!balancer.complained().contains("cut"), "{}", balancer.complained());
    assert!(signal(third, Signal::TERM));
    until("it ends", async || {
        let left = bench.processes();
        if left.iter().all(|one| one.pid != third) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert!(get(&balancer.url).await.is_err(), "nobody holds its socket any more");
}

#[tokio::test]
async fn a_pool_hands_over_with_as_many_workers_and_its_ledger_balances() {
    let bench = Bench::new().await;
    let words = ["--max", "3", "--interval", "200ms", "--record", "run.db"];
    let mut pool = bench.run(&words).await;
    pool.until_ready(1).await;
    pool.ask(&bench, &["scale", "3", "--hold", "1h"]).await.well();
    let before = pool.until_ready(3).await;
    let clients = Clients::of(&pool.url);
    pool.ask(&bench, &["upgrade"]).await.well();
    assert_eq!(pool.ended().await.code(), Some(0), "{}", pool.complained());
    let next = successor(&bench, "run", pool.pid()).await;
    let after = pool.until_ready(3).await;
    assert!(after.workers.iter().all(|one| before.workers.iter().all(|old| old.pid != one.pid)));
    clients.end_without_failure().await;
    assert!(signal(next, Signal::TERM));
    bench.until_empty().await;
    let rows = bench.finish(["verify", "no-loss", "run.db", "-o", "json"]).await.json();
    let verdicts: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["balanced", "balanced"], "{rows:#}");
}

#[tokio::test]
async fn a_successor_that_cannot_start_changes_nothing() {
    let bench = Bench::new().await;
    let config = bench.write("autoscale.toml", "");
    let pool = bench.run(&["--config", config.to_str().unwrap()]).await;
    pool.until_ready(1).await;
    bench.write("autoscale.toml", "nonsense = 1");
    pool.signal(Signal::USR2);
    pool.until_complains("no upgrade, this process goes on").await;
    assert_eq!(get(&pool.url).await.unwrap().status, 200);
    pool.until_ready(1).await;
}

/// As systemd starts a service with a socket: descriptor 3, and whom it is meant for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_come_in_by_a_socket_of_systemd() {
    const ACTIVATE: &str = "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 0</dev/null";
    let bench = Bench::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let early = tokio::spawn(async move { get(&format!("http://{address}/?cpu_ms=0")).await });
    let ours = bench.pool_command(&[]);
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(ACTIVATE).arg(ours.as_std().get_program()).args(ours.as_std().get_args());
    command.current_dir(bench.folder());
    for (name, value) in ours.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(OwnedFd::from(listener)).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let pool = Running::start(command).await;
    assert_eq!(pool.url, format!("http://{address}"), "not where --listen says");
    assert_eq!(early.await.unwrap().unwrap().status, 200, "it was in the backlog before the pool was there");
    let worker = pool.until_ready(1).await.workers[0].pid.unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{worker}/environ")).unwrap();
    assert!(!environment.contains("LISTEN_"), "{environment}");
    let links = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
    let open: Vec<_> =
        links.map(|link| std::fs::read_link(link.unwrap().path()).unwrap_or_default()).collect();
    let inode = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X} ", address.port());
    let line = inode.lines().find(|line| line.contains(&port) && line.contains(" 0A ")).expect("it listens");
    let inode = line.split_whitespace().nth(9).unwrap();
    let socket = format!("socket:[{inode}]");
    assert!(open.iter().all(|one| one.to_str() != Some(&socket)), "a worker holds the socket: {open:?}");
}
