//! What the boards can be sorted by.

use std::cmp::Ordering;
use std::time::Instant;

use hone_shared::telemetry::BoardState;

use super::fleet::Row;

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The worst first.
    Trouble,
    /// By address.
    Address,
    /// By the board's name.
    Board,
    /// By bundle.
    Bundle,
    /// The slowest first.
    Fps,
    /// The oldest frames first.
    Age,
    /// The warmest first.
    Temperature,
    /// The most drops first.
    Drops,
    /// The longest silence first.
    Seen,
}

impl Column {
    /// All, in the order in which a key walks through them.
    pub const ALL: [Self; 9] = [
        Self::Trouble,
        Self::Address,
        Self::Board,
        Self::Bundle,
        Self::Fps,
        Self::Age,
        Self::Temperature,
        Self::Drops,
        Self::Seen,
    ];

    /// How the footer names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Address => "address",
            Self::Board => "board",
            Self::Bundle => "bundle",
            Self::Fps => "fps",
            Self::Age => "age",
            Self::Temperature => "temperature",
            Self::Drops => "drops",
            Self::Seen => "last seen",
        }
    }
}

/// How two rows are sorted by `column`.
pub(super) fn compare(a: &Row, b: &Row, column: Column, now: Instant) -> Ordering {
    let number = |row: &Row, of: fn(&BoardState) -> f32| row.state().map_or(f32::MAX, of);
    let most = |of: fn(&BoardState) -> f32| number(b, of).total_cmp(&number(a, of));
    match column {
        Column::Trouble => b.verdict(now).1.cmp(&a.verdict(now).1),
        Column::Address => a.address.cmp(&b.address),
        Column::Board => {
            let name = |row: &Row| row.message.as_ref().map(|m| m.board.clone());
            name(a).cmp(&name(b))
        }
        Column::Bundle => {
            let bundle = |row: &Row| row.state().map(|s| s.bundle.clone());
            bundle(a).cmp(&bundle(b))
        }
        Column::Fps => most(|s| -s.fps),
        Column::Age => most(|s| s.age_p99_ms),
        Column::Temperature => most(|s| s.celsius.unwrap_or(f32::MIN)),
        Column::Drops => most(|s| s.dropped as f32),
        Column::Seen => a.seen.cmp(&b.seen),
    }
}
