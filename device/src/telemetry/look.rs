//! The board's state as it is told.

use hone_shared::telemetry::{BoardState, Phase};

use crate::state;

/// What `board`, which runs `bundle`, tells of itself now.
pub fn state_of(board: &state::BoardState, bundle: &str) -> BoardState {
    let now = board.snapshot();
    // Without a camera people want to know why, whatever else was said since.
    let notice = match now.source.reason.is_empty() {
        true => board.journal().newest().unwrap_or_default(),
        false => now.source.reason.clone(),
    };
    let student = &now.student;
    let level = student.levels.get(student.level).cloned();
    let untouched = board.dials().untouched() || student.levels.is_empty();
    BoardState {
        model: now.board,
        version: now.version.to_owned(),
        bundle: bundle.to_owned(),
        level: level.unwrap_or_default(),
        phase: match now.source.state {
            "dark" => Phase::Dark,
            "starting" => Phase::Starting,
            _ if untouched => Phase::Untouched,
            _ => Phase::Live,
        },
        degraded: now.governor.degraded,
        fps: now.fps as f32,
        age_p50_ms: now.age_ms.p50 as f32,
        age_p99_ms: now.age_ms.p99 as f32,
        engine_ms: now.engine_ms.p50 as f32,
        celsius: now.celsius,
        throttled: now.throttled,
        frames: now.frames.delivered,
        dropped: now.frames.dropped,
        slates: now.frames.slates,
        failed: now.frames.failed,
        reconnects: now.source.reconnects,
        uptime_s: now.uptime_s as u64,
        unsent: 0,
        notice,
    }
}
