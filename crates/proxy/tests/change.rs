//! What can be changed under load, and that nobody loses a request over it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use proxy::Rate;
use traffic::{BALANCERS, Version};

use crate::support::{Balancer, Setup, Worker, id, route, soon, until};

/// Changes of membership in the test that always runs; `CHURN` sets another number.
const CHURN_DEFAULT: u64 = 150;

/// A number of the environment, for the full measure by hand.
#[expect(clippy::disallowed_methods, reason = "the full measure is asked for by hand")]
fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_membership_weights_algorithm_and_limits_lose_no_request() {
    let changes = asked("CHURN", CHURN_DEFAULT);
    let requests_min = asked("CHURN_REQUESTS", 2_000);
    let mut workers = Vec::new();
    for _ in 0..5 {
        workers.push(Worker::answering("ok").await);
    }
    let balancer = Balancer::before(&workers.iter().collect::<Vec<_>>());
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        let mut client = balancer.connect().await;
        clients.spawn(async move {
            while !stop.load(SeqCst) {
                let answer = if number % 2 == 0 {
                    client.get("/").await
                } else {
                    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi").await;
                    client.answer().await
                };
                assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
                served.fetch_add(1, SeqCst);
            }
        });
    }
    let pool = Arc::clone(balancer.router.pool());
    let mut turn = 0_u32;
    while u64::from(turn) < changes || served.load(SeqCst) < requests_min {
        turn += 1;
        // Between one and all of the five; which ones differs from turn to turn.
        let routes: Vec<_> = (1..)
            .zip(&workers)
            .filter(|(slot, _)| slot % 5 == turn % 5 || (turn >> slot) & 1 == 1)
            .map(|(slot, worker)| route(slot, worker.address))
            .map(|route| traffic::Route { weight: turn % 3 + 1, version: Version(0), ..route })
            .collect();
        balancer.router.replace(&routes);
        let entry = BALANCERS[usize::try_from(turn).unwrap() % BALANCERS.len()];
        pool.set_balancer((entry.build)());
        pool.set_in_flight_max(std::num::NonZeroU32::new(turn % 4));
        balancer.router.change(|config| config.queue_max = 64 + usize::try_from(turn % 7).unwrap());
        let before = served.load(SeqCst);
        until("a few requests between two changes", || served.load(SeqCst) >= before + 4).await;
        if let Some(ended) = clients.try_join_next() {
            ended.expect("no client fails");
        }
    }
    stop.store(true, SeqCst);
    while let Some(ended) = soon("the clients end", clients.join_next()).await {
        ended.expect("no client fails");
    }
    let reading = balancer.reading();
    assert_eq!((reading.failures(), reading.cancelled), (0, 0), "after {turn} changes");
    assert_eq!(reading.completions, served.load(SeqCst), "each is counted once, whoever came and went");
    let at_workers: usize = workers.iter().map(|worker| worker.seen().len()).sum();
    assert_eq!(u64::try_from(at_workers).unwrap(), reading.completions + reading.retries);
}

#[tokio::test]
async fn limits_change_for_requests_to_come() {
    let worker = Worker::answering("ok").await;
    let balancer = Setup::default().before(&[&worker]);
    let mut client = balancer.connect().await;
    assert_eq!(client.get("/").await.status, 200);
    let rate = Rate { per_second: 0.001, burst: 1.0 };
    balancer.router.change(|config| config.rate_limit = Some(rate));
    assert_eq!(balancer.router.config().rate_limit, Some(rate));
    let mut refused = 0;
    for _ in 0..100 {
        refused = client.get("/").await.status;
        if refused == 429 {
            break;
        }
    }
    assert_eq!(refused, 429, "each thread takes the change up");
    balancer.router.change(|config| {
        config.rate_limit = None;
        config.body_bytes_max = Some(3);
    });
    let mut status = 0;
    for _ in 0..1_000 {
        let mut client = balancer.connect().await;
        client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\nlong").await;
        status = client.answer().await.status;
        if status == 413 {
            break;
        }
    }
    assert_eq!(status, 413);
}

/// A worker that hangs has been taken out of the routes: who can wait elsewhere does.
#[tokio::test]
async fn requests_at_a_worker_that_is_given_up_go_elsewhere_where_that_is_safe() {
    let hung = Worker::start(|mut conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let good = Worker::answering("good").await;
    let setup = Setup::with(|config| config.first_byte_timeout = Duration::from_secs(3));
    let balancer = setup.before(&[&hung]);
    let (mut reader, mut writer) = (balancer.connect().await, balancer.connect().await);
    reader.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    writer.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi").await;
    until("both are at the worker", || hung.seen().len() == 2).await;
    balancer.router.replace(&[route(2, good.address)]);
    balancer.router.pool().give_up(&[id(1)]);
    let answer = soon("the read goes elsewhere", reader.answer()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "good"));
    let answer = soon("the write is told", writer.answer()).await;
    assert_eq!(answer.status, 504, "sent once, and never again");
    assert_eq!((hung.seen().len(), good.seen().len()), (2, 1));
}
