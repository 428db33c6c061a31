//! Orders. Each is answered once it is taken, not once it is carried out.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::Command;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::App;
use crate::events::order_text;
use crate::failure::Failure;
use crate::orders::{Accepted, BoostOrder, PauseOrder, PlainOrder, ProtectOrder, ScaleOrder};

pub(super) type Body = Result<Bytes, BytesRejection>;
pub(super) type Answer = Result<(StatusCode, Json<Accepted>), Failure>;

pub(super) async fn scale(State(app): State<Arc<App>>, body: Body) -> Answer {
    let example = r#"send {"replicas":3}, {"replicas":"+1"} or {"replicas":"max","hold_s":120}"#;
    let order: ScaleOrder = required(body).map_err(|failure| failure.hint(example))?;
    let command = order.command(app.clock.now()).map_err(Failure::bad_request)?;
    pass_on(&app, command)
}

pub(super) async fn pause(State(app): State<Arc<App>>, body: Body) -> Answer {
    let order: PauseOrder = read(body)?.unwrap_or_default();
    pass_on(&app, order.command(app.clock.now()).map_err(Failure::bad_request)?)
}

pub(super) async fn boost(State(app): State<Arc<App>>, body: Body) -> Answer {
    let order: BoostOrder =
        required(body).map_err(|failure| failure.hint(r#"send {"min":4,"for":"10m"}"#))?;
    pass_on(&app, order.command(app.clock.now()).map_err(Failure::bad_request)?)
}

pub(super) async fn resume(State(app): State<Arc<App>>, body: Body) -> Answer {
    let order: PlainOrder = read(body)?.unwrap_or_default();
    pass_on(&app, order.resume().map_err(Failure::bad_request)?)
}

pub(super) async fn reload(State(app): State<Arc<App>>) -> Answer {
    app.ports.orders.reload()?;
    Ok(accepted("configuration read again".to_owned(), None))
}

pub(super) async fn upgrade(State(app): State<Arc<App>>) -> Answer {
    app.ports.orders.upgrade()?;
    let text = "a new process is being started; it takes over when it is ready";
    Ok(accepted(text.to_owned(), None))
}

pub(super) async fn stop(State(app): State<Arc<App>>) -> Answer {
    app.ports.orders.stop()?;
    Ok(accepted("stopping: requests are finished first".to_owned(), None))
}

pub(super) async fn drain(State(app): State<Arc<App>>, Path(worker): Path<String>) -> Answer {
    app.ports.orders.drain(&worker)?;
    Ok(accepted(format!("draining {worker}"), None))
}

pub(super) async fn kill(State(app): State<Arc<App>>, Path(worker): Path<String>) -> Answer {
    app.ports.orders.kill(&worker)?;
    Ok(accepted(format!("killing {worker}"), None))
}

pub(super) async fn protect(State(app): State<Arc<App>>, Path(worker): Path<String>, body: Body) -> Answer {
    let order: ProtectOrder = read(body)?.unwrap_or_default();
    app.ports.orders.protect(&worker, order.protected)?;
    let text = if order.protected { "is protected from scale-in" } else { "is protected no longer" };
    Ok(accepted(format!("{worker} {text}"), None))
}

fn pass_on(app: &App, command: Command) -> Answer {
    let text = order_text(&command);
    let until = match &command {
        Command::Scale { until, .. } | Command::Pause { until, .. } => *until,
        Command::Boost { until, .. } => Some(*until),
        Command::Resume { .. } | Command::Reload { .. } => None,
    };
    app.ports.orders.command(command)?;
    Ok(accepted(text, until))
}

pub(super) fn accepted(text: String, until: Option<Timestamp>) -> (StatusCode, Json<Accepted>) {
    (StatusCode::ACCEPTED, Json(Accepted { text, until }))
}

pub(super) fn required<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    read(body)?.ok_or_else(|| Failure::bad_request("the order has no body"))
}

/// Reads JSON whatever its content type claims: `curl -d` claims a form. `None`: no body.
pub(super) fn read<T: DeserializeOwned>(body: Body) -> Result<Option<T>, Failure> {
    let body = body.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let read = serde_json::from_slice(&body);
    read.map(Some).map_err(|error| Failure::bad_request(format!("the order cannot be read: {error}")))
}
