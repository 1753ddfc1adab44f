//! What a deploy shows: a line of progress for each board that is being worked on, and its row once it is done.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use comfy_table::{ColumnConstraint, Table, Width, presets};
use hone_shared::printable::printable;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::deploy::{Row, Step};

const NAMES: [&str; 6] = ["board", "machine", "before", "kB", "s", "outcome"];
/// Least widths of the columns between the first and the last, so that rows that come one by one make a table.
const WIDTHS: [u16; 4] = [9, 24, 10, 8];

/// Prints `text` on a line of its own; a deploy goes on without anybody who reads.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{}", printable(text));
}

/// What people see while boards are worked on.
pub(super) struct Shown<'a> {
    boards: &'a [String],
    rows: bool,
    all: MultiProgress,
    style: ProgressStyle,
    /// Of the boards that are being worked on; nothing is drawn when standard error is no terminal.
    bars: Mutex<HashMap<usize, ProgressBar>>,
}

impl<'a> Shown<'a> {
    /// With a row for each of `boards` that is done, if there are to be `rows`.
    ///
    /// # Errors
    /// The line of progress has a template that is none.
    pub(super) fn new(boards: &'a [String], rows: bool) -> Result<Self> {
        let shown = Self {
            boards,
            rows,
            all: MultiProgress::new(),
            style: ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})")?,
            bars: Mutex::default(),
        };
        if rows {
            say(shown.line(NAMES.map(str::to_owned)));
        }
        Ok(shown)
    }

    pub(super) fn tell(&self, at: usize, step: Step<'_>) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Doing(text) => {
                let bar = bars.entry(at).or_insert_with(|| self.bar(at));
                bar.set_message(text.to_owned());
            }
            Step::Done(row) => {
                if let Some(bar) = bars.remove(&at) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                if self.rows {
                    self.all.suspend(|| say(self.line(cells(row))));
                }
            }
        }
    }

    fn bar(&self, at: usize) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_style(self.style.clone());
        let bar = self.all.add(bar.with_prefix(self.boards[at].clone()));
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    }

    /// One row of the table.
    fn line(&self, cells: [String; 6]) -> Table {
        let longest = self.boards.iter().map(|board| board.chars().count()).max();
        let first = u16::try_from(longest.unwrap_or_default() + 2).unwrap_or(u16::MAX);
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).add_row(cells);
        let least = std::iter::once(first).chain(WIDTHS).map(Width::Fixed);
        table.set_constraints(least.map(ColumnConstraint::LowerBoundary));
        table
    }
}

fn cells(row: &Row) -> [String; 6] {
    [
        row.board.clone(),
        row.machine.clone(),
        row.before.clone(),
        format!("{:.1}", row.bytes as f64 / 1e3),
        format!("{:.1}", row.seconds),
        row.outcome.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_come_one_by_one_stand_below_each_other() {
        let boards = ["pi@north".to_owned(), "pi@a".to_owned()];
        let shown = Shown::new(&boards, false).unwrap();
        let row = |board: &str, before: &str| {
            let cells = [board, "aarch64", before, "8.7", "0.9", "unchanged\nnote: x"];
            shown.line(cells.map(str::to_owned)).to_string()
        };
        let (one, other) = (
            row("pi@north", "mixed 1.0.0, on trial"),
            row("pi@a", "no honed"),
        );
        for what in ["aarch64", "8.7", "0.9", "unchanged"] {
            assert!(one.contains(what), "{one}");
            assert_eq!(one.find(what), other.find(what), "{one}\n{other}");
        }
        assert_eq!(one.lines().count(), 2);
    }

    #[test]
    fn only_what_is_under_way_has_a_line_of_progress() {
        let boards = ["a".to_owned(), "b".to_owned()];
        let shown = Shown::new(&boards, false).unwrap();
        let under_way = || {
            shown
                .bars
                .lock()
                .unwrap()
                .keys()
                .copied()
                .collect::<Vec<_>>()
        };
        assert!(under_way().is_empty());
        shown.tell(1, Step::Doing("looking"));
        shown.tell(1, Step::Doing("sent 1.0 MB"));
        assert_eq!(under_way(), [1]);
        let row = Row {
            board: "b".into(),
            machine: String::new(),
            before: String::new(),
            bytes: 0,
            seconds: 0.0,
            good: true,
            outcome: "unchanged".into(),
        };
        shown.tell(1, Step::Done(&row));
        assert!(under_way().is_empty());
    }
}
