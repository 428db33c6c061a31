//! Limits that are learned, the circuit breaker, and second attempts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use traffic::{AdaptiveRule, Circuit, HedgeAfter};

use crate::support::{Answer, Balancer, Client, Conversation, Setup, Worker, soon, until};

/// Answers 500 while `broken`.
async fn breakable(broken: &Arc<AtomicBool>) -> Worker {
    let broken = Arc::clone(broken);
    Worker::start(move |mut conversation| {
        let broken = Arc::clone(&broken);
        async move {
            while conversation.request().await.is_some() {
                if broken.load(SeqCst) {
                    conversation.send("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
                } else {
                    conversation.answer("whole").await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_open_circuit_refuses_at_once_and_closes_when_trials_end_well() {
    let broken = Arc::new(AtomicBool::new(true));
    let (one, other) = (breakable(&broken).await, breakable(&broken).await);
    let balancer = Balancer::before(&[&one, &other]);
    balancer.router.pool().set_circuit_breaker(Some(0.5));
    let mut client = balancer.connect().await;
    let refused = async {
        loop {
            let answer = client.get("/").await;
            if answer.status == 503 {
                return answer;
            }
            assert_eq!(answer.status, 500);
        }
    };
    let answer = soon("open", refused).await;
    assert_eq!(answer.header("x-autoscale-reason"), Some("circuit_open"));
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds != "0"), "{answer:?}");
    let at_workers = || one.seen().len() + other.seen().len();
    assert_eq!(at_workers(), 20, "as many as it takes to tell");
    broken.store(false, SeqCst);
    let served =
        async { while client.get("/").await.status != 200 || circuit(&balancer) != Some(Circuit::Closed) {} };
    soon("closed", served).await;
    balancer.router.pool().set_circuit_breaker(None);
    assert_eq!((client.get("/").await.status, circuit(&balancer)), (200, None));
}

fn circuit(balancer: &Balancer) -> Option<Circuit> {
    balancer.router.pool().circuit(balancer.clock.now())
}

/// One that takes a request and does not answer it, and one that does.
async fn slow_and_quick() -> (Worker, Worker) {
    let slow = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    (slow, Worker::answering("quick").await)
}

fn hedging(workers: &[&Worker]) -> Balancer {
    let balancer = Setup { algorithm: "round_robin", ..Setup::default() }.before(workers);
    balancer.router.pool().set_hedge_after(Some(HedgeAfter::Time(Duration::from_millis(20))));
    balancer
}

async fn ask(balancer: &Balancer, request: &str) -> (Client, Answer) {
    let mut client = balancer.connect().await;
    client.send(request).await;
    let answer = client.answer().await;
    (client, answer)
}

#[tokio::test]
async fn a_get_that_takes_long_is_answered_by_a_second_worker() {
    let (slow, quick) = slow_and_quick().await;
    let balancer = hedging(&[&slow, &quick]);
    let (_client, answer) = ask(&balancer, "GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, "quick"));
    assert_eq!((slow.seen().len(), quick.seen().len()), (1, 1));
    assert_eq!(balancer.router.hedged(), (1, 1));
    until("the slow one's place is free", || balancer.in_flight() == 0).await;
    let samples = balancer.router.pool().backends();
    assert_eq!(samples.iter().map(|sample| sample.requests).collect::<Vec<_>>(), [0, 1], "one worker");
    let reading = balancer.reading();
    assert_eq!((reading.arrivals, reading.completions, reading.cancelled), (1, 1, 0), "one outcome");
}

#[tokio::test]
async fn nothing_that_may_have_consequences_is_sent_twice() {
    let (one, _) = slow_and_quick().await;
    let (other, _) = slow_and_quick().await;
    let requests = [
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab",
        "PUT / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab",
        "DELETE / HTTP/1.1\r\nhost: test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab",
        "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ];
    let mut clients = Vec::new();
    let balancer = hedging(&[&one, &other]);
    let seen = || one.seen().len() + other.seen().len();
    for (count, request) in (1..).zip(requests) {
        let mut client = balancer.connect().await;
        client.send(request).await;
        clients.push(client);
        until("at a worker", || seen() == count).await;
    }
    // Five times as long as a second attempt would need.
    crate::support::pass(Duration::from_millis(100)).await;
    assert_eq!((balancer.router.hedged(), seen()), ((0, 0), 5));
}

#[tokio::test]
async fn a_first_worker_that_dies_leaves_it_to_the_second() {
    let dying = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        crate::support::pass(Duration::from_millis(60)).await;
    })
    .await;
    let late = Worker::start(|mut conversation: Conversation| async move {
        while conversation.request().await.is_some() {
            crate::support::pass(Duration::from_millis(200)).await;
            conversation.answer("late").await;
        }
    })
    .await;
    let balancer = hedging(&[&dying, &late]);
    let (_client, answer) = ask(&balancer, "GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, "late"));
    assert_eq!((dying.seen().len(), late.seen().len()), (1, 1), "not a third time");
    let samples = balancer.router.pool().backends();
    assert_eq!(
        samples.iter().map(|sample| sample.requests).collect::<Vec<_>>(),
        [1, 1],
        "its failure counts"
    );
}

#[tokio::test]
async fn the_first_to_answer_wins_also_when_it_is_the_first_asked() {
    let first = Worker::start(move |mut conversation: Conversation| async move {
        conversation.request().await;
        crate::support::pass(Duration::from_millis(500)).await;
        conversation.answer("own").await;
    })
    .await;
    let (second, _) = slow_and_quick().await;
    let balancer = hedging(&[&first, &second]);
    let (_client, answer) = ask(&balancer, "GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, "own"));
    assert_eq!(balancer.router.hedged(), (1, 0));
    until("nothing is left at a worker", || balancer.in_flight() == 0).await;
}

#[tokio::test]
async fn a_percentile_is_learned_from_requests() {
    let worker = Worker::answering("quick").await;
    let balancer = Balancer::before(&[&worker]);
    let pool = balancer.router.pool();
    pool.set_hedge_after(Some(HedgeAfter::Quantile(0.95)));
    assert_eq!(pool.hedge_after(), None, "nothing is known yet");
    let mut client = balancer.connect().await;
    let learned = async {
        while balancer.router.pool().hedge_after().is_none() {
            assert_eq!(client.get("/").await.status, 200);
        }
    };
    soon("learned", learned).await;
}

/// A worker that does two requests at once, 20 ms each; more wait in it.
async fn narrow() -> Worker {
    let places = Arc::new(tokio::sync::Semaphore::new(2));
    Worker::start(move |mut conversation: Conversation| {
        let places = Arc::clone(&places);
        async move {
            while conversation.request().await.is_some() {
                let _place = places.acquire().await.unwrap();
                crate::support::pass(Duration::from_millis(20)).await;
                conversation.answer("done").await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_limit_is_learned_and_requests_beyond_it_wait_here() {
    let worker = narrow().await;
    let balancer = Balancer::before(&[&worker]);
    let rule = AdaptiveRule { algorithm: "gradient".to_owned(), too_slow: Duration::from_secs(1) };
    balancer.router.pool().set_adaptive_limit(Some(&rule));
    assert_eq!(balancer.router.pool().in_flight_max(), Some(20));
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let address = balancer.proxy.local_addr();
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                loop {
                    assert_eq!(client.get("/").await.status, 200);
                }
            })
        })
        .collect();
    let limit = || balancer.router.pool().in_flight_max().unwrap();
    until("the limit has come down", || (2..12).contains(&limit())).await;
    until("requests wait", || balancer.reading().queued > 10).await;
    clients.iter().for_each(tokio::task::JoinHandle::abort);
}
