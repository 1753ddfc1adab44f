//! Whether the board is well, for programs that watch it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::app::App;
use super::metrics;

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Frames are being restored now. Why not is nobody's business without a token.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.board.snapshot().not_ready.is_empty() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// Everything that Prometheus may ask.
pub(super) async fn prometheus(State(app): State<Arc<App>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let text = metrics::text(&app.board, app.preview.viewers());
    (kind, text).into_response()
}
