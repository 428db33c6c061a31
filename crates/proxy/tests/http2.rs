//! HTTP/2, by prior knowledge and in TLS: the same road, as strict, within bounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{Balancer, Client, Conversation, Setup, Worker, soon, until};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn speak(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Full<Bytes>> {
    let (sender, connection) =
        soon("handshake", http2::handshake(TokioExecutor::new(), TokioIo::new(io))).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn connect(balancer: &Balancer) -> SendRequest<Full<Bytes>> {
    speak(TcpStream::connect(balancer.proxy.local_addr()).await.unwrap()).await
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
    body: &'static str,
) -> Response<Incoming> {
    let request = request.body(Full::from(body)).unwrap();
    soon("answer", sender.send_request(request)).await.unwrap()
}

async fn text(answer: Response<Incoming>) -> String {
    let body = soon("body", answer.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn requests_of_one_connection_go_side_by_side() {
    let worker = Worker::answering("hello").await;
    let balancer = Balancer::before(&[&worker]);
    let mut sender = connect(&balancer).await;
    let get = || Request::get("http://shop.test/a?b").header("cookie", "a=1").header("cookie", "b=2");
    let answers = futures_util::future::join_all((0..20).map(|_| {
        let mut sender = sender.clone();
        async move { text(ask(&mut sender, get(), "").await).await }
    }))
    .await;
    assert!(answers.iter().all(|answer| answer == "hello"));
    let seen = &worker.seen()[0];
    for field in ["GET /a?b HTTP/1.1", "host: shop.test", "via: 2.0 autoscale", "cookie: a=1; b=2"] {
        assert!(seen.contains(field), "{field} in {seen}");
    }
    let posted = ask(&mut sender, Request::post("http://shop.test/p"), "12345").await;
    assert_eq!(posted.status(), StatusCode::OK);
    until("the body arrives", || worker.seen().iter().any(|seen| seen.contains("content-length: 5"))).await;
    assert_eq!(balancer.in_flight(), 0);
}

/// A client that waits with its body hears that it may send it, and what the worker says meanwhile.
#[tokio::test]
async fn interim_answers_come_before_the_answer() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        let request = conversation.request().await.unwrap();
        assert!(request.ends_with("hello") && !request.contains("expect"), "{request}");
        conversation.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await;
        conversation.answer("done").await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let socket = TcpStream::connect(balancer.proxy.local_addr()).await.unwrap();
    let (mut sender, connection) = soon("handshake", h2::client::handshake(socket)).await.unwrap();
    tokio::spawn(connection);
    let post = Request::post("http://a.test/").header("expect", "100-continue").header("content-length", "5");
    let (mut answer, mut body) = sender.send_request(post.body(()).unwrap(), false).unwrap();
    let go_on = soon("100", std::future::poll_fn(|cx| answer.poll_informational(cx))).await.unwrap().unwrap();
    assert_eq!(go_on.status(), StatusCode::CONTINUE);
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let hint = soon("103", std::future::poll_fn(|cx| answer.poll_informational(cx))).await.unwrap().unwrap();
    assert_eq!(
        (hint.status(), &hint.headers()["link"]),
        (StatusCode::EARLY_HINTS, &"</a.css>".parse().unwrap())
    );
    let answer = soon("answer", answer).await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["content-length"].as_bytes()),
        (StatusCode::OK, b"4".as_slice())
    );
}

#[tokio::test]
async fn what_http_1_could_misread_never_gets_to_a_worker() {
    let worker = Worker::answering("hello").await;
    let balancer = Balancer::before(&[&worker]);
    let mut sender = connect(&balancer).await;
    for (request, body) in [
        (Request::get("http://a.test/").header("host", "b.test"), ""),
        (Request::get("http://a.test/").header("host", "a.test").header("host", "a.test"), ""),
        (Request::get("http://a.test/%zz"), ""),
        (Request::get("http://a.test/").header("x", " a"), ""),
    ] {
        let answer = ask(&mut sender, request, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(worker.seen(), Vec::<String>::new());
}

/// A field by its letters, never indexed (RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// A request on stream 1, with frames that no client library would send.
async fn raw(balancer: &Balancer, fields: &[(&str, &str)]) -> Client {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    let mut client = balancer.connect().await;
    client.send_bytes(PREFACE).await;
    client.send_bytes(EMPTY_SETTINGS).await;
    // HEADERS with END_STREAM and END_HEADERS.
    let head = [0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1];
    client.send_bytes(&[&head[..], &block].concat()).await;
    client
}

#[tokio::test]
async fn malformed_streams_are_reset_or_refused() {
    let worker = Worker::answering("hello").await;
    let balancer = Balancer::before(&[&worker]);
    let get = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];
    let with = |more: &[(&'static str, &'static str)]| [&get[..], more].concat();
    for fields in [
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[("X-Capital", "1")]),
        with(&[("x", "a\r\nhost: b")]),
        with(&[("x\r\nhost: b", "a")]),
        with(&[("x", "a\0b")]),
        with(&[("content-length", "5")]),
        with(&[(":path", "/two")]),
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test\r\nx: y")],
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1\r\nx: y"), (":authority", "a")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a.test")],
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/")],
        vec![(":method", "CONNECT"), (":authority", "a.test:80")],
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ],
    ] {
        let mut client = raw(&balancer, &fields).await;
        // Whatever it says, it ends: a PING on a connection that goes on is answered.
        client.send_bytes(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
        client.close_sending().await;
        client.rest_bytes().await;
        assert_eq!(worker.seen(), Vec::<String>::new(), "{fields:?}");
    }
    let mut client = raw(&balancer, &get).await;
    until("a clean one gets through", || worker.seen().len() == 1).await;
    client.close_sending().await;
}

#[tokio::test]
async fn a_client_that_resets_what_it_asks_is_sent_away() {
    let worker = Worker::answering("hello").await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send_bytes(PREFACE).await;
    client.send_bytes(EMPTY_SETTINGS).await;
    let block: Vec<u8> = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();
    let mut flood = Vec::new();
    for stream in (1..2_000_u32).step_by(2) {
        let id = stream.to_be_bytes();
        flood.extend([0, 0, u8::try_from(block.len()).unwrap(), 1, 5]);
        flood.extend(id);
        flood.extend(&block);
        flood.extend([0, 0, 4, 3, 0]);
        flood.extend(id);
        flood.extend([0, 0, 0, 8]);
    }
    // The balancer may hang up before all of it is sent.
    let _ = soon("flood", tokio::io::AsyncWriteExt::write_all(&mut client.stream, &flood)).await;
    // It closes by itself: GOAWAY with ENHANCE_YOUR_CALM (RFC 9113, 7).
    client.rest_bytes().await;
    assert!(worker.seen().len() < 500, "{} of 1000 got through", worker.seen().len());
}

#[tokio::test]
async fn an_answer_that_the_client_does_not_take_gives_the_worker_back() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await.unwrap();
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await;
        let piece = "x".repeat(100_000);
        for _ in 0..1_000 {
            if !conversation.try_send(&piece).await {
                return;
            }
        }
    })
    .await;
    let balancer = Setup::with(|config| config.send_timeout = Duration::from_millis(200)).before(&[&worker]);
    let mut sender = connect(&balancer).await;
    let answer = ask(&mut sender, Request::get("http://a.test/"), "").await;
    until("the worker is free", || balancer.in_flight() == 0).await;
    assert!(soon("body", answer.into_body().collect()).await.is_err(), "broken off, and told so");
}

/// A certificate that is its own authority, and its key.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn tls((certificate, key): &(String, String)) -> proxy::Tls {
    proxy::Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap()
}

/// Connects in TLS, trusting one certificate, offering one protocol; the stream, and the protocol
/// agreed on.
async fn secure(
    balancer: &Balancer,
    trusted: &str,
    alpn: &str,
) -> Option<(tokio_rustls::client::TlsStream<TcpStream>, Option<Vec<u8>>)> {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let tcp = TcpStream::connect(balancer.proxy.local_addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = soon("TLS", connected).await.ok()?;
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    Some((stream, agreed))
}

#[tokio::test]
async fn tls_carries_both_and_its_certificate_changes_under_open_connections() {
    let worker = Worker::answering("hello").await;
    let (first, second) = (certificate(), certificate());
    let shown = Arc::new(tls(&first));
    let balancer = Setup::with(|config| config.tls = Some(Arc::clone(&shown))).before(&[&worker]);
    let (stream, agreed) = secure(&balancer, &first.0, "h2").await.unwrap();
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
    let mut sender = speak(stream).await;
    let get = || Request::get("https://localhost/");
    assert_eq!(text(ask(&mut sender, get(), "").await).await, "hello");
    assert!(worker.seen()[0].contains("x-forwarded-proto: https"), "{:?}", worker.seen());

    assert!(shown.replace(second.0.as_bytes(), first.1.as_bytes()).is_err(), "not its key");
    assert!(secure(&balancer, &first.0, "h2").await.is_some(), "the old one stays");
    shown.replace(second.0.as_bytes(), second.1.as_bytes()).unwrap();
    assert!(secure(&balancer, &first.0, "h2").await.is_none());
    let (mut stream, agreed) = secure(&balancer, &second.0, "http/1.1").await.unwrap();
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut said = String::new();
    let _ = soon("answer", tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said)).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("hello"), "{said}");
    assert_eq!(text(ask(&mut sender, get(), "").await).await, "hello", "the first still stands");
}

#[tokio::test]
async fn plain_http_is_sent_to_tls() {
    let worker = Worker::answering("hello").await;
    let balancer = Setup::with(|config| config.tls = Some(Arc::new(tls(&certificate())))).before(&[&worker]);
    let port = balancer.proxy.local_addr().port();
    let answer = balancer.get("/a?b").await;
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some(&*format!("https://test:{port}/a?b")));
    let mut client = balancer.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\nx").await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(worker.seen(), Vec::<String>::new());
}
