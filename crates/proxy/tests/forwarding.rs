//! Requests reach workers, and answers come back, as they were sent.

use std::collections::BTreeMap;
use std::time::Duration;

use traffic::{Address, Route, Version};

use crate::support::{Balancer, Client, Setup, Worker, id, soon, until};

#[tokio::test]
async fn five_hundred_requests_over_five_workers_are_a_hundred_each() {
    for algorithm in ["round_robin", "least_connections"] {
        let workers = [
            Worker::answering("1").await,
            Worker::answering("2").await,
            Worker::answering("3").await,
            Worker::answering("4").await,
            Worker::answering("5").await,
        ];
        let setup = Setup { algorithm, ..Setup::default() };
        let balancer = setup.before(&workers.each_ref());
        let mut clients = [balancer.connect().await, balancer.connect().await];
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for turn in 0..500 {
            let answer = clients[turn % 2].get("/").await;
            assert_eq!(answer.status, 200);
            *counts.entry(answer.body).or_default() += 1;
        }
        let even = BTreeMap::from(["1", "2", "3", "4", "5"].map(|name| (name.to_owned(), 100)));
        assert_eq!(counts, even, "{algorithm}");
        let backends = balancer.router.pool().backends();
        assert!(backends.iter().all(|backend| backend.requests == 100 && backend.in_flight == 0));
        let reading = balancer.reading();
        assert_eq!((reading.arrivals, reading.completions, reading.statuses[1]), (500, 500, 500));
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let worker = Worker::start(|mut conversation| async move {
        while conversation.request().await.is_some() {
            let number = conversation.number.to_string();
            conversation.answer(&number).await;
        }
    })
    .await;
    let balancer = Setup::with(|config| config.threads = std::num::NonZeroUsize::MIN).before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.body, "1", "always the first connection to the worker");
    }
}

#[tokio::test]
async fn chunks_come_through_one_by_one_both_ways() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.head().await.unwrap();
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        // Each piece of the request is answered before the next is sent.
        while let Some(chunk) = conversation.through(b"\r\n").await {
            let text = conversation.through(b"\r\n").await.unwrap();
            conversation.send(&format!("{chunk}{text}")).await;
            if chunk == "0\r\n" {
                return;
            }
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    for word in ["one", "two", "three"] {
        client.send(&format!("{:x}\r\n{word}\r\n", word.len())).await;
        assert_eq!(client.chunk().await.as_deref(), Some(word));
        assert_eq!(balancer.in_flight(), 1, "in flight until the last byte");
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await, None);
    until("the lease has ended", || balancer.in_flight() == 0).await;
    assert_eq!(balancer.reading().completions, 1);
}

#[tokio::test]
async fn large_answers_of_known_length_are_streamed_whole() {
    const LENGTH: usize = 3_000_000;
    let worker = Worker::start(|mut conversation| async move {
        while conversation.request().await.is_some() {
            conversation.answer(&"x".repeat(LENGTH)).await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!((answer.body.len(), answer.header("content-length")), (LENGTH, Some("3000000")));
    }
    until("counted", || balancer.reading().completions == 3).await;
}

#[tokio::test]
async fn a_large_upload_reaches_the_worker_whole() {
    let worker = Worker::start(|mut conversation| async move {
        while let Some(request) = conversation.request().await {
            let length = request.split_once("\r\n\r\n").unwrap().1.len().to_string();
            conversation.answer(&length).await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    let body = "y".repeat(2_000_000);
    client
        .send(&format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
        .await;
    assert_eq!(client.answer().await.body, "2000000");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let worker = Worker::start(|mut conversation| async move {
        while let Some(request) = conversation.request().await {
            let answer = match request.split(' ').nth(1).unwrap() {
                "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n",
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 12\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            };
            conversation.send(answer).await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("HEAD /head HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let head = client.answer_to("HEAD").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("70000")));
    assert_eq!(client.get("/204").await.status, 204);
    let unchanged = client.get("/304").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"a\"")));
    assert_eq!(client.get("/empty").await.header("content-length"), Some("0"));
    assert_eq!(balancer.reading().completions, 4);
}

#[tokio::test]
async fn http_1_0_clients_get_answers_they_understand() {
    let worker = Worker::start(|mut conversation| async move {
        while conversation.request().await.is_some() {
            conversation
                .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                .await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.version.as_str(), answer.status, answer.body.as_str()), ("HTTP/1.0", 200, "abc"));
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(worker.seen()[0].contains("host: 127.0.0.1:"), "{:?}", worker.seen());
}

#[tokio::test]
async fn workers_that_speak_http_1_0_are_understood() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await.unwrap();
        conversation.send("HTTP/1.0 200 OK\r\n\r\nuntil I close").await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!((answer.version.as_str(), answer.body.as_str()), ("HTTP/1.1", "until I close"));
    }
}

#[tokio::test]
async fn continue_is_said_to_clients_that_wait_for_it() {
    let worker = Worker::answering("thanks").await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").await;
    assert_eq!(client.head().await.status, 100);
    client.send("body").await;
    assert_eq!(client.answer().await.body, "thanks");
    let seen = worker.seen().remove(0);
    assert!(seen.ends_with("\r\n\r\nbody") && !seen.contains("expect"), "{seen}");
}

#[cfg(unix)]
#[tokio::test]
async fn workers_may_listen_on_unix_sockets() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let worker = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nunix").await.unwrap();
        }
    });
    let balancer = Setup::with(|config| config.threads = std::num::NonZeroUsize::MIN).start();
    let address = Address::Unix(path);
    balancer.router.replace(&[Route { id: id(1), address, weight: 1, version: Version::default() }]);
    for _ in 0..2 {
        assert_eq!(balancer.get("/").await.body, "unix");
    }
    soon("the worker has answered twice", worker).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_at_the_worker() {
    let (ended, mut end) = tokio::sync::mpsc::channel(1);
    let worker = Worker::start(move |mut conversation| {
        let ended = ended.clone();
        async move {
            conversation.request().await.unwrap();
            conversation.hang().await;
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    until("at the worker", || balancer.in_flight() == 1 && worker.seen().len() == 1).await;
    drop(client);
    soon("the worker notices", end.recv()).await;
    until("given back", || balancer.in_flight() == 0).await;
    let reading = balancer.reading();
    assert_eq!((reading.cancelled, reading.completions, reading.failures()), (1, 0, 0));
}

#[tokio::test]
async fn slow_workers_are_told_from_dead_ones() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let first_byte = Duration::from_millis(100);
    let balancer = Setup::with(|config| config.first_byte_timeout = first_byte).before(&[&worker]);
    let answer = balancer.get("/").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (504, Some("worker_too_slow")));
    assert_eq!(answer.body, "504 worker w1 sent nothing for 100ms\n");
    assert_eq!(worker.seen().len(), 1, "not tried again");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let worker = Worker::start(|mut conversation| async move {
        while let Some(request) = conversation.request().await {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            conversation.answer(&path).await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client: Client = balancer.connect().await;
    let requests: String = (0..10).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: test\r\n\r\n")).collect();
    client.send(&requests).await;
    for n in 0..10 {
        assert_eq!(client.answer().await.body, format!("/{n}"));
    }
}
