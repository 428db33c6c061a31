//! What workers and clients see of each other's headers, and requests that are refused.

use std::time::Duration;

use crate::support::{Balancer, Conversation, Setup, Worker, soon};

#[tokio::test]
async fn workers_see_who_asked_and_nothing_of_the_hop() {
    let worker = Worker::answering("ok").await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client
        .send("GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
        .await;
    let answer = client.answer().await;
    let seen = worker.seen().remove(0);
    assert!(seen.starts_with("GET /a HTTP/1.1\r\n"), "{seen}");
    for line in [
        "host: shop.test",
        "x-forwarded-for: 9.9.9.9, 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.test",
    ] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} in {seen}");
    }
    for line in
        ["via: 1.1 autoscale", "te: trailers", "forwarded: for=127.0.0.1;host=\"shop.test\";proto=http"]
    {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} in {seen}");
    }
    assert!(
        answer.header("server-timing").unwrap().starts_with("queue;dur=0.000, upstream;dur="),
        "{answer:?}"
    );
    for gone in ["x-hop", "connection: x-hop"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(request_id.len(), 32);
    assert!(seen.contains(&format!("x-request-id: {request_id}\r\n")), "{seen}");
}

#[tokio::test]
async fn request_ids_differ_between_requests_and_repeat_with_the_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let setup = Setup::with(|config| {
            config.seed = 7;
            config.threads = std::num::NonZeroUsize::MIN;
            config.queue_timeout = Duration::from_millis(1);
        });
        let balancer = setup.start();
        let mut client = balancer.connect().await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(client.get("/").await.header("x-request-id").unwrap().to_owned());
        }
        runs.push(ids);
    }
    assert_ne!(runs[0][0], runs[0][1]);
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_workers_hop_is_not_the_clients() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await.unwrap();
        conversation
            .send("HTTP/1.1 201 Created\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=1\r\nserver: app\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("server")), (201, "ok", Some("app")));
        for gone in ["connection", "x-hop", "keep-alive"] {
            assert_eq!(answer.header(gone), None, "{gone}");
        }
    }
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason() {
    let worker = Worker::answering("ok").await;
    let balancer = Setup::with(|config| config.body_bytes_max = Some(1_000)).before(&[&worker]);
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400, Some("no_host")),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, Some("several_hosts")),
        ("CONNECT a.test:80 HTTP/1.1\r\nhost: a.test\r\n\r\n", 501, Some("connect")),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n", 413, Some("body_too_large")),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400, Some("bad_field")),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            400,
            Some("several_content_lengths"),
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 400, Some("bad_transfer_encoding")),
        ("complete nonsense\r\n\r\n", 400, Some("bad_request_line")),
    ];
    for (request, status, reason) in cases {
        let mut client = balancer.connect().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("x-autoscale-reason")), (status, reason), "{request}");
    }
    assert!(worker.seen().is_empty(), "{:?}", worker.seen());
    let reading = balancer.reading();
    assert_eq!((reading.arrivals, reading.failures()), (8, 8), "all of them are counted");
}

#[tokio::test]
async fn a_streamed_body_that_grows_too_long_is_refused() {
    let worker = Worker::answering("ok").await;
    let balancer = Setup::with(|config| config.body_bytes_max = Some(10)).before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n6\r\n123456\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (413, Some("body_too_large")));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let balancer = Setup::default().start();
    let mut client = balancer.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(70_000))).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (431, Some("head_too_long")));
    let mut client = balancer.connect().await;
    client.send(&format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(40_000))).await;
    assert_eq!(client.answer().await.status, 414);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let balancer = Setup::with(|config| config.header_timeout = Duration::from_millis(50)).start();
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (408, Some("header_timeout")));
    let mut silent = balancer.connect().await;
    assert_eq!(silent.rest().await, "", "closed without a word");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time_and_not_before() {
    let worker = Worker::answering("ok").await;
    let setup = Setup::with(|config| {
        config.header_timeout = Duration::from_millis(50);
        config.idle_timeout = Duration::from_millis(400);
    });
    let balancer = setup.before(&[&worker]);
    let mut client = balancer.connect().await;
    client.get("/").await;
    let idle_since = balancer.clock.uptime();
    assert_eq!(soon("closed", client.rest()).await, "");
    let idle = balancer.clock.uptime() - idle_since;
    assert!(idle >= Duration::from_millis(350), "closed after {idle:?}: the head's time-out was used");
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_place() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await.unwrap();
        conversation.answer(&"x".repeat(50_000_000)).await;
    })
    .await;
    let setup = Setup::with(|config| {
        config.header_timeout = Duration::from_millis(50);
        config.send_timeout = Duration::from_millis(200);
    });
    let balancer = setup.before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.head().await;
    crate::support::until("given up", || balancer.in_flight() == 0).await;
    assert_eq!(balancer.reading().cancelled, 1);
}

#[tokio::test]
async fn a_body_that_never_comes_is_the_clients_fault() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
    })
    .await;
    let balancer =
        Setup::with(|config| config.first_byte_timeout = Duration::from_millis(100)).before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (408, Some("body_timeout")));
    assert_eq!(balancer.router.pool().backends()[0].requests, 0, "not counted against the worker");
}

#[tokio::test]
async fn only_trusted_proxies_are_believed() {
    let worker = Worker::answering("ok").await;
    let forged = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: https\r\nx-forwarded-host: b\r\nforwarded: for=9.9.9.9\r\n\r\n";
    for (trusted, proto, forwarded) in [
        (vec![], "http", "forwarded: for=127"),
        (vec!["127.0.0.0/8".parse().unwrap()], "https", "forwarded: for=9.9.9.9, for=127"),
    ] {
        let balancer = Setup::with(|config| config.trusted_proxies = trusted).before(&[&worker]);
        let mut client = balancer.connect().await;
        client.send(forged).await;
        assert_eq!(client.answer().await.status, 200);
        let seen = worker.seen().pop().unwrap();
        assert!(
            seen.contains(&format!("x-forwarded-proto: {proto}\r\n")) && seen.contains(forwarded),
            "{seen}"
        );
    }
}

/// RFC 9110, 15.2: those that we have not asked for are the client's, unless it is too old for them.
#[tokio::test]
async fn interim_answers_are_passed_on() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        while conversation.request().await.is_some() {
            conversation
                .send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
                .await;
            conversation.answer("done").await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..2 {
        let hint = client.get("/").await;
        let fields: Vec<&str> = hint.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((hint.status, hint.header("link"), &*fields), (103, Some("</a.css>"), &["link"][..]));
        assert_eq!(client.answer().await.status, 102);
        assert_eq!(client.answer().await.body, "done");
    }
    let mut old = balancer.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.body, "done");
}

/// Answers as soon as it has a head, and reads nothing of the body.
async fn refusing_unread() -> Worker {
    Worker::start(|mut conversation: Conversation| async move {
        conversation.head().await.unwrap();
        conversation.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await;
        conversation.hang().await;
    })
    .await
}

/// What was answered before all of it was read does not cost the connection.
#[tokio::test]
async fn a_body_that_nobody_read_is_skipped() {
    let worker = refusing_unread().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 401);
        client.send(&"x".repeat(200_000)).await;
    }
}

/// But one that goes on and on does.
#[tokio::test]
async fn a_long_body_that_nobody_read_is_cut() {
    let worker = refusing_unread().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000000\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 401);
    let more = vec![b'x'; 64 * 1024];
    let sent =
        async { while tokio::io::AsyncWriteExt::write_all(&mut client.stream, &more).await.is_ok() {} };
    soon("closed on", sent).await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let worker = Worker::start(|mut conversation| async move {
        let head = conversation.head().await.unwrap();
        assert!(head.contains("trailer: x-sum\r\n"), "{head}");
        let body = conversation.through(b"\r\n\r\n").await.unwrap();
        assert!(body.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{body}");
        conversation
            .send("HTTP/1.1 200 OK\r\ntrailer: x-took\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-took: 2\r\n\r\n")
            .await;
        conversation.hang().await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n")
        .await;
    let answer = client.rest().await;
    assert!(answer.ends_with("2\r\nok\r\n0\r\nx-took: 2\r\n\r\n"), "{answer}");
}
