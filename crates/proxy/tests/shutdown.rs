//! Starting and ending: ports, the last requests, and what is cut.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use proxy::{Config, Proxy, StartError};
use tokio::io::AsyncReadExt;
use traffic::{Meter, Pool};

use crate::support::{Balancer, Client, Conversation, Setup, Worker, loopback, soon, until};

fn start(config: Config) -> Result<Proxy, StartError> {
    let pool = Pool::new(traffic::balance::build(traffic::balance::DEFAULT).unwrap(), None);
    Proxy::start(config, pool, &Meter::default(), Clock::start(), Arc::new(|_| {}))
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let other = TcpListener::bind(loopback()).unwrap();
    let address = other.local_addr().unwrap();
    let error = start(Config::new(address)).unwrap_err();
    let StartError::Listen { cause, .. } = &error else { panic!("{error}") };
    assert_eq!(cause.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn another_balancers_port_is_taken_too() {
    let one = start(Config::new(loopback())).unwrap();
    let error = start(Config::new(one.local_addr())).unwrap_err();
    assert!(
        matches!(&error, StartError::Listen { cause, .. } if cause.kind() == std::io::ErrorKind::AddrInUse)
    );
    let address = one.local_addr();
    one.shutdown(Duration::ZERO).await;
    start(Config::new(address)).unwrap();
}

#[tokio::test]
async fn a_pool_serves_one_proxy() {
    let pool = Pool::new(traffic::balance::build(traffic::balance::DEFAULT).unwrap(), None);
    let begin = |pool: &Arc<Pool>| {
        Proxy::start(
            Config::new(loopback()),
            Arc::clone(pool),
            &Meter::default(),
            Clock::start(),
            Arc::new(|_| {}),
        )
    };
    let _first = begin(&pool).unwrap();
    assert!(matches!(begin(&pool), Err(StartError::Watched(_))));
}

#[tokio::test]
async fn requests_in_flight_are_answered_before_the_end() {
    let (release, released) = tokio::sync::watch::channel(false);
    let worker = Worker::start(move |mut conversation: Conversation| {
        let mut released = released.clone();
        async move {
            while conversation.request().await.is_some() {
                released.wait_for(|free| *free).await.unwrap();
                conversation.answer("at last").await;
            }
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let router = balancer.router.clone();
    let address = balancer.proxy.local_addr();
    let mut idle = balancer.connect().await;
    let requests: Vec<_> =
        (0..10).map(|_| tokio::spawn(async move { Client::connect(address).await.get("/").await })).collect();
    until("at the worker", || balancer.in_flight() == 10).await;
    let ending = tokio::spawn(balancer.proxy.shutdown(Duration::from_secs(60)));
    assert_eq!(idle.rest().await, "", "idle connections are closed");
    assert!(!ending.is_finished());
    release.send_replace(true);
    for request in requests {
        let answer = soon("answered", request).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "at last"));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(soon("ended", ending).await.unwrap().cut, 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
    assert_eq!(router.pool().backends()[0].requests, 10);
}

#[tokio::test]
async fn connections_in_the_backlog_are_served() {
    let worker = Worker::answering("served").await;
    let setup = Setup::with(|config| config.threads = NonZeroUsize::MIN);
    let balancer = setup.before(&[&worker]);
    let address = balancer.proxy.local_addr();
    // So quickly that the single thread has not accepted all of them when it is told to stop.
    let mut backlog: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    for client in &mut backlog {
        std::io::Write::write_all(client, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    }
    let ending = tokio::spawn(balancer.proxy.shutdown(Duration::from_secs(60)));
    for client in backlog {
        assert_eq!(Client::over(client).answer().await.body, "served");
    }
    assert_eq!(soon("ended", ending).await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_place_is_free_again_when_a_connection_closes() {
    let worker = Worker::answering("ok").await;
    // More threads than places: none may keep a place without having a client.
    let setup = Setup::with(|config| {
        config.threads = NonZeroUsize::new(4).unwrap();
        config.connections_max = 1;
    });
    let balancer = setup.before(&[&worker]);
    for _ in 0..40 {
        assert_eq!(balancer.get("/").await.status, 200);
        until("the connection is closed", || balancer.router.connections() == 0).await;
    }
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let router = balancer.router.clone();
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    until("at the worker", || balancer.in_flight() == 1).await;
    let shutdown = soon("ended", balancer.proxy.shutdown(Duration::from_millis(50))).await;
    assert_eq!(shutdown.cut, 1);
    assert_eq!(client.stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert_eq!(router.pool().backends()[0].in_flight, 0);
}

#[tokio::test]
async fn dropping_cuts_at_once() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        conversation.hang().await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let router = balancer.router.clone();
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    until("at the worker", || balancer.in_flight() == 1).await;
    drop(balancer);
    assert_eq!(client.stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    router.replace(&[]);
    assert!(router.pool().backends().is_empty(), "nothing is left at the worker");
}
