//! Clients that end their side after a request, and listen on.

use std::time::Duration;

use crate::support::{Balancer, Conversation, Setup, Worker, pass, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test]
async fn the_answer_still_comes() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        while let Some(request) = conversation.request().await {
            // Time for the balancer to see that the client has ended.
            pass(Duration::from_millis(100)).await;
            if request.starts_with("GET") {
                conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n").await;
                pass(Duration::from_millis(100)).await;
                conversation.send("2\r\ncd\r\n0\r\n\r\n").await;
            } else {
                conversation.answer("abcd").await;
            }
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    for request in [GET, "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab"] {
        let mut client = balancer.connect().await;
        client.send(request).await;
        client.close_sending().await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &*answer.body), (200, "abcd"));
        assert_eq!(client.rest().await, "", "closed, as there can be no next request");
    }
    until("both are closed", || balancer.router.connections() == 0).await;
    assert_eq!((balancer.reading().completions, balancer.reading().cancelled), (2, 0));
}

#[tokio::test]
async fn several_requests_are_answered_in_turn() {
    let worker = Worker::answering("hello").await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send(&GET.repeat(5)).await;
    client.close_sending().await;
    for _ in 0..5 {
        assert_eq!(client.answer().await.body, "hello");
    }
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_that_may_have_gone_is_not_believed_in_for_ever() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send(GET).await;
    until("at the worker", || balancer.in_flight() == 1).await;
    client.close_sending().await;
    until("the worker is free", || balancer.in_flight() == 0).await;
    assert_eq!(balancer.reading().cancelled, 1);
}

/// Whoever waits and ends its side gives up its place in the queue at once.
#[tokio::test]
async fn one_that_waits_leaves() {
    let balancer = Setup::with(|config| config.queue_timeout = Duration::from_secs(3_600)).start();
    let mut client = balancer.connect().await;
    client.send(GET).await;
    until("waiting", || balancer.reading().queued == 1).await;
    client.close_sending().await;
    until("left", || balancer.reading().queued == 0).await;
    assert_eq!(soon("closed", client.rest()).await, "");
}
