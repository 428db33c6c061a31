//! PROXY headers: believed from those who are to send them, and from nobody else.

use crate::support::{Setup, Worker};

#[tokio::test]
async fn the_client_is_whom_the_header_names() {
    let worker = Worker::answering("hello").await;
    let balancer =
        Setup::with(|config| config.proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()]).before(&[&worker]);
    let request = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut client = balancer.connect().await;
    client.send("PROXY TCP4 192.0.2.1 192.0.2").await;
    client.send(&format!(".2 5 443\r\n{request}")).await;
    assert_eq!(client.answer().await.body, "hello");
    assert_eq!(client.get("/again").await.body, "hello", "one header is enough for a connection");
    for seen in worker.seen() {
        assert!(seen.contains("x-forwarded-for: 192.0.2.1\r\n"), "{seen}");
    }
    let mut client = balancer.connect().await;
    client.send("PROXY UNKNOWN\r\n").await;
    client.send(request).await;
    assert_eq!(client.answer().await.body, "hello");
    assert!(worker.seen()[2].contains("x-forwarded-for: 127.0.0.1\r\n"));
    let mut client = balancer.connect().await;
    client.send(request).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-autoscale-reason")), (400, Some("bad_proxy_header")));
    assert_eq!(worker.seen().len(), 3);
}

#[tokio::test]
async fn nobody_else_may_say_whom_it_speaks_for() {
    let worker = Worker::answering("hello").await;
    let balancer = Setup::with(|config| config.proxy_protocol = vec!["192.0.2.0/24".parse().unwrap()])
        .before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 5 443\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(worker.seen(), Vec::<String>::new());
    assert_eq!(balancer.get("/").await.body, "hello");
}
