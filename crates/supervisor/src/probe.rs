//! Asking a worker how it is.
//!
//! An app without a health endpoint must do as well, so what counts is that it speaks: any
//! answer but a server error passes, and one that accepts the connection but speaks no HTTP
//! passes as a TCP check would. Silence fails, unless requests ended meanwhile: a busy worker
//! may be slow to answer its probe, and being busy is no reason to be killed.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use control::Event;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use traffic::{Address, Matcher, WorkerId};

use crate::process::HOST;

/// Told to the worker, so that it can leave probes out of its own statistics.
const USER_AGENT: &str = concat!("autoscale-probe/", env!("CARGO_PKG_VERSION"));
/// A new worker is asked this often in its first second, …
const STARTING_FIRST: Duration = Duration::from_millis(25);
/// … and this often thereafter: whoever takes longer will not miss the difference.
const STARTING_LATER: Duration = Duration::from_millis(50);
const FIRST_SECOND: Duration = Duration::from_secs(1);

/// How and how often to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// What to `GET`; begins with a slash.
    pub path: String,
    /// Where, if not where requests go.
    pub port: Option<u16>,
    /// Statuses that pass; `None`: whatever speaks and is no server error.
    pub matcher: Option<Matcher>,
    /// How often a worker that was ready is asked.
    pub interval: Duration,
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { path: "/healthz".to_owned(), port: None, matcher: None, interval: second, timeout: second }
    }
}

/// How many requests a worker has ended so far; only whether it grows matters.
pub type Progress = Arc<dyn Fn(WorkerId) -> u64 + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(String),
    /// Connected, but not a word in time.
    Silent(String),
}

/// Asks once.
pub(crate) async fn probe(address: &Address, config: &ProbeConfig, clock: Clock) -> Verdict {
    let tcp = match (address, config.port) {
        (Address::Tcp(address), port) => SocketAddr::new(address.ip(), port.unwrap_or(address.port())),
        (Address::Unix(_), Some(port)) => SocketAddr::from((HOST, port)),
        (Address::Unix(path), None) => {
            return probe_over(UnixStream::connect(path), path.display(), "localhost", config, clock).await;
        }
    };
    probe_over(TcpStream::connect(tcp), tcp, &tcp.to_string(), config, clock).await
}

async fn probe_over<S: AsyncRead + AsyncWrite + Unpin>(
    connecting: impl Future<Output = std::io::Result<S>>,
    address: impl Display,
    host: &str,
    config: &ProbeConfig,
    clock: Clock,
) -> Verdict {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let limit = config.timeout.as_secs_f64();
    let begun = clock.uptime();
    let stream = match clock.timeout(config.timeout, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if matches!(error.kind(), ConnectionRefused | NotFound) => {
            let hint = "hint: the app must listen on $PORT, or on {socket} if its command says so";
            return Verdict::Failed(format!("nothing listens on {address}; {hint}"));
        }
        Ok(Err(error)) => return Verdict::Failed(format!("no connection to {address}: {error}")),
        Err(_) => return Verdict::Failed(format!("no connection to {address} within {limit} s")),
    };
    let left = config.timeout.saturating_sub(clock.uptime().saturating_sub(begun));
    match clock.timeout(left, ask(stream, host, &config.path)).await {
        Ok(Ok(status)) if !passes(status, config) => {
            Verdict::Failed(format!("GET {} answered {status}", config.path))
        }
        Ok(Err(_)) if config.matcher.is_some() => {
            Verdict::Failed(format!("GET {} was not answered in HTTP", config.path))
        }
        // An error is a connection that was closed or that speaks no HTTP: something listens there.
        Ok(Ok(_) | Err(_)) => Verdict::Passed,
        Err(_) => Verdict::Silent(format!("GET {} was not answered within {limit} s", config.path)),
    }
}

fn passes(status: StatusCode, config: &ProbeConfig) -> bool {
    match &config.matcher {
        Some(matcher) => matcher.matches(status.as_u16()),
        None => !status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED,
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("the configuration checked the path");
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    tokio::select! {
        biased;
        answer = &mut answer => Ok(answer?.status()),
        // The connection may end by itself once it has handed the answer over.
        ended = &mut connection => { ended?; Ok(answer.await?.status()) }
    }
}

/// Asks a worker for as long as it lives, fast until it has passed, and tells the fleet.
pub(crate) async fn watch(
    id: WorkerId,
    address: Address,
    config: ProbeConfig,
    passes_needed: u32,
    progress: Option<Progress>,
    told: mpsc::Sender<Event>,
    clock: Clock,
) {
    let first = clock.uptime();
    let ended = || progress.as_ref().map_or(0, |progress| progress(id));
    let mut passes = 0;
    loop {
        let begun = clock.uptime();
        let ended_before = ended();
        let event = match probe(&address, &config, clock).await {
            Verdict::Passed => {
                passes += 1;
                Some(Event::ProbePassed { id })
            }
            Verdict::Silent(_) if ended() != ended_before => None,
            Verdict::Failed(because) | Verdict::Silent(because) => {
                // A worker that was ready is not asked faster for having trouble.
                passes = if passes < passes_needed { 0 } else { passes };
                Some(Event::ProbeFailed { id, because })
            }
        };
        if let Some(event) = event
            && told.send(event).await.is_err()
        {
            return;
        }
        let interval = match clock.uptime().saturating_sub(first) {
            _ if passes >= passes_needed => config.interval,
            age if age < FIRST_SECOND => STARTING_FIRST,
            _ => STARTING_LATER,
        };
        clock.sleep(interval.saturating_sub(clock.uptime().saturating_sub(begun))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What a probe makes of a server that answers with these bytes and closes; `None` never answers.
    async fn verdict_on(answer: Option<&'static str>) -> (Verdict, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let count = stream.read(&mut asked).await.unwrap();
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => drop(stream.read(&mut [0; 1]).await),
            }
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        let timeout = Duration::from_millis(if answer.is_some() { 20_000 } else { 100 });
        let config = ProbeConfig { timeout, ..ProbeConfig::default() };
        let verdict = probe(&Address::Tcp(address), &config, Clock::start()).await;
        (verdict, server.await.unwrap())
    }

    #[tokio::test]
    async fn an_app_needs_no_health_endpoint_but_must_speak() {
        let ok = [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.0 302 Found\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\n\r\n",
            "HTTP/1.1 501 Not Implemented\r\n\r\n",
            "-ERR unknown command\r\n",
            "",
        ];
        for answer in ok {
            let (verdict, asked) = verdict_on(Some(answer)).await;
            assert_eq!(verdict, Verdict::Passed, "{answer:?}");
            assert!(asked.starts_with("GET /healthz HTTP/1.1\r\n") && asked.contains("autoscale-probe/"));
        }
        let (verdict, _) = verdict_on(Some("HTTP/1.1 503 Starting\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(verdict, Verdict::Failed("GET /healthz answered 503 Service Unavailable".to_owned()));
        let alb = ProbeConfig { matcher: Some(Matcher::new(200, 200)), ..ProbeConfig::default() };
        let at = |status| StatusCode::from_u16(status).unwrap();
        assert!(passes(at(200), &alb) && !passes(at(404), &alb));
        let (verdict, _) = verdict_on(None).await;
        assert_eq!(verdict, Verdict::Silent("GET /healthz was not answered within 0.1 s".to_owned()));
    }

    #[tokio::test]
    async fn silence_is_forgiven_while_requests_end() {
        use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked_once_more, mut asked) = mpsc::channel(64);
        let silent = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
                let _ = asked_once_more.try_send(());
            }
        });
        let (is_busy, ended) = (Arc::new(AtomicBool::new(true)), AtomicU64::new(0));
        let busy = Arc::clone(&is_busy);
        let progress: Progress =
            Arc::new(move |_| ended.fetch_add(u64::from(busy.load(Ordering::Relaxed)), Ordering::Relaxed));
        let (told, mut events) = mpsc::channel(64);
        let short = Duration::from_millis(20);
        let config = ProbeConfig { timeout: short, interval: short, ..ProbeConfig::default() };
        let id = WorkerId { slot: 1, run: 1 };
        let prober =
            tokio::spawn(watch(id, Address::Tcp(address), config, 1, Some(progress), told, Clock::start()));
        for _ in 0..5 {
            asked.recv().await.unwrap();
        }
        assert!(events.try_recv().is_err(), "four silences, and nothing to complain about");
        is_busy.store(false, Ordering::Relaxed);
        assert!(matches!(events.recv().await, Some(Event::ProbeFailed { .. })), "now it is");
        prober.abort();
        silent.abort();
    }

    #[tokio::test]
    async fn nobody_there_fails_with_a_hint() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let Verdict::Failed(because) =
            probe(&Address::Tcp(free), &ProbeConfig::default(), Clock::start()).await
        else {
            panic!("nothing listens there");
        };
        assert!(because.contains("nothing listens on") && because.contains("$PORT"), "{because}");
    }
}
