//! Every address that the page answers, in one table.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, patch, post};
use axum::{Router, middleware};

use super::answer::failure;
use super::app::App;
use super::{api, browser, guard, health, telemetry};

/// An address, what it takes, and whether it is answered without a token.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET`, `PATCH` or `POST`.
    pub method: &'static str,
    /// Path as in OpenAPI.
    pub path: &'static str,
    /// Whether it is answered without a token.
    pub open: bool,
    handler: fn() -> MethodRouter<Arc<App>>,
}

type Handler = fn() -> MethodRouter<Arc<App>>;

const fn open(method: &'static str, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        open: true,
        handler,
    }
}

const fn closed(method: &'static str, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        open: false,
        handler,
    }
}

/// All of them.
pub const ROUTES: [Route; 18] = [
    open("GET", "/healthz", || get(health::alive)),
    open("GET", "/readyz", || get(health::ready)),
    open("GET", "/", || get(browser::page)),
    open("POST", "/login", || post(browser::log_in)),
    open("POST", "/logout", || post(browser::log_out)),
    closed("GET", "/metrics", || get(health::prometheus)),
    closed("GET", "/api/v1/openapi.json", || get(api::openapi)),
    closed("GET", "/api/v1/state", || get(api::state)),
    closed("GET", "/api/v1/events", || get(api::events)),
    closed("GET", "/api/v1/telemetry", || get(telemetry::frames)),
    closed("GET", "/api/v1/dials", || get(api::dials)),
    closed("PATCH", "/api/v1/dials", || patch(api::turn)),
    closed("GET", "/api/v1/log", || get(api::log)),
    closed("GET", "/api/v1/bundles", || get(api::bundles)),
    closed("GET", "/api/v1/doctor", || get(api::doctor)),
    closed("GET", "/api/v1/preview", || get(api::preview)),
    closed("POST", "/api/v1/snapshots", || post(api::take_snapshot)),
    closed("GET", "/api/v1/snapshots/{number}/{view}", || {
        get(api::snapshot)
    }),
];

/// The router over [`ROUTES`].
pub(super) fn router(app: &Arc<App>) -> Router {
    let (mut opened, mut guarded) = (Router::new(), Router::new());
    for route in &ROUTES {
        let router = if route.open {
            &mut opened
        } else {
            &mut guarded
        };
        *router = std::mem::take(router).route(route.path, (route.handler)());
    }
    let token = middleware::from_fn_with_state(app.clone(), guard::token);
    opened
        .merge(guarded.route_layer(token))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            failure(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address does not take that method",
            )
        })
        .layer(middleware::from_fn(guard::body))
        .layer(middleware::from_fn_with_state(app.clone(), guard::headers))
        .with_state(app.clone())
}
