//! A client that says exactly what it is told to, and hears exactly what was said.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// One connection to the balancer.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, body decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("connect", TcpStream::connect(address)).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// On a connection made without waiting.
    pub(crate) fn over(stream: std::net::TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        Self { stream: TcpStream::from_std(stream).unwrap(), buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        soon("send", self.stream.write_all(bytes)).await.unwrap();
    }

    /// False when the balancer has closed.
    pub(crate) async fn try_send_byte(&mut self, byte: u8) -> bool {
        soon("send", self.stream.write_all(&[byte])).await.is_ok()
    }

    /// Closes this side only.
    pub(crate) async fn close_sending(&mut self) {
        soon("close", self.stream.shutdown()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        self.answer().await
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// The next answer, to a request of this method.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head().await;
        let bodiless = method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304);
        let length = answer.header("content-length").map(|length| length.parse().unwrap());
        answer.body = if bodiless {
            String::new()
        } else if answer.header("transfer-encoding") == Some("chunked") {
            let mut body = String::new();
            while let Some(chunk) = self.chunk().await {
                body.push_str(&chunk);
            }
            body
        } else if let Some(length) = length {
            self.exactly(length).await
        } else {
            self.rest().await
        };
        answer
    }

    /// Status line and headers.
    pub(crate) async fn head(&mut self) -> Answer {
        let status_line = self.line().await;
        let mut words = status_line.splitn(3, ' ');
        let (version, status) = (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap());
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return Answer { version, status, headers, body: String::new() };
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.line().await;
        let chunk = self.exactly(usize::from_str_radix(&size, 16).unwrap()).await;
        assert_eq!(self.line().await, "");
        (!chunk.is_empty()).then_some(chunk)
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> String {
        while self.buffer.len() < length {
            assert!(self.read_more().await > 0, "closed after {:?} of {length} bytes", self.buffer.len());
        }
        String::from_utf8(self.buffer.drain(..length).collect()).unwrap()
    }

    /// Everything until the balancer closes, however it closes.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read_more().await > 0 {}
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// The same, where it need not be text.
    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        while self.read_more().await > 0 {}
        std::mem::take(&mut self.buffer)
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).unwrap();
            }
            assert!(self.read_more().await > 0, "closed after {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    async fn read_more(&mut self) -> usize {
        soon("read", self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0)
    }
}
