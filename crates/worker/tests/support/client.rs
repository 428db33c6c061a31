//! The smallest HTTP client that can see what a worker answers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of a working worker takes this long, however slow the machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Opens a connection and sends a request without waiting for the answer.
pub(crate) async fn send(to: SocketAddr, method: &str, target: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("it listens");
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    stream
}

/// Reads the answer to the end of the connection.
pub(crate) async fn receive(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut text))
        .await
        .expect("answered in time")
        .expect("an answer, whole");
    let (head, body) = text.split_once("\r\n\r\n").expect("a header");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// GET, and the answer.
pub(crate) async fn get(to: SocketAddr, target: &str) -> Answer {
    receive(send(to, "GET", target, "").await).await
}
