//! Connections that change protocol are passed through, and count as requests in flight.

use std::time::Duration;

use crate::support::{Balancer, Client, Conversation, Worker, id, soon, until};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: test\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: abc\r\n\r\n";

/// Changes protocol, and from then on returns each line in capitals.
async fn shouting() -> Worker {
    Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await.unwrap();
        // The first line of the new protocol comes along with the answer.
        conversation
            .send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nHELLO\n")
            .await;
        while let Some(line) = conversation.through(b"\n").await {
            conversation.send(&line.to_uppercase()).await;
        }
        conversation.send("BYE\n").await;
    })
    .await
}

async fn upgraded(balancer: &Balancer) -> Client {
    let mut client = balancer.connect().await;
    client.send(UPGRADE).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    client
}

#[tokio::test]
async fn bytes_go_both_ways_until_both_ends_are_done() {
    let worker = shouting().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = upgraded(&balancer).await;
    assert_eq!(client.exactly(6).await, "HELLO\n");
    for line in ["one\n", "two\n"] {
        client.send(line).await;
        assert_eq!(client.exactly(4).await, line.to_uppercase());
    }
    assert_eq!(balancer.in_flight(), 1);
    assert!(worker.seen()[0].contains("sec-websocket-key: abc"), "{:?}", worker.seen());
    // One end is done; the other may still speak.
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
    assert_eq!(client.rest().await, "BYE\n");
    until("ended", || balancer.in_flight() == 0).await;
    let reading = balancer.reading();
    assert_eq!((reading.completions, reading.statuses[0], reading.latency.count()), (1, 1, 0));
}

#[tokio::test]
async fn a_draining_worker_waits_for_its_tunnels() {
    let worker = shouting().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = upgraded(&balancer).await;
    balancer.router.replace(&[]);
    client.send("still here\n").await;
    assert_eq!(client.exactly(17).await, "HELLO\nSTILL HERE\n");
    assert_eq!(balancer.drained(), []);
    drop(client);
    until("drained", || balancer.drained() == [id(1)]).await;
}

#[tokio::test]
async fn a_worker_may_decline() {
    let worker = Worker::answering("no").await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send(UPGRADE).await;
    assert_eq!(client.answer().await.body, "no");
    assert_eq!(client.get("/").await.body, "no", "the connection goes on");
}

#[tokio::test]
async fn a_worker_that_changes_protocol_unasked_is_not_believed() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await.unwrap();
        conversation
            .send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            .await;
        conversation.hang().await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.body, "502 worker w1 changed protocol without being asked to\n");
}

#[tokio::test]
async fn a_tunnel_is_cut_when_the_grace_is_over() {
    let worker = shouting().await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = upgraded(&balancer).await;
    let router = balancer.router.clone();
    let shutdown = soon("ended", balancer.proxy.shutdown(Duration::from_millis(50))).await;
    assert_eq!(shutdown.cut, 1);
    assert_eq!(client.rest().await, "HELLO\n");
    assert_eq!(router.pool().backends()[0].in_flight, 0, "the lease was given back");
}
