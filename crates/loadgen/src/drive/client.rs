//! Sends one request and reads its answer, over connections that are kept for the next.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::tally::{Answer, Failure};
use crate::config::{LoadConfig, LoadError};
use crate::tls::Secure;

const X_WORKER: HeaderName = HeaderName::from_static("x-worker");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

type Connection = SendRequest<Full<Bytes>>;

/// Requests to one server, all alike.
pub(crate) struct Client {
    addresses: Vec<SocketAddr>,
    secure: Option<Secure>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    keep_alive: bool,
    /// The one used last is used next, so that few stay warm rather than many lukewarm. Never
    /// more than there were requests in flight, which is bounded.
    idle: Mutex<Vec<Connection>>,
    /// What moves the bytes of each connection.
    connections: TaskTracker,
}

impl Client {
    /// A client of the server at `addresses`, which are tried in order.
    ///
    /// # Errors
    /// When TLS cannot be spoken as `config` wants it.
    pub(crate) fn new(config: &LoadConfig, addresses: Vec<SocketAddr>) -> Result<Self, LoadError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, config.target.host_header.clone());
        if !config.keep_alive {
            headers.insert(CONNECTION, CLOSE);
        }
        for (name, value) in &config.headers {
            // A header given by hand replaces ours.
            headers.insert(name.clone(), value.clone());
        }
        Ok(Self {
            addresses,
            secure: Secure::to(config)?,
            method: config.method.clone(),
            uri: Uri::from(config.target.path.clone()),
            headers,
            body: config.body.clone(),
            keep_alive: config.keep_alive,
            idle: Mutex::default(),
            connections: TaskTracker::new(),
        })
    }

    /// One request, from connecting to the last byte of the answer. Dropping the future closes
    /// the connection, so that the server sees that nobody waits any more.
    pub(crate) async fn request(&self) -> Result<Answer, Failure> {
        let mut request = self.one();
        // A kept connection may have been closed by the server meanwhile. hyper hands a request
        // back of which no byte was written, and it goes over the next: nothing is sent twice.
        // Each turn takes a kept connection away, so the loop ends with a fresh one.
        loop {
            let kept = self.idle.lock().pop();
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            if let Err(error) = connection.ready().await {
                if is_kept {
                    continue;
                }
                return Err(failure(&error));
            }
            match connection.try_send_request(request).await {
                Ok(response) => return self.read(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(failure(error.error())),
                },
            }
        }
    }

    /// Closes all kept connections and waits until they are gone.
    pub(crate) async fn close(&self) {
        self.idle.lock().clear();
        self.connections.close();
        self.connections.wait().await;
    }

    fn one(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream =
            TcpStream::connect(self.addresses.as_slice()).await.map_err(|error| unconnected(&error))?;
        // A request is one small packet, which must not wait for an acknowledgement.
        stream.set_nodelay(true).map_err(|error| unconnected(&error))?;
        match &self.secure {
            None => self.speak(stream).await,
            Some(Secure { connector, name }) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.speak(stream.map_err(|_| Failure::Connect)?).await
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Connection, Failure> {
        let (connection, io) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error))?;
        // Its errors reach the request that waits on it.
        self.connections.spawn(async move {
            let _ = io.await;
        });
        Ok(connection)
    }

    async fn read(&self, connection: Connection, response: Response<Incoming>) -> Result<Answer, Failure> {
        let (mut head, mut body) = response.into_parts();
        let mut bytes = 0_u64;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failure(&error))?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        let closes =
            head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        if self.keep_alive && !closes && !connection.is_closed() {
            self.idle.lock().push(connection);
        }
        Ok(Answer { status: head.status, worker: head.headers.remove(X_WORKER), bytes })
    }
}

fn unconnected(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        // No free port left on this side.
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Failure::OutOfSockets,
        // EMFILE and ENFILE have no kind of their own and these numbers on every Unix.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => Failure::OutOfSockets,
        _ => Failure::Connect,
    }
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Protocol } else { Failure::Closed }
}
