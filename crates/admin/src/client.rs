//! Asks and steers a running pool: what every command of the program goes through.

mod feed;

use std::time::Duration;

use control::{Cycle, ScaleTo};
use futures_util::stream::BoxStream;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::balancing::{BackendOrder, BalancerOrder, BalancerSettings, TargetSeen, WeightOrder};
use crate::events::Event;
use crate::explain::Record;
use crate::failure::Told;
use crate::orders::{Accepted, BoostOrder, Length, PauseOrder, PlainOrder, ProtectOrder, ScaleOrder};
use crate::ports::LogLine;
use crate::sample::Point;
use crate::status::Status;

/// Loopback connects at once or not at all; a machine in the same network nearly so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Every answer but a stream is made from memory.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes in an answer at most: six hundred turns of five workers are about two megabytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// Why a pool could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What was given is no address.
    #[error("`{0}` is no address of an admin API")]
    BadUrl(String),
    /// Nothing answers there.
    #[error("no autoscale answers at {url}")]
    NotReachable {
        /// The address asked.
        url: String,
        /// The cause.
        because: String,
    },
    /// The worker or path is unknown there.
    #[error("{error}")]
    NotFound {
        /// What the server says.
        error: String,
        /// What it suggests.
        hint: Option<String>,
    },
    /// The server refused.
    #[error("{error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says.
        error: String,
        /// What it suggests.
        hint: Option<String>,
    },
    /// What answers is no autoscale, or speaks another version.
    #[error("what answers at {url} is no autoscale that this one understands: {because}")]
    Strange {
        /// The address asked.
        url: String,
        /// The cause.
        because: String,
    },
    /// A stream broke off, or this side was too slow for it.
    #[error("the stream ended: {0}")]
    Broken(String),
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::BadUrl(_) => Some("try http://127.0.0.1:9900"),
            Self::NotReachable { .. } => Some("start one with `autoscale run`, or name it with --admin"),
            Self::NotFound { hint, .. } | Self::Refused { hint, .. } => hint.as_deref(),
            Self::Strange { .. } => Some("name the admin address with --admin"),
            Self::Broken(_) => None,
        }
    }
}

/// What of a stream is wanted, one item at a time. It ends with the server or after an error.
pub type Feed<T> = BoxStream<'static, Result<T, ClientError>>;

/// A connection to a pool's admin API; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    by: String,
}

impl Client {
    /// A client of the API at `url`; `127.0.0.1:9900` will do. `by` names this client in the
    /// records of its orders, as in `cli`.
    ///
    /// # Errors
    /// `url` is no address.
    pub fn new(url: &str, token: Option<String>, by: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl(url.to_owned());
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let base = Url::parse(&full).map_err(|_| bad())?;
        if base.scheme() != "http" || base.host_str().is_none() {
            return Err(bad());
        }
        let http = reqwest::Client::builder()
            // A proxy from the environment would be asked for *its* loopback.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        Ok(Self { http, base, token, by: by.to_owned() })
    }

    /// The address asked, without a trailing slash.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The pool at a glance.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(&["status"], &[]).await
    }

    /// The last `n` decisions, newest first; only those that changed something with
    /// `changes`.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn decisions(&self, n: usize, changes: bool) -> Result<Vec<Record>, ClientError> {
        self.get(&["decisions"], &[("last", &n.to_string()), ("changes", &changes.to_string())]).await
    }

    /// The decision nearest to a moment (`2026-01-31T12:00:00Z`, or `30s` for that long ago).
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn decision_at(&self, at: &str) -> Result<Option<Record>, ClientError> {
        let found: Vec<Record> = self.get(&["decisions"], &[("at", at)]).await?;
        Ok(found.into_iter().next())
    }

    /// A metric over the last while, oldest first.
    ///
    /// # Errors
    /// Not reachable, refused (unknown metric) or strange.
    pub async fn series(&self, metric: &str, last: &str) -> Result<Vec<Point>, ClientError> {
        self.get(&["series"], &[("metric", metric), ("last", last)]).await
    }

    /// What is expected, as `GET /predict` answers.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn prediction(&self) -> Result<serde_json::Value, ClientError> {
        let request = self.request_at(Method::GET, &["predict"], &[]).timeout(ANSWER_TIMEOUT);
        self.read(self.send(request).await?).await
    }

    /// The last `n` turns, oldest first.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn cycles(&self, n: usize) -> Result<Vec<Cycle>, ClientError> {
        self.get(&["cycles"], &[("last", &n.to_string())]).await
    }

    /// The last `n` turns and then each new one.
    ///
    /// # Errors
    /// Not reachable, refused or strange; later ones come in the stream.
    pub async fn follow_cycles(&self, n: usize) -> Result<Feed<Cycle>, ClientError> {
        self.feed(&["cycles", "stream"], &[("last", &n.to_string())]).await
    }

    /// The last `n` events, oldest first.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn events(&self, n: usize) -> Result<Vec<Event>, ClientError> {
        self.get(&["events"], &[("last", &n.to_string()), ("follow", "false")]).await
    }

    /// The last `n` events and then each new one.
    ///
    /// # Errors
    /// Not reachable, refused or strange; later ones come in the stream.
    pub async fn follow_events(&self, n: usize) -> Result<Feed<Event>, ClientError> {
        self.feed(&["events"], &[("last", &n.to_string())]).await
    }

    /// A worker's last `n` lines of output, oldest first.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn logs(&self, worker: &str, n: usize) -> Result<Vec<LogLine>, ClientError> {
        self.get(&["workers", worker, "logs"], &[("last", &n.to_string())]).await
    }

    /// A worker's last `n` lines of output and then each new one.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange; later ones come in the stream.
    pub async fn follow_logs(&self, worker: &str, n: usize) -> Result<Feed<LogLine>, ClientError> {
        self.feed(&["workers", worker, "logs"], &[("last", &n.to_string()), ("follow", "true")]).await
    }

    /// Sets the number of workers by hand, for `hold` or until resumed.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn scale(&self, to: ScaleTo, hold: Option<Duration>) -> Result<Accepted, ClientError> {
        let hold_s = hold.map(|hold| hold.as_secs_f64());
        self.post(&["scale"], &ScaleOrder { replicas: to, hold_s, by: self.by() }).await
    }

    /// Keeps everything as it is, or as `order` says, for a while or until resumed.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn pause(&self, order: PauseOrder) -> Result<Accepted, ClientError> {
        self.post(&["pause"], &PauseOrder { by: self.by(), ..order }).await
    }

    /// Demands at least `min` workers for a time.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn boost(&self, min: u32, length: Duration) -> Result<Accepted, ClientError> {
        self.post(&["boost"], &BoostOrder { min, length: Length(length), by: self.by() }).await
    }

    /// Ends a hold or a pause.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn resume(&self) -> Result<Accepted, ClientError> {
        self.post(&["resume"], &PlainOrder { by: self.by() }).await
    }

    /// Has the configuration file read again.
    ///
    /// # Errors
    /// Not reachable, refused (the file is wrong) or strange.
    pub async fn reload(&self) -> Result<Accepted, ClientError> {
        self.post(&["reload"], &PlainOrder { by: self.by() }).await
    }

    /// Replaces a worker once it has finished its requests.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn drain(&self, worker: &str) -> Result<Accepted, ClientError> {
        self.post(&["workers", worker, "drain"], &PlainOrder { by: self.by() }).await
    }

    /// Replaces a worker at once.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn kill(&self, worker: &str) -> Result<Accepted, ClientError> {
        self.post(&["workers", worker, "kill"], &PlainOrder { by: self.by() }).await
    }

    /// Keeps a worker from being chosen at a scale-in, or ends that.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn protect(&self, worker: &str, on: bool) -> Result<Accepted, ClientError> {
        self.post(&["workers", worker, "protect"], &ProtectOrder { protected: on, by: self.by() }).await
    }

    /// The balancer's settings in force.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn balancer(&self) -> Result<BalancerSettings, ClientError> {
        self.get(&["balancer"], &[]).await
    }

    /// Every worker's health as the balancer sees it.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn targets(&self) -> Result<Vec<TargetSeen>, ClientError> {
        self.get(&["target-health"], &[]).await
    }

    /// What the access log says of the recent requests with this id, newest first.
    ///
    /// # Errors
    /// Not reachable, not found (or nothing is written down there), refused or strange.
    pub async fn requests(&self, id: &str) -> Result<Vec<serde_json::Value>, ClientError> {
        self.get(&["requests", id], &[]).await
    }

    /// Changes the balancer's settings.
    ///
    /// # Errors
    /// Not reachable, refused (a value that cannot be) or strange.
    pub async fn change_balancer(&self, order: &BalancerOrder) -> Result<Accepted, ClientError> {
        self.post(&["balancer"], order).await
    }

    /// Gives a worker another weight, or with `None` its own again.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn weigh(&self, worker: &str, weight: Option<u32>) -> Result<Accepted, ClientError> {
        self.post(&["workers", worker, "weight"], &WeightOrder { weight }).await
    }

    /// Balances over one server more.
    ///
    /// # Errors
    /// Not reachable, refused (no address, or workers are started here) or strange.
    pub async fn add_backend(&self, backend: &str) -> Result<Accepted, ClientError> {
        self.post(&["backends"], &BackendOrder { backend: backend.to_owned() }).await
    }

    /// Takes a server out; its requests end first.
    ///
    /// # Errors
    /// Not reachable, no such worker, refused or strange.
    pub async fn remove_backend(&self, worker: &str) -> Result<Accepted, ClientError> {
        let request = self.request(Method::DELETE, &["backends", worker], &[]).timeout(ANSWER_TIMEOUT);
        self.read(self.send(request).await?).await
    }

    /// Starts a new process that takes over the sockets.
    ///
    /// # Errors
    /// As every request.
    pub async fn upgrade(&self) -> Result<Accepted, ClientError> {
        self.post(&["upgrade"], &PlainOrder { by: self.by() }).await
    }

    /// Ends the whole program in good order.
    ///
    /// # Errors
    /// Not reachable, refused or strange.
    pub async fn stop(&self) -> Result<Accepted, ClientError> {
        self.post(&["stop"], &PlainOrder { by: self.by() }).await
    }

    fn by(&self) -> Option<String> {
        Some(self.by.clone())
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        self.request_at(method, &[&["api", "v1"], path].concat(), query)
    }

    /// From the root, where what other tools know stands too.
    fn request_at(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url).query(query);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path, query).timeout(ANSWER_TIMEOUT);
        self.read(self.send(request).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path, &[]).timeout(ANSWER_TIMEOUT).json(body);
        self.read(self.send(request).await?).await
    }

    async fn feed<T>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Feed<T>, ClientError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let answer = self.send(self.request(Method::GET, path, query)).await?;
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Err(self.strange(&format!("a stream was asked for, {kind:?} came")));
        }
        Ok(feed::of(answer.bytes_stream()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.body(answer).await.unwrap_or_default();
        let Ok(Told { error, hint }) = serde_json::from_slice(&body) else {
            return Err(self.strange(&format!("it answers {status}")));
        };
        Err(match status {
            StatusCode::NOT_FOUND => ClientError::NotFound { error, hint },
            _ => ClientError::Refused { status: status.as_u16(), error, hint },
        })
    }

    async fn read<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T, ClientError> {
        let body = self.body(answer).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error.to_string()))
    }

    async fn body(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX {
                return Err(self.strange("its answer has no end"));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::NotReachable { url: self.url().to_owned(), because: innermost(error) }
    }

    fn strange(&self, because: &str) -> ClientError {
        ClientError::Strange { url: self.url().to_owned(), because: because.to_owned() }
    }
}

/// The last cause of an error: reqwest's outer ones only repeat the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
