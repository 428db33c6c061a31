//! Answers that go on: server-sent events, bounded in number; who cannot keep up is told so
//! and let go.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use control::Cycle;
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{App, STREAMS_MAX};
use crate::board::EVENTS_KEPT;
use crate::events::Event;
use crate::failure::{Failure, Told};

/// Log lines and past events in an answer where no number is asked for.
const LAST_DEFAULT: usize = 100;

/// Name of the last event that a reader gets who was too slow.
pub(crate) const LAGGED: &str = "lagged";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowQuery {
    last: Option<usize>,
    follow: Option<bool>,
}

type Asked = Result<Query<FollowQuery>, QueryRejection>;

/// Whole turns: what every dashboard feeds on.
pub(super) async fn cycles(State(app): State<Arc<App>>, query: Asked) -> Result<Response, Failure> {
    let Query(FollowQuery { last, .. }) = query?;
    let place = app.place()?;
    let (past, coming) = app.ports.board.follow(last.unwrap_or(0));
    let past = stream::iter(past).map(|cycle| cycle_event(&cycle));
    Ok(app.stream(past.chain(listen(coming, cycle_event)), place))
}

/// What happened; with `follow=false` as one JSON array.
pub(super) async fn events(State(app): State<Arc<App>>, query: Asked) -> Result<Response, Failure> {
    let Query(FollowQuery { last, follow }) = query?;
    if follow == Some(false) {
        let events = app.ports.board.last_events(last.unwrap_or(LAST_DEFAULT));
        let events: Vec<&Event> = events.iter().map(AsRef::as_ref).collect();
        return Ok(Json(events).into_response());
    }
    let place = app.place()?;
    let (past, coming) = app.ports.board.follow_events(last.unwrap_or(0).min(EVENTS_KEPT));
    let past = stream::iter(past).map(|event| happened(&event));
    Ok(app.stream(past.chain(listen(coming, happened)), place))
}

/// A worker's output: the last lines as a JSON array, or with `follow=true` a stream.
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
    query: Asked,
) -> Result<Response, Failure> {
    let Query(FollowQuery { last, follow }) = query?;
    let last = last.unwrap_or(LAST_DEFAULT);
    let unknown = || Failure::unknown_worker(&worker);
    if follow != Some(true) {
        let lines = app.ports.logs.last(&worker, last).ok_or_else(unknown)?;
        return Ok(Json(lines).into_response());
    }
    let place = app.place()?;
    let lines = app.ports.logs.follow(&worker, last).ok_or_else(unknown)?;
    Ok(app.stream(lines.map(|line| event("log", &line)), place))
}

impl App {
    fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| Failure::too_many("streams", STREAMS_MAX))
    }

    /// A stream that holds its place and ends with the server.
    fn stream(
        &self,
        events: impl Stream<Item = sse::Event> + Send + 'static,
        place: OwnedSemaphorePermit,
    ) -> Response {
        let stop = self.shutdown.clone().cancelled_owned();
        let events = events.take_until(stop).map(move |event| {
            let _held = &place;
            Ok::<_, Infallible>(event)
        });
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }
}

/// Every coming item; one that was lost to slowness is the last.
fn listen<T: Clone + Send + 'static>(
    receiver: Receiver<Arc<T>>,
    render: fn(&T) -> sse::Event,
) -> impl Stream<Item = sse::Event>
where
    Arc<T>: Send,
{
    stream::unfold(Some(receiver), move |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Ok(item) => Some((render(&item), Some(receiver))),
            Err(RecvError::Lagged(lost)) => {
                let told = Told {
                    error: format!("you read too slowly: {lost} were lost"),
                    hint: Some("connect again with `last=N`".to_owned()),
                };
                Some((event(LAGGED, &told), None))
            }
            Err(RecvError::Closed) => None,
        }
    })
}

fn cycle_event(cycle: &Cycle) -> sse::Event {
    event("cycle", cycle)
}

fn happened(what: &Event) -> sse::Event {
    event(what.kind.name(), what)
}

fn event(name: &str, what: &impl Serialize) -> sse::Event {
    let event = sse::Event::default().event(name);
    // JSON of our own types does not fail; were it to, the event says so instead.
    event.json_data(what).unwrap_or_else(|error| sse::Event::default().event("error").data(error.to_string()))
}
