//! A worker whose queue of connections is full.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{Setup, Worker, loopback, route, soon};

/// A listener with room for one connection, which is there and never accepted.
async fn full() -> (SocketAddr, TcpListener, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(loopback()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let first = soon("the one place", TcpStream::connect(address)).await.unwrap();
    (address, listener, first)
}

const POST: &str = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab";

#[tokio::test]
async fn a_post_that_no_queue_had_room_for_goes_elsewhere() {
    let (address, _listener, _first) = full().await;
    let worker = Worker::answering("hello").await;
    let mut setup = Setup::with(|config| config.connect_timeout = Duration::from_millis(100));
    setup.algorithm = "round_robin";
    let balancer = setup.start();
    balancer.router.replace(&[route(1, address), route(2, worker.address)]);
    for _ in 0..2 {
        let mut client = balancer.connect().await;
        client.send(POST).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &*answer.body), (200, "hello"));
    }
    assert_eq!(worker.seen().len(), 2, "each once");
}

#[tokio::test]
async fn tries_to_connect_use_up_the_waiting_time() {
    let (address, _listener, _first) = full().await;
    let balancer = Setup::with(|config| {
        config.connect_timeout = Duration::from_millis(500);
        config.queue_timeout = Duration::from_secs(1);
    })
    .start();
    balancer.router.replace(&[route(1, address)]);
    let mut client = balancer.connect().await;
    client.send(POST).await;
    // As many tries as there may be at most would take half a minute.
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (502, Some("connect_failed")));
}
