//! A tiny HTTP server that does what a test needs: answers, waits, refuses or keeps silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does with each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) status: u16,
    pub(crate) delay: Duration,
    pub(crate) silent: bool,
    pub(crate) closes: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { status: 200, delay: Duration::ZERO, silent: false, closes: false }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (requests, connections) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let accepting = tokio::spawn({
            let (requests, connections) = (Arc::clone(&requests), Arc::clone(&connections));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, manner, Arc::clone(&requests)));
                }
            }
        });
        Self { address, requests, connections, accepting }
    }

    /// Requests whose header came in whole.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, requests: Arc<AtomicU64>) {
    let mut read = Vec::new();
    while let Ok(length @ 1..) = stream.read_buf(&mut read).await {
        assert!(length > 0);
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            read.drain(..end + 4);
            requests.fetch_add(1, Ordering::SeqCst);
            if manner.silent {
                continue;
            }
            // The server is meant to be slow; nothing waits for it to be done.
            Clock::start().sleep(manner.delay).await;
            let close = if manner.closes { "connection: close\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 {} Answer\r\nx-worker: w1\r\n{close}content-length: 5\r\n\r\nhello",
                manner.status
            );
            if stream.write_all(answer.as_bytes()).await.is_err() || manner.closes {
                return;
            }
        }
    }
}
