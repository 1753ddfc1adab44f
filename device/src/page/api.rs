//! The API under `/api/v1`; `openapi.json` describes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::access::Pass;
use super::answer::Failure;
use super::app::App;
use super::streaming::{self, BOUNDARY, View};
use crate::camera::sharpener::lock;
use crate::doctor::{self, Check};
use crate::journal::LogLine;
use crate::slots::{FolderDisk, Slot, Slots};
use crate::state::{DialsState, Snapshot};

/// A doctor's report is good for so long; making one takes seconds of a core.
const REPORT: Duration = Duration::from_secs(30);

type Answer<T> = Result<T, Failure>;

pub(super) fn unavailable(error: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// The description of this API.
pub(super) async fn openapi() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, include_str!("openapi.json")).into_response()
}

/// What the board does now.
pub(super) async fn state(State(app): State<Arc<App>>) -> Json<Snapshot> {
    Json(app.board.snapshot())
}

/// The same again and again, with the log as it grows.
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(pass): Extension<Pass>,
) -> Answer<Response> {
    let seat = app.listeners.clone().try_acquire_owned();
    let seat = seat.map_err(|_| unavailable("too many listen already"))?;
    let board = app.board.clone();
    let body = streaming::body(&app.access, pass, |send| {
        streaming::events(board, seat, send)
    });
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// What can be turned.
pub(super) async fn dials(State(app): State<Arc<App>>) -> Json<DialsState> {
    Json(app.board.snapshot().dials)
}

/// Dials to turn; what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    strength: Option<f32>,
    split: Option<f32>,
    bypass: Option<bool>,
}

/// Turns dials, all or none.
pub(super) async fn turn(
    State(app): State<Arc<App>>,
    turn: Result<Json<Turn>, JsonRejection>,
) -> Answer<Json<DialsState>> {
    let Json(turn) = turn.map_err(|e| Failure::new(e.status(), e.body_text()))?;
    for (name, value) in [("strength", turn.strength), ("split", turn.split)] {
        if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            let error = format!("{name} is from 0 to 1");
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, error));
        }
    }
    let dials = app.board.dials();
    if let Some(strength) = turn.strength {
        dials.set_strength(strength);
    }
    if let Some(split) = turn.split {
        dials.set_split(split);
    }
    if let Some(bypass) = turn.bypass {
        dials.set_bypass(bypass);
    }
    Ok(Json(app.board.snapshot().dials))
}

/// From where on the log is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// The newest lines of the log.
pub(super) async fn log(
    State(app): State<Arc<App>>,
    query: Result<Query<After>, QueryRejection>,
) -> Answer<Json<Vec<LogLine>>> {
    let Query(After { after }) = query.map_err(|e| Failure::new(e.status(), e.body_text()))?;
    Ok(Json(app.board.journal().lines(after)))
}

/// What the slots hold.
#[derive(Debug, Serialize)]
pub(super) struct Bundles {
    /// The student at work, from wherever it came.
    running: String,
    slots: Vec<BundleSlot>,
    /// What happened last.
    last: String,
}

#[derive(Debug, Serialize)]
struct BundleSlot {
    slot: &'static str,
    active: bool,
    on_trial: bool,
    failed: bool,
    bundle: String,
    release: String,
    sha256: String,
    signed_by: Option<String>,
}

/// The bundles of the slots, the active one first.
pub(super) async fn bundles(State(app): State<Arc<App>>) -> Answer<Json<Bundles>> {
    let folder = app.slots.clone();
    let read = move || Slots::new(FolderDisk::new(&folder)).state();
    let state = tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| unavailable("the slots cannot be read now"))?
        .map_err(|e| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let active = |slot: &Slot| state.active == Some(*slot);
    let mut slots: Vec<BundleSlot> = Slot::ALL
        .into_iter()
        .filter_map(|slot| {
            let installed = state.installed(slot)?.clone();
            Some(BundleSlot {
                slot: slot.name(),
                active: active(&slot),
                on_trial: active(&slot) && state.trial.is_some(),
                failed: installed.failed,
                bundle: installed.bundle,
                release: installed.release,
                sha256: installed.sha256,
                signed_by: installed.signed_by,
            })
        })
        .collect();
    slots.sort_by_key(|slot| !slot.active);
    Ok(Json(Bundles {
        running: app.board.sharpener().description(),
        slots,
        last: state.last,
    }))
}

/// The doctor's report, half a minute old at most.
pub(super) async fn doctor(State(app): State<Arc<App>>) -> Answer<Json<Vec<Check>>> {
    let kept = app.doctor.clone();
    let examine = move || {
        let mut kept = lock(&kept);
        match &*kept {
            Some((at, checks)) if at.elapsed() < REPORT => checks.clone(),
            _ => {
                let checks = Arc::new(doctor::examine());
                *kept = Some((Instant::now(), checks.clone()));
                checks
            }
        }
    };
    let checks = app.errands.run(examine).await;
    let checks = checks.ok_or_else(|| unavailable("the doctor cannot look now"))?;
    Ok(Json(checks.to_vec()))
}

/// Which pictures are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Watched {
    #[serde(default)]
    view: View,
}

/// The newest pictures, one after another, as every browser shows them.
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Extension(pass): Extension<Pass>,
    query: Result<Query<Watched>, QueryRejection>,
) -> Answer<Response> {
    let Query(Watched { view }) = query.map_err(|e| Failure::new(e.status(), e.body_text()))?;
    let viewer = app.preview.watch();
    let viewer = viewer.ok_or_else(|| unavailable("too many watch already"))?;
    let body = streaming::body(&app.access, pass, |send| {
        streaming::pictures(viewer, view, send)
    });
    let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// Where the two pictures of a snapshot are.
#[derive(Debug, Serialize)]
pub(super) struct Snapshots {
    number: u64,
    before: String,
    after: String,
}

/// Keeps the next frame, until the next snapshot takes its place.
pub(super) async fn take_snapshot(
    State(app): State<Arc<App>>,
) -> Answer<(StatusCode, Json<Snapshots>)> {
    let preview = app.preview.clone();
    let number = app.errands.run(move || preview.take_snapshot()).await;
    let number = number.flatten();
    let number = number.ok_or_else(|| unavailable("no frame came to take a snapshot of"))?;
    let at = |view| format!("/api/v1/snapshots/{number}/{view}.png");
    let (before, after) = (at("before"), at("after"));
    let taken = Snapshots {
        number,
        before,
        after,
    };
    Ok((StatusCode::CREATED, Json(taken)))
}

/// One picture of a snapshot, whole and without loss.
pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    Path((number, view)): Path<(String, String)>,
) -> Answer<Response> {
    let gone = || Failure::new(StatusCode::NOT_FOUND, "this snapshot is not there any more");
    let number: u64 = number.parse().map_err(|_| gone())?;
    let after = match view.as_str() {
        "before.png" => false,
        "after.png" => true,
        _ => return Err(gone()),
    };
    let preview = app.preview.clone();
    let png = app
        .errands
        .run(move || preview.snapshot(number, after))
        .await;
    let png = png.flatten().ok_or_else(gone)?;
    let png = png.map_err(|e| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}
