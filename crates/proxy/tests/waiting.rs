//! Requests that no worker can take yet.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::support::{Answer, Balancer, Client, Conversation, Setup, Worker, id, pass, soon, until};

/// A GET of `path` under way on a connection of its own.
fn asking(balancer: &Balancer, path: &str) -> JoinHandle<Answer> {
    let (address, path) = (balancer.proxy.local_addr(), path.to_owned());
    tokio::spawn(async move { Client::connect(address).await.get(&path).await })
}

/// Answers each request with its path, and never more than it is told to.
async fn echoing() -> Worker {
    Worker::start(|mut conversation: Conversation| async move {
        while let Some(request) = conversation.request().await {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            conversation.answer(&path).await;
        }
    })
    .await
}

fn queued(balancer: &Balancer) -> u64 {
    balancer.reading().queued
}

#[tokio::test]
async fn a_request_waits_for_the_first_worker_and_gets_it_at_once() {
    let balancer = Setup::default().start();
    let worker = echoing().await;
    let request = asking(&balancer, "/first");
    until("waiting", || queued(&balancer) == 1).await;
    let before = balancer.clock.uptime();
    balancer.route(&[&worker]);
    assert_eq!(soon("answered", request).await.unwrap().body, "/first");
    let took = balancer.clock.uptime() - before;
    assert!(took < Duration::from_secs(1), "took {took:?}: not woken, but found by chance");
    assert_eq!(queued(&balancer), 0);
    let wait = balancer.reading().queue_wait;
    assert_eq!(wait.count(), 1);
}

#[tokio::test]
async fn nobody_overtakes_in_a_full_pool() {
    let (release, released) = async_channel();
    let worker = Worker::start(move |mut conversation: Conversation| {
        let released = released.clone();
        async move {
            while let Some(request) = conversation.request().await {
                released.lock().await.recv().await.unwrap();
                let path = request.split(' ').nth(1).unwrap().to_owned();
                conversation.answer(&path).await;
            }
        }
    })
    .await;
    let setup = Setup { in_flight_max: Some(1), ..Setup::default() };
    let balancer = setup.before(&[&worker]);
    let mut requests = Vec::new();
    for n in 0..6_u64 {
        requests.push(asking(&balancer, &format!("/{n}")));
        until("in its place", || balancer.in_flight() == 1 && queued(&balancer) == n).await;
    }
    for (n, request) in (0..6_u64).zip(requests) {
        release.send(()).await.unwrap();
        assert_eq!(soon("answered", request).await.unwrap().body, format!("/{n}"));
        assert!(balancer.in_flight() <= 1);
    }
    let paths: Vec<String> =
        worker.seen().iter().map(|seen| seen.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths, ["/0", "/1", "/2", "/3", "/4", "/5"]);
}

type Release = tokio::sync::mpsc::Sender<()>;
type Released = std::sync::Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<()>>>;

fn async_channel() -> (Release, Released) {
    let (release, released) = tokio::sync::mpsc::channel(16);
    (release, std::sync::Arc::new(tokio::sync::Mutex::new(released)))
}

#[tokio::test]
async fn patience_ends_in_503_that_says_why() {
    let setup = Setup::with(|config| config.queue_timeout = Duration::from_millis(50));
    let balancer = setup.start();
    let answer = balancer.get("/").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (503, Some("no_worker_ready")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body.starts_with("503 no worker became ready within 50ms"), "{}", answer.body);
    assert_eq!(answer.body.lines().count(), 1);
    assert_eq!((queued(&balancer), balancer.reading().failures()), (0, 1));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let balancer = Setup::with(|config| config.queue_max = 2).start();
    let waiting = [asking(&balancer, "/1"), asking(&balancer, "/2")];
    until("the queue is full", || queued(&balancer) == 2).await;
    let answer = balancer.get("/3").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (503, Some("queue_full")));
    let worker = echoing().await;
    balancer.route(&[&worker]);
    for (request, path) in waiting.into_iter().zip(["/1", "/2"]) {
        assert_eq!(soon("answered", request).await.unwrap().body, path);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let requests = [
        "GET /gone HTTP/1.1\r\nhost: test\r\n\r\n",
        "POST /gone HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n12345",
        "POST /gone HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ];
    for request in requests {
        let balancer = Setup::with(|config| config.queue_max = 1).start();
        let mut client = balancer.connect().await;
        client.send(request).await;
        until("waiting", || queued(&balancer) == 1).await;
        drop(client);
        until("left the queue", || queued(&balancer) == 0).await;
        let other = asking(&balancer, "/other");
        until("the place is free", || queued(&balancer) == 1).await;
        let worker = echoing().await;
        balancer.route(&[&worker]);
        assert_eq!(soon("answered", other).await.unwrap().body, "/other");
        assert_eq!(worker.seen().len(), 1, "nothing was done for the one who left");
        assert_eq!(balancer.reading().cancelled, 1);
    }
}

#[tokio::test]
async fn a_short_body_that_comes_slowly_keeps_no_worker() {
    let worker = echoing().await;
    let setup = Setup { in_flight_max: Some(1), ..Setup::with(|config| config.queue_max = 0) };
    let balancer = setup.before(&[&worker]);
    let mut slow = balancer.connect().await;
    slow.send("POST /slow HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n12").await;
    until("asked", || balancer.reading().arrivals == 1).await;
    for piece in ["34", "56", "78", "9"] {
        slow.send(piece).await;
        assert_eq!(balancer.get("/other").await.body, "/other", "the one place is free");
    }
    slow.send("0").await;
    assert_eq!(slow.answer().await.body, "/slow");
    assert!(worker.seen().last().is_some_and(|request| request.ends_with("1234567890")));
}

#[tokio::test]
async fn an_upload_waits_with_its_body() {
    let balancer = Setup::default().start();
    let mut client = balancer.connect().await;
    let body = "z".repeat(300_000);
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 300000\r\n\r\n").await;
    until("waiting", || queued(&balancer) == 1).await;
    let worker = echoing().await;
    let (mut read, mut write) = client.stream.split();
    let sending = tokio::io::AsyncWriteExt::write_all(&mut write, body.as_bytes());
    let routing = async {
        balancer.route(&[&worker]);
    };
    let (sent, ()) = soon("sent", async { tokio::join!(sending, routing) }).await;
    sent.unwrap();
    let mut answer = [0; 12];
    soon("answered", tokio::io::AsyncReadExt::read_exact(&mut read, &mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(worker.seen()[0].ends_with(&body));
}

#[tokio::test]
async fn waiting_requests_get_workers_that_are_revived() {
    let worker = echoing().await;
    let balancer = Balancer::before(&[&worker]);
    balancer.router.replace(&[]);
    assert_eq!(balancer.drained(), [id(1)]);
    let request = asking(&balancer, "/");
    until("waiting", || queued(&balancer) == 1).await;
    balancer.route(&[&worker]);
    assert_eq!(soon("answered", request).await.unwrap().status, 200);
    pass(Duration::from_millis(20)).await;
    assert_eq!(balancer.drained(), [id(1)], "its end of request is no drain");
}
