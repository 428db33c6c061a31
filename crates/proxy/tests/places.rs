//! More clients than there is place for.

use std::time::Duration;

use crate::support::{Balancer, Client, Setup, Worker, route, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// A balancer with one place, and the client that has it: it waits for its answer.
async fn full() -> (Balancer, Client, Worker) {
    let worker = Worker::start(|mut conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let balancer = Setup::with(|config| config.connections_max = 1).before(&[&worker]);
    let mut first = balancer.connect().await;
    first.send(GET).await;
    until("at the worker", || balancer.in_flight() == 1).await;
    (balancer, first, worker)
}

#[tokio::test]
async fn beyond_the_last_place_a_client_is_told_so_at_once() {
    let (balancer, _first, _worker) = full().await;
    let mut second = balancer.connect().await;
    let answer = second.get("/").await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (503, Some("max_connections")));
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("1"), Some("close")));
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
    assert!(answer.body.starts_with("503 1 connections are open already; hint: "), "{}", answer.body);
    assert_eq!(second.rest().await, "", "closed");
    let mut third = balancer.connect().await;
    third.send("HEAD / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answer = third.answer_to("HEAD").await;
    assert_eq!((answer.status, answer.header("content-length").is_some()), (503, true));
    assert_eq!(third.rest().await, "", "no body");
    let reading = balancer.reading();
    assert_eq!(reading.refused.get("max_connections"), Some(&2));
    assert_eq!(
        (reading.arrivals, reading.failures(), reading.statuses[4]),
        (3, 2, 2),
        "requests like others"
    );
    assert_eq!(balancer.router.connections(), 1);
}

#[tokio::test]
async fn one_that_speaks_http_2_is_told_in_http_2() {
    let (balancer, _first, _worker) = full().await;
    let mut second = balancer.connect().await;
    second.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let told = second.rest_bytes().await;
    assert_eq!(&told[9..18], [0, 0, 8, 7, 0, 0, 0, 0, 0], "GOAWAY on stream 0");
    assert_eq!(told[18..], [0, 0, 0, 0, 0, 0, 0, 11], "nothing was looked at; be calm");
    assert_eq!(balancer.router.clients_refused(), [("max_connections", 1)]);
}

#[tokio::test]
async fn the_number_of_places_changes_under_load() {
    let (balancer, mut first, _worker) = full().await;
    let good = Worker::answering("good").await;
    assert_eq!(balancer.get("/").await.status, 503);
    balancer.router.replace(&[route(2, good.address)]);
    balancer.router.change(|config| config.connections_max = 2);
    let mut second = balancer.connect().await;
    assert_eq!(second.get("/").await.status, 200);
    balancer.router.change(|config| config.connections_max = 1);
    // The first is busy; the second, once it is at rest, is one too many.
    assert_eq!(soon("closed", second.rest()).await, "");
    until("given back", || balancer.router.connections() == 1).await;
    assert!(first.try_send_byte(b'G').await, "who is busy stays");
}

#[tokio::test]
async fn an_idle_client_gives_way_to_a_new_one() {
    let worker = Worker::answering("hello").await;
    let setup = Setup::with(|config| {
        config.connections_max = 2;
        config.idle_timeout = Duration::from_secs(3_600);
    });
    let balancer = setup.before(&[&worker]);
    let (mut oldest, mut other) = (balancer.connect().await, balancer.connect().await);
    assert_eq!((oldest.get("/").await.status, other.get("/").await.status), (200, 200));
    // A connection counts as idle only after a while, and a new client does not wait for that.
    let served = async {
        loop {
            let mut newcomer = balancer.connect().await;
            newcomer.send(GET).await;
            if newcomer.answer().await.status == 200 {
                return newcomer;
            }
        }
    };
    let mut newcomer = soon("served", served).await;
    assert_eq!(newcomer.get("/").await.body, "hello");
    tokio::select! {
        said = oldest.rest() => assert_eq!(said, ""),
        said = other.rest() => assert_eq!(said, ""),
    }
    assert_eq!(balancer.router.connections(), 2);
}
