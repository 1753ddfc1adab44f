//! Answers that say what went wrong.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An error as `{"error": "..."}`.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = axum::Json(serde_json::json!({ "error": self.error }));
        (self.status, body).into_response()
    }
}

/// A [`Failure`] as an answer.
pub(super) fn failure(status: StatusCode, error: impl Into<String>) -> Response {
    Failure::new(status, error).into_response()
}
