//! Every path of the admin API. `api/openapi.json` describes the same ones: a test compares.

mod balancing;
mod follow;
mod predict;
mod read;
mod steer;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, post};
use clock::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::guard::Guard;
use crate::ports::Ports;

pub(crate) use follow::LAGGED;

/// The description of this API.
pub(crate) const OPENAPI: &str = include_str!("api/openapi.json");

/// Bytes in the body of an order at most; the largest takes less than a hundred.
const BODY_MAX: usize = 64 * 1024;

/// Streams open at a time: each holds a place among the broadcast's listeners.
const STREAMS_MAX: usize = 32;

/// What requests are answered from.
pub(crate) struct App {
    ports: Arc<Ports>,
    clock: Clock,
    streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl App {
    pub(crate) fn new(ports: Arc<Ports>, clock: Clock, shutdown: CancellationToken) -> Self {
        Self { ports, clock, streams: Arc::new(Semaphore::new(STREAMS_MAX)), shutdown }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("ports", &self.ports).finish_non_exhaustive()
    }
}

type Row = (Method, &'static str, MethodRouter<Arc<App>>);

/// Method, path, answer.
fn routes() -> Vec<Row> {
    vec![
        (Method::GET, "/", get(read::page)),
        (Method::GET, "/healthz", get(read::healthz)),
        (Method::GET, "/readyz", get(read::readyz)),
        (Method::GET, "/metrics", get(read::metrics)),
        (Method::GET, "/predict", get(predict::predict)),
        (Method::GET, "/api/v1/openapi.json", get(read::openapi)),
        (Method::GET, "/api/v1/status", get(read::status)),
        (Method::GET, "/api/v1/decisions", get(read::decisions)),
        (Method::GET, "/api/v1/series", get(read::series)),
        (Method::GET, "/api/v1/cycles", get(read::cycles)),
        (Method::GET, "/api/v1/cycles/stream", get(follow::cycles)),
        (Method::GET, "/api/v1/events", get(follow::events)),
        (Method::GET, "/api/v1/workers/{id}/logs", get(follow::logs)),
        (Method::POST, "/api/v1/workers/{id}/drain", post(steer::drain)),
        (Method::POST, "/api/v1/workers/{id}/kill", post(steer::kill)),
        (Method::POST, "/api/v1/workers/{id}/protect", post(steer::protect)),
        (Method::GET, "/api/v1/balancer", get(balancing::settings)),
        (Method::POST, "/api/v1/balancer", post(balancing::change)),
        (Method::GET, "/api/v1/requests/{id}", get(balancing::requests)),
        (Method::GET, "/api/v1/target-health", get(balancing::targets)),
        (Method::POST, "/api/v1/workers/{id}/weight", post(balancing::weigh)),
        (Method::POST, "/api/v1/backends", post(balancing::add)),
        (Method::DELETE, "/api/v1/backends/{id}", delete(balancing::remove)),
        (Method::POST, "/api/v1/scale", post(steer::scale)),
        (Method::POST, "/api/v1/pause", post(steer::pause)),
        (Method::POST, "/api/v1/boost", post(steer::boost)),
        (Method::POST, "/api/v1/resume", post(steer::resume)),
        (Method::POST, "/api/v1/reload", post(steer::reload)),
        (Method::POST, "/api/v1/stop", post(steer::stop)),
        (Method::POST, "/api/v1/upgrade", post(steer::upgrade)),
    ]
}

/// The whole API behind its guard.
pub(crate) fn router(app: App, guard: Guard) -> Router {
    let all =
        routes().into_iter().fold(Router::new(), |router, (_, path, answer)| router.route(path, answer));
    all.fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(move |request, next| guard.clone().watch(request, next)))
        .with_state(Arc::new(app))
}

async fn not_found(uri: Uri) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
        .hint("/api/v1/openapi.json lists what there is")
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let other = if method == Method::POST { "GET" } else { "POST" };
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
        .hint(format!("use {other}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<String> =
            routes().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn the_description_is_whole() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::Object(fields) => {
                    if let Some(target) = fields.get("$ref").and_then(|target| target.as_str()) {
                        let found = document.pointer(target.trim_start_matches('#'));
                        assert!(found.is_some(), "{target} leads nowhere");
                    }
                    open.extend(fields.values());
                }
                serde_json::Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
