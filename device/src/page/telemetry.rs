//! `GET /api/v1/telemetry`: what the board says of itself, as it says it, for `hone monitor`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::access::Pass;
use super::answer::Failure;
use super::api::unavailable;
use super::app::App;
use super::streaming;
use crate::telemetry::Inbox;

/// Frames without an end, one a second.
pub(super) async fn frames(
    State(app): State<Arc<App>>,
    Extension(pass): Extension<Pass>,
) -> Result<Response, Failure> {
    let seat = app.listeners.clone().try_acquire_owned();
    let seat = seat.map_err(|_| unavailable("too many listen already"))?;
    let mut inbox: Inbox = app.board.feed().subscribe();
    let body = streaming::body(&app.access, pass, |send| async move {
        let _seat = seat;
        while let Some(frame) = inbox.next().await {
            send.send(Bytes::copy_from_slice(&frame)).await.ok()?;
        }
        None
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, body).into_response())
}
