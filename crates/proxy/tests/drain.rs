//! A worker taken out of rotation finishes what it has, and that is noticed once.

use std::time::Duration;

use crate::support::{Balancer, Conversation, Setup, Worker, id, pass, soon, until};

/// Begins each answer, and ends it when the client has sent the rest of its request.
async fn patient() -> Worker {
    Worker::start(|mut conversation: Conversation| async move {
        while conversation.head().await.is_some() {
            conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n").await;
            if conversation.through(b"0\r\n\r\n").await.is_none() {
                return;
            }
            conversation.send("0\r\n\r\n").await;
        }
    })
    .await
}

const BEGIN: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &str = "0\r\n\r\n";

#[tokio::test]
async fn a_retired_worker_finishes_its_answer_and_is_reported_once() {
    let (old, new) = (patient().await, Worker::answering("new").await);
    let balancer = Balancer::before(&[&old]);
    let mut client = balancer.connect().await;
    client.send(BEGIN).await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.chunk().await.as_deref(), Some("begun"));
    let mut successor = crate::support::route(2, new.address);
    successor.id.run = 1;
    assert_eq!(balancer.router.replace(&[successor]).len(), 1);
    assert_eq!(balancer.drained(), [], "a request is left");
    assert_eq!(balancer.get("/").await.body, "new", "others go elsewhere");
    client.send(END).await;
    assert_eq!(client.chunk().await, None);
    until("reported", || balancer.drained() == [id(1)]).await;
    assert_eq!(balancer.get("/").await.body, "new");
    pass(Duration::from_millis(20)).await;
    assert_eq!(balancer.drained(), [id(1)], "once");
}

#[tokio::test]
async fn an_idle_worker_is_reported_before_replace_returns() {
    let worker = Worker::answering("ok").await;
    let balancer = Balancer::before(&[&worker]);
    assert_eq!(balancer.get("/").await.status, 200);
    balancer.router.replace(&[]);
    assert_eq!(balancer.drained(), [id(1)]);
}

#[tokio::test]
async fn a_revived_worker_keeps_its_requests_and_is_not_reported() {
    let worker = patient().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send(BEGIN).await;
    client.head().await;
    balancer.router.replace(&[]);
    balancer.route(&[&worker]);
    assert_eq!(balancer.in_flight(), 1, "the count has survived");
    client.chunk().await;
    client.send(END).await;
    assert_eq!(client.chunk().await, None);
    until("ended", || balancer.in_flight() == 0).await;
    assert_eq!(balancer.drained(), []);
    assert_eq!(balancer.router.pool().backends()[0].requests, 1);
}

#[tokio::test]
async fn connections_to_a_retired_worker_are_closed_when_idle() {
    let (closed, mut close) = tokio::sync::mpsc::channel(8);
    let worker = Worker::start(move |mut conversation: Conversation| {
        let closed = closed.clone();
        async move {
            while let Some(head) = conversation.head().await {
                conversation
                    .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n")
                    .await;
                if head.starts_with("POST") {
                    conversation.through(b"0\r\n\r\n").await;
                }
                conversation.send("0\r\n\r\n").await;
            }
            closed.send(()).await.unwrap();
        }
    })
    .await;
    // Long enough for nothing to be closed for having been idle.
    let balancer =
        Setup::with(|config| config.upstream_idle_timeout = Duration::from_secs(3600)).before(&[&worker]);
    let mut busy = balancer.connect().await;
    busy.send(BEGIN).await;
    busy.head().await;
    assert_eq!(balancer.get("/").await.body, "begun");
    assert!(close.try_recv().is_err());
    balancer.router.replace(&[]);
    soon("the idle one is closed at once", close.recv()).await.unwrap();
    assert!(close.try_recv().is_err());
    busy.chunk().await;
    busy.send(END).await;
    assert_eq!(busy.chunk().await, None);
    soon("the busy one when it is done", close.recv()).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_killed_while_draining_is_reported() {
    let worker = patient().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send(BEGIN).await;
    client.head().await;
    balancer.router.replace(&[]);
    worker.kill().await;
    client.rest().await;
    until("reported", || balancer.drained() == [id(1)]).await;
}
