//! The balancer: what is in force, its workers' health, and changes of both.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::App;
use super::steer::{Answer, Body, accepted, read, required};
use crate::balancing::{BackendOrder, BalancerOrder, BalancerSettings, TargetSeen, WeightOrder};
use crate::failure::Failure;

pub(super) async fn settings(State(app): State<Arc<App>>) -> Json<BalancerSettings> {
    Json(app.ports.balancing.settings())
}

pub(super) async fn targets(State(app): State<Arc<App>>) -> Json<Vec<TargetSeen>> {
    Json(app.ports.balancing.targets())
}

/// What is known of a request by its id.
pub(super) async fn requests(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<serde_json::Value>>, Failure> {
    let missing = |text: String, hint: &str| Failure::new(StatusCode::NOT_FOUND, text).hint(hint);
    let found = app.ports.balancing.requests(&id).ok_or_else(|| {
        missing("requests are not written down here".to_owned(), "start with --access-log FILE")
    })?;
    if found.is_empty() {
        return Err(missing(format!("no recent request has the id `{id}`"), "only the last 4096 are kept"));
    }
    Ok(Json(found))
}

pub(super) async fn change(State(app): State<Arc<App>>, body: Body) -> Answer {
    let order: BalancerOrder = required(body).map_err(|failure| {
        failure.hint(r#"send what is to change, as in {"algorithm":"p2c_peak_ewma","queue":64}"#)
    })?;
    app.ports.balancing.change(&order)?;
    Ok(accepted("the balancer goes by the new settings".to_owned(), None))
}

pub(super) async fn weigh(State(app): State<Arc<App>>, Path(worker): Path<String>, body: Body) -> Answer {
    let WeightOrder { weight } =
        required(body).map_err(|failure| failure.hint(r#"send {"weight":3}, or null for its own"#))?;
    app.ports.balancing.weigh(&worker, weight)?;
    let said = match weight {
        Some(weight) => format!("{worker} has weight {weight}"),
        None => format!("{worker} has its own weight again"),
    };
    Ok(accepted(said, None))
}

pub(super) async fn add(State(app): State<Arc<App>>, body: Body) -> Answer {
    let order: BackendOrder =
        required(body).map_err(|failure| failure.hint(r#"send {"backend":"127.0.0.1:5001"}"#))?;
    let name = app.ports.balancing.add(&order)?;
    Ok(accepted(format!("{name} is balanced over"), None))
}

pub(super) async fn remove(State(app): State<Arc<App>>, Path(worker): Path<String>, body: Body) -> Answer {
    let _: Option<crate::orders::PlainOrder> = read(body)?;
    app.ports.balancing.remove(&worker)?;
    Ok(accepted(format!("{worker} gets no more requests"), None))
}
