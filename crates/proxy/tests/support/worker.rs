//! A worker that follows a script, connection by connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Listens on a port of its own; dropped, it closes everything, as a killed process does.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    /// Keeps a dead worker's port, so that it refuses and no other test's server answers there.
    grave: Mutex<Option<TcpSocket>>,
}

/// One connection to a worker.
pub(crate) struct Conversation {
    pub(crate) stream: TcpStream,
    /// The how-manieth connection it is, counted from 1.
    pub(crate) number: usize,
    buffer: Vec<u8>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Worker {
    /// Runs `script` on each connection.
    pub(crate) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Conversation) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(super::loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                // Dropped with the task: a killed worker's connections are cut.
                let mut conversations = JoinSet::new();
                for number in 1.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let seen = Arc::clone(&seen);
                    conversations.spawn(script(Conversation { stream, number, buffer: Vec::new(), seen }));
                }
            }
        });
        Self { address, seen, task, grave: Mutex::default() }
    }

    /// Answers every request with 200 and `body`.
    pub(crate) async fn answering(body: &'static str) -> Self {
        Self::start(move |mut conversation| async move {
            while conversation.request().await.is_some() {
                conversation.answer(body).await;
            }
        })
        .await
    }

    /// An address that refuses connections.
    pub(crate) async fn refusing() -> Self {
        let worker = Self::answering("never").await;
        worker.kill().await;
        worker
    }

    /// Closes listener and connections; from then on the address refuses.
    pub(crate) async fn kill(&self) {
        self.task.abort();
        super::until("the worker is dead", || self.task.is_finished()).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        *self.grave.lock().unwrap() = Some(socket);
    }

    /// Listens again where a killed worker did.
    pub(crate) fn rise(&self) -> TcpListener {
        self.grave.lock().unwrap().take().unwrap().listen(16).unwrap()
    }

    /// The heads, and bodies if whole, of all requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Conversation {
    /// The next request whole, head and body as they came; `None` when the other side closes.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let mut request = self.head().await?;
        let lower = request.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        if let Some(length) = length {
            request.push_str(&self.exactly(length.parse().unwrap()).await?);
        } else if lower.contains("transfer-encoding: chunked") {
            request.push_str(&self.chunks().await?);
        }
        self.seen.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// A chunked body as it comes, trailers included.
    async fn chunks(&mut self) -> Option<String> {
        let mut chunks = String::new();
        loop {
            let line = self.through(b"\r\n").await?;
            chunks.push_str(&line);
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            if size == 0 {
                break;
            }
            chunks.push_str(&self.exactly(size + 2).await?);
        }
        while !chunks.ends_with("\r\n\r\n") {
            chunks.push_str(&self.through(b"\r\n").await?);
        }
        Some(chunks)
    }

    /// The next request's head, with its empty line.
    pub(crate) async fn head(&mut self) -> Option<String> {
        self.through(b"\r\n\r\n").await
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Option<String> {
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        Some(String::from_utf8(self.buffer.drain(..length).collect()).unwrap())
    }

    /// All up to and with `mark`.
    pub(crate) async fn through(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.exactly(at + mark.len()).await;
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap_or(0);
        (read > 0).then_some(())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// False when the balancer has gone.
    pub(crate) async fn try_send(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).await.is_ok()
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        // The balancer may have gone; then there is nobody to tell.
        let _ = self.stream.write_all(bytes).await;
    }

    /// 200 with `body`, length told.
    pub(crate) async fn answer(&mut self, body: &str) {
        self.send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Does nothing until the other side closes.
    pub(crate) async fn hang(&mut self) {
        while self.read_more().await.is_some() {}
    }
}
