//! What stands in the table's columns, and which of them a terminal has room for.

use std::time::{Duration, Instant};

use hone_shared::telemetry::BoardState;
use ratatui::style::{Color, Style};

use super::fleet::{Row, Trouble};

/// The columns, from left to right.
pub(super) const NAMES: [&str; 11] = [
    "address", "board", "model", "bundle", "level", "fps", "age p99", "C", "drops", "seen", "state",
];
/// Widths of those that are no names; the state takes what is left, and that is its least.
const WIDTHS: [u16; 11] = [0, 0, 18, 18, 8, 6, 7, 4, 7, 6, 24];
/// The last column.
pub(super) const STATE: usize = 10;
/// Columns that a narrow terminal does without, those that it keeps longest first.
const OPTIONAL: [usize; 8] = [9, 5, 6, 7, 8, 4, 3, 2];

/// Least columns that a board's name is worth.
const BOARD: usize = 8;

/// A column that there is room for: its place in [`NAMES`], and its width.
pub(super) type Fitting = (usize, u16);

/// Whether boards are behind different brokers, where one name may be there twice.
pub(super) fn several_brokers(rows: &[&Row]) -> bool {
    let mut brokers = rows.iter().filter_map(|row| row.behind());
    let first = brokers.next();
    brokers.any(|(broker, _)| first.is_some_and(|(other, _)| other != broker))
}

/// What the columns say of `row`.
pub(super) fn cells(row: &Row, several: bool, now: Instant) -> [String; 11] {
    let text = |of: fn(&BoardState) -> String| row.state().map_or_else(String::new, of);
    let seen = row
        .seen
        .map(|seen| ago(now.saturating_duration_since(seen)));
    [
        address(row, several).to_owned(),
        board(row, several).to_owned(),
        text(|s| s.model.clone()),
        text(|s| s.bundle.clone()),
        text(|s| s.level.clone()),
        text(|s| format!("{:.1}", s.fps)),
        text(|s| format!("{:.0} ms", s.age_p99_ms)),
        text(|s| s.celsius.map_or_else(String::new, |c| format!("{c:.0}"))),
        text(|s| s.dropped.to_string()),
        seen.unwrap_or_default(),
        row.verdict(now).0,
    ]
}

/// Without the broker's part, where that goes without saying.
fn address(row: &Row, several: bool) -> &str {
    let behind = row.behind().filter(|_| !several);
    behind.map_or(&row.address, |(_, board)| board)
}

/// The board's name, where the address does not say it already.
fn board(row: &Row, several: bool) -> &str {
    let name = row.message.as_ref().map(|message| message.board.as_str());
    name.filter(|name| *name != address(row, several))
        .unwrap_or_default()
}

/// The columns that `width` has room for: names as wide as they need it, and the least that tells what is wrong.
pub(super) fn fitting(rows: &[&Row], several: bool, width: u16) -> Vec<Fitting> {
    let room = usize::from(width).saturating_sub(usize::from(WIDTHS[STATE]));
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let addresses = &mut rows.iter().map(|row| length(address(row, several)));
    let addresses = widest(addresses).clamp(length(NAMES[0]), room.max(2 * BOARD) - 1);
    let boards = widest(&mut rows.iter().map(|row| length(board(row, several))));
    let mut left = room.saturating_sub(addresses + 1);
    let mut chosen = vec![(0, addresses), (STATE, usize::from(WIDTHS[STATE]))];
    if boards > 0 && left > BOARD {
        let boards = boards.clamp(length(NAMES[1]), left - 1);
        left -= boards + 1;
        chosen.push((1, boards));
    }
    for at in OPTIONAL {
        let width = usize::from(WIDTHS[at]);
        if width < left {
            left -= width + 1;
            chosen.push((at, width));
        }
    }
    chosen.sort_unstable();
    let narrow = |(at, width)| (at, u16::try_from(width).unwrap_or(u16::MAX));
    chosen.into_iter().map(narrow).collect()
}

/// `text` in `width` columns: its middle goes, as the ends are what tells names apart.
pub(super) fn cut(text: &str, width: u16) -> String {
    let (length, width) = (length(text), usize::from(width));
    if length <= width || width == 0 {
        return text.to_owned();
    }
    let head = text.chars().take((width - 1) / 2);
    let tail = text.chars().skip(length - width / 2);
    head.chain(['…']).chain(tail).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The colour of `row`.
pub(super) fn style(row: &Row, now: Instant) -> Style {
    match row.verdict(now).1 {
        Trouble::None => Style::new(),
        Trouble::Some => Style::new().fg(Color::Yellow),
        Trouble::Much => Style::new().fg(Color::Red),
    }
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
