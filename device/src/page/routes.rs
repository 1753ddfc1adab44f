//! Every address that the page answers, in one table.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::{Settings, metrics};
use crate::state::{BoardState, Snapshot};

/// What every request sees.
#[derive(Debug)]
pub struct App {
    pub(super) settings: Settings,
    pub(super) board: Arc<BoardState>,
}

impl App {
    pub(super) fn new(settings: Settings, board: Arc<BoardState>) -> Self {
        Self { settings, board }
    }
}

/// An address, what it takes, and whether it is answered without a token.
pub struct Route {
    /// `GET`, `PUT` or `POST`.
    pub method: &'static str,
    /// Path as in OpenAPI.
    pub path: &'static str,
    /// Whether it is answered without a token.
    pub open: bool,
    handler: fn() -> MethodRouter<Arc<App>>,
}

/// All of them.
pub const ROUTES: [Route; 4] = [
    Route {
        method: "GET",
        path: "/healthz",
        open: true,
        handler: || get(healthz),
    },
    Route {
        method: "GET",
        path: "/readyz",
        open: true,
        handler: || get(readyz),
    },
    Route {
        method: "GET",
        path: "/metrics",
        open: false,
        handler: || get(prometheus),
    },
    Route {
        method: "GET",
        path: "/api/v1/state",
        open: false,
        handler: || get(state),
    },
];

/// The router over [`ROUTES`].
pub(super) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in &ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router.with_state(app.clone())
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Frames are being restored now.
async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    match app.board.snapshot().not_ready {
        reason if reason.is_empty() => (StatusCode::OK, "ready\n".into()),
        reason => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

async fn prometheus(State(app): State<Arc<App>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, metrics::text(&app.board)).into_response()
}

async fn state(State(app): State<Arc<App>>) -> axum::Json<Snapshot> {
    axum::Json(app.board.snapshot())
}
