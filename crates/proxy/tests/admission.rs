//! Who gets in: lists, rates, deadlines; and who stays with whom.

use std::time::Duration;

use proxy::Rate;

use crate::support::{Setup, Worker};

#[tokio::test]
async fn others_than_those_allowed_are_refused() {
    let worker = Worker::answering("ok").await;
    let balancer =
        Setup::with(|config| config.allowed = vec!["10.0.0.0/8".parse().unwrap()]).before(&[&worker]);
    let answer = balancer.get("/").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (403, Some("not_allowed")));
    let balancer =
        Setup::with(|config| config.allowed = vec!["127.0.0.1".parse().unwrap()]).before(&[&worker]);
    assert_eq!(balancer.get("/").await.status, 200);
}

#[tokio::test]
async fn who_asks_too_often_is_told_so() {
    let worker = Worker::answering("ok").await;
    let rate = Rate { per_second: 0.001, burst: 3.0 };
    let balancer = Setup::with(|config| config.rate_limit = Some(rate)).before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let refused = client.get("/").await;
    assert_eq!((refused.status, refused.header("x-autoscale-reason")), (429, Some("rate_limited")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(worker.seen().len(), 3);
    assert_eq!(client.get("/").await.status, 429, "the connection goes on");
}

#[tokio::test]
async fn a_trusted_proxy_is_asked_for_whom_it_asks() {
    let worker = Worker::answering("ok").await;
    let rate = Rate { per_second: 0.001, burst: 1.0 };
    let setup = Setup::with(|config| {
        config.rate_limit = Some(rate);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let balancer = setup.before(&[&worker]);
    let mut client = balancer.connect().await;
    for (named, status) in [("8.8.8.8", 200), ("9.9.9.9", 200), ("1.1.1.1, 8.8.8.8", 429)] {
        client.send(&format!("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {named}\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, status, "{named}");
    }
}

#[tokio::test]
async fn a_request_has_its_deadline_whatever_it_waits_for() {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    for workers in [vec![], vec![&worker]] {
        let setup = Setup::with(|config| config.request_timeout = Some(Duration::from_millis(50)));
        let balancer = setup.before(&workers);
        let answer = balancer.get("/").await;
        assert_eq!((answer.status, answer.header("x-autoscale-reason")), (504, Some("deadline")));
        assert_eq!(balancer.in_flight(), 0);
    }
}

#[tokio::test]
async fn a_cookie_keeps_a_browser_with_its_worker() {
    let workers = [Worker::answering("1").await, Worker::answering("2").await, Worker::answering("3").await];
    let setup = Setup { algorithm: "sticky_cookie", ..Setup::default() };
    let balancer = setup.before(&workers.each_ref());
    let mut client = balancer.connect().await;
    client.get("/").await;
    let first = client.get("/").await;
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("autoscale_worker=w"), "{cookie}");
    for _ in 0..5 {
        client.send(&format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: a=b; {cookie}\r\n\r\n")).await;
        let again = client.answer().await;
        assert_eq!((again.body.as_str(), again.header("set-cookie")), (first.body.as_str(), None));
    }
    client.send("GET / HTTP/1.1\r\nhost: a\r\ncookie: autoscale_worker=w9.1\r\n\r\n").await;
    assert!(client.answer().await.header("set-cookie").is_some(), "its worker is gone: another");
}
