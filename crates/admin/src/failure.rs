//! What a refused request is told: a status, what is wrong, and what to do about it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::ports::OrdersError;

/// The JSON of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What is wrong.
    pub(crate) error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    told: Told,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, told: Told { error: error.into(), hint: None } }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.told.hint = Some(hint.into());
        self
    }

    pub(crate) fn unknown_worker(worker: &str) -> Self {
        OrdersError::UnknownWorker(worker.to_owned()).into()
    }

    pub(crate) fn too_many(what: &str, most: usize) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{most} {what} are open already"))
            .hint("close one of them")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.told)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<OrdersError> for Failure {
    fn from(error: OrdersError) -> Self {
        let (status, hint) = match &error {
            OrdersError::Busy => (StatusCode::SERVICE_UNAVAILABLE, Some("try again in a second")),
            OrdersError::UnknownWorker(_) => {
                (StatusCode::NOT_FOUND, Some("`autoscale ps` lists the workers"))
            }
            OrdersError::Bad(_) => (StatusCode::BAD_REQUEST, None),
            OrdersError::Refused(_) => (StatusCode::CONFLICT, None),
        };
        let refused = Self::new(status, error.to_string());
        match hint {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }
}

impl From<QueryRejection> for Failure {
    fn from(error: QueryRejection) -> Self {
        Self::bad_request(error.body_text())
    }
}
