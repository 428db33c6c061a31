//! Questions with one answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use control::Cycle;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{App, OPENAPI};
use crate::explain::Record;
use crate::failure::Failure;
use crate::metrics::{self, Dialect};
use crate::sample::{METRICS, Metric, Point};
use crate::status::Status;

/// Turns in an answer where no number is asked for.
const LAST_DEFAULT: usize = 20;

/// What the page may do: run what stands in it and talk to this server, nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Asked<T> = Result<Query<T>, QueryRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionsQuery {
    last: Option<usize>,
    at: Option<String>,
    #[serde(default)]
    changes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesQuery {
    metric: Option<String>,
    last: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CyclesQuery {
    last: Option<usize>,
}

pub(super) async fn page(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(app.ports.page.to_string()))
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready as soon as the pool has the workers that it must have.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> impl IntoResponse {
    let Status { ready, min, .. } = Status::of(&app.ports, app.clock.now());
    let is_ready = ready >= min && app.ports.board.newest().is_some();
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"ready": is_ready, "ready_workers": ready, "min": min})))
}

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> impl IntoResponse {
    let dialect = Dialect::accepted(headers.get(header::ACCEPT));
    let text = metrics::render(&app.ports, app.clock.now(), dialect);
    ([(header::CONTENT_TYPE, dialect.content_type())], text)
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    Json(Status::of(&app.ports, app.clock.now()))
}

/// Newest first; with `at`, only the one nearest to it.
pub(super) async fn decisions(
    State(app): State<Arc<App>>,
    query: Asked<DecisionsQuery>,
) -> Result<Json<Vec<Record>>, Failure> {
    let Query(DecisionsQuery { last, at, changes }) = query?;
    let board = &app.ports.board;
    if let Some(at) = at {
        let at = moment(&at, app.clock.now())?;
        let nearest = board.nearest(at);
        return Ok(Json(nearest.iter().map(|cycle| Record::of(cycle)).collect()));
    }
    let last = last.unwrap_or(LAST_DEFAULT);
    let kept = board.last(if changes { usize::MAX } else { last });
    let records = kept.iter().rev().map(|cycle| Record::of(cycle));
    Ok(Json(records.filter(|record| !changes || record.is_change()).take(last).collect()))
}

/// Oldest first.
pub(super) async fn series(
    State(app): State<Arc<App>>,
    query: Asked<SeriesQuery>,
) -> Result<Json<Vec<Point>>, Failure> {
    let Query(SeriesQuery { metric, last }) = query?;
    let asked = metric.as_deref().unwrap_or_default();
    let metric = Metric::named(asked).ok_or_else(|| {
        let known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        Failure::bad_request(format!("there is no metric `{asked}`"))
            .hint(format!("known are {}", known.join(", ")))
    })?;
    let last = control::span::parse(last.as_deref().unwrap_or("60s")).map_err(Failure::bad_request)?;
    let from = app.clock.now().saturating_sub(last).unwrap_or(Timestamp::MIN);
    let samples = app.ports.board.samples(from);
    Ok(Json(samples.iter().map(|sample| metric.point(sample)).collect()))
}

/// Oldest first.
pub(super) async fn cycles(
    State(app): State<Arc<App>>,
    query: Asked<CyclesQuery>,
) -> Result<Response, Failure> {
    let Query(CyclesQuery { last }) = query?;
    let cycles = app.ports.board.last(last.unwrap_or(LAST_DEFAULT));
    let cycles: Vec<&Cycle> = cycles.iter().map(AsRef::as_ref).collect();
    Ok(Json(cycles).into_response())
}

/// A moment, or how long ago it was.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    // A plus sign that was not escaped arrives as a space.
    if let Ok(at) = text.replace(' ', "+").parse() {
        return Ok(at);
    }
    let ago = control::span::parse(text.trim_start_matches('-'));
    ago.ok().and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        Failure::bad_request(format!("`{text}` is no time"))
            .hint("try 2026-01-31T12:00:00Z, or 30s for half a minute ago")
    })
}
