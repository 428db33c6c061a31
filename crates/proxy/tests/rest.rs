//! Connections that give up their parser between requests, and get another with the next.

use std::num::NonZeroUsize;

use crate::support::{Client, Setup, Worker};

/// More than a thread lets keep their parsers.
const CROWD: usize = 300;

#[tokio::test]
async fn in_a_crowd_every_request_finds_its_connection_as_it_was() {
    let worker = Worker::answering("hello").await;
    let balancer = Setup::with(|config| config.threads = NonZeroUsize::MIN).before(&[&worker]);
    let mut crowd: Vec<Client> = Vec::new();
    for _ in 0..CROWD {
        crowd.push(balancer.connect().await);
    }
    for round in 0..3 {
        for client in &mut crowd {
            assert_eq!(client.get(&format!("/{round}")).await.body, "hello");
        }
    }
    let client = &mut crowd[0];
    // Several at once, and one in pieces.
    client.send(&"GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(40)).await;
    for _ in 0..40 {
        assert_eq!(client.answer().await.body, "hello");
    }
    client.send("POST / HTTP/1.1\r\nhost: te").await;
    client.send("st\r\ncontent-length: 4\r\n\r\nab").await;
    client.send("cd").await;
    assert_eq!(client.answer().await.body, "hello");
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert_eq!(client.answer().await.header("connection"), Some("close"));
    assert_eq!(client.rest().await, "", "closed as asked");
    let client = &mut crowd[1];
    client.send("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await, "");
}
