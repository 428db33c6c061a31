//! Which failures a client never sees, and which it must.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::support::{Answer, Balancer, Setup, Worker, id, route, until};

/// Dies over each request, having said `last_words`.
async fn dying(last_words: &'static str) -> Worker {
    Worker::start(move |mut conversation| async move {
        conversation.request().await;
        conversation.send(last_words).await;
    })
    .await
}

/// A balancer that tries the first of `workers` first.
fn rotating(workers: &[&Worker]) -> Balancer {
    Setup { algorithm: "round_robin", ..Setup::default() }.before(workers)
}

async fn post(balancer: &Balancer, body: &str) -> Answer {
    let mut client = balancer.connect().await;
    let length = body.len();
    client.send(&format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    client.answer().await
}

#[tokio::test]
async fn a_worker_that_dies_before_or_amid_a_small_answer_is_replaced_unseen() {
    let endings = [
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123456789",
        "what is this?\r\n\r\n",
    ];
    for last_words in endings {
        let (bad, good) = (dying(last_words).await, Worker::answering("good").await);
        let balancer = rotating(&[&bad, &good]);
        let answer = balancer.get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "good"), "after {last_words:?}");
        assert_eq!((bad.seen().len(), good.seen().len()), (1, 1));
        let reading = balancer.reading();
        assert_eq!((reading.retries, reading.completions, reading.failures()), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_post_that_a_worker_has_begun_is_never_sent_again() {
    let (bad, good) =
        (dying("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").await, Worker::answering("good").await);
    let balancer = rotating(&[&bad, &good]);
    let answer = post(&balancer, "pay once").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (502, Some("worker_failed")));
    assert_eq!(answer.body, "502 worker w1 closed the connection in the middle of its answer\n");
    assert_eq!((bad.seen().len(), good.seen().len()), (1, 0));
    assert_eq!(balancer.reading().failures(), 1);
}

#[tokio::test]
async fn a_post_that_no_worker_got_is_sent_to_another() {
    let (gone, good) = (Worker::refusing().await, Worker::answering("good").await);
    let balancer = rotating(&[&gone, &good]);
    let answer = post(&balancer, "once").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "good"));
    assert!(good.seen()[0].ends_with("\r\n\r\nonce"), "{:?}", good.seen());
}

#[tokio::test]
async fn a_post_meets_no_connection_that_its_worker_has_closed() {
    // Answers once a connection, then closes it without having said so.
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
        conversation.answer("ok").await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for turn in 1..=50 {
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nbody").await;
        assert_eq!(client.answer().await.status, 200, "turn {turn}");
        assert_eq!(worker.seen().len(), turn);
    }
}

#[tokio::test]
async fn a_put_is_sent_again_with_its_body_if_that_was_held() {
    let (bad, good) = (dying("").await, Worker::answering("good").await);
    let balancer = rotating(&[&bad, &good]);
    let mut client = balancer.connect().await;
    client.send("PUT /x HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nvalue").await;
    assert_eq!(client.answer().await.body, "good");
    assert!(bad.seen()[0].ends_with("value") && good.seen()[0].ends_with("value"));
    // A body of unknown length is streamed: it is gone with the worker that got it.
    balancer.route(&[&bad]);
    client
        .send("PUT /x HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 502);
    assert_eq!(bad.seen().len(), 2);
}

#[tokio::test]
async fn a_request_that_kills_workers_does_not_kill_all_of_them() {
    let workers = [dying("").await, dying("").await, dying("").await, dying("").await, dying("").await];
    let balancer = rotating(&workers.each_ref());
    let answer = balancer.get("/").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.ends_with("closed the connection before answering\n"), "{}", answer.body);
    assert_eq!(workers.iter().map(|worker| worker.seen().len()).sum::<usize>(), 4, "of five");
}

#[tokio::test]
async fn three_workers_that_die_at_once_are_not_noticed() {
    let dead = [dying("").await, dying("").await, dying("").await];
    let good = [Worker::answering("good").await, Worker::answering("good").await];
    let balancer = rotating(&[&dead[0], &dead[1], &dead[2], &good[0], &good[1]]);
    let answer = balancer.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "good"));
    assert_eq!(balancer.reading().retries, 3);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_broken_off_not_repaired() {
    let (bad, good) = (
        dying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await,
        Worker::answering("good").await,
    );
    let balancer = rotating(&[&bad, &good]);
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let head = client.head().await;
    let rest = client.rest().await;
    assert_eq!((head.status, rest.as_str()), (200, "3\r\nabc\r\n"), "no last chunk: the client can tell");
    until("counted", || balancer.reading().failures() == 1).await;
    assert!(good.seen().is_empty());
}

#[tokio::test]
async fn the_only_worker_may_close_a_connection_and_be_asked_again() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
        if conversation.number > 1 {
            conversation.answer("second thoughts").await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    assert_eq!(balancer.get("/").await.body, "second thoughts");
}

#[tokio::test]
async fn a_request_whose_worker_died_waits_for_the_next() {
    let (bad, good) = (dying("").await, Worker::answering("good").await);
    let balancer = Balancer::before(&[&bad]);
    let request = tokio::spawn({
        let address = balancer.proxy.local_addr();
        async move { crate::support::Client::connect(address).await.get("/").await }
    });
    until("the worker has died over it", || bad.seen().len() == 1).await;
    // The route changes as it does when a process has exited: another process, the same slot.
    let mut successor = route(1, good.address);
    successor.id.run = 2;
    balancer.router.replace(&[successor]);
    assert_eq!(request.await.unwrap().body, "good");
}

#[tokio::test]
async fn a_worker_that_comes_back_on_its_address_is_found() {
    let gone = Worker::refusing().await;
    let balancer = Balancer::before(&[&gone]);
    let request = tokio::spawn({
        let address = balancer.proxy.local_addr();
        async move { crate::support::Client::connect(address).await.get("/").await }
    });
    until("refused more than once", || balancer.reading().retries >= 2).await;
    let listener = gone.rise();
    let back = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nback").await.unwrap();
        stream
    });
    assert_eq!(request.await.unwrap().body, "back");
    drop(back.await.unwrap());
}

#[tokio::test]
async fn workers_that_all_refuse_end_in_502_within_the_waiting_time() {
    let (one, other) = (Worker::refusing().await, Worker::refusing().await);
    let setup = Setup::with(|config| config.queue_timeout = Duration::from_millis(300));
    let balancer = setup.before(&[&one, &other]);
    let answer = balancer.get("/").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (502, Some("connect_failed")));
    assert!(answer.body.contains("refused the connection"), "{}", answer.body);
    assert_eq!(answer.header("retry-after"), None);
}

#[tokio::test]
async fn killing_workers_again_and_again_loses_no_get() {
    const KILLS: u32 = 12;
    let workers = [Worker::answering("1").await, Worker::answering("1").await, Worker::answering("1").await];
    let balancer = Balancer::before(&workers.each_ref());
    let (stop, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, stop, answered) =
                (balancer.proxy.local_addr(), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut client = crate::support::Client::connect(address).await;
                while stop.load(SeqCst) == 0 {
                    assert_eq!(client.get("/").await.status, 200);
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let mut routes: Vec<_> = (1..).zip(&workers).map(|(slot, worker)| route(slot, worker.address)).collect();
    let mut workers = Vec::from(workers);
    for kill in 0..KILLS {
        let before = answered.load(SeqCst);
        until("some requests are answered", || answered.load(SeqCst) > before + 50).await;
        let victim = usize::try_from(kill).unwrap() % workers.len();
        workers[victim].kill().await;
        // Its route stays for a while, as it does until the exit is noticed.
        let before = answered.load(SeqCst);
        until("requests go on", || answered.load(SeqCst) > before + 20).await;
        workers[victim] = Worker::answering("1").await;
        routes[victim] = route(id(0).slot + 1 + u32::try_from(victim).unwrap(), workers[victim].address);
        routes[victim].id.run = kill + 2;
        balancer.router.replace(&routes);
    }
    stop.store(1, SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let reading = balancer.reading();
    assert_eq!((reading.failures(), reading.cancelled), (0, 0));
    assert!(reading.retries > 0, "some requests met a dead worker");
    assert_eq!(balancer.drained().len(), usize::try_from(KILLS).unwrap());
}
