//! The table in the terminal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::crossterm::event::{
    self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row as TableRow, Table};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::mpsc::Receiver;

use super::fleet::{Column, Fleet, Row, Trouble};
use super::{Event, WAITING};

/// Characters from which a terminal has room for name, model and bundle.
const WIDE: u16 = 136;
/// Time between two pictures.
const REDRAW: Duration = Duration::from_millis(250);

/// How the table is looked at.
#[derive(Debug, Clone, Default)]
pub struct View {
    column: usize,
    reversed: bool,
    /// The first row shown.
    top: usize,
    /// Rows that were shown last.
    page: usize,
}

impl View {
    /// Takes a key; false when it ends the program.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('c') if control => return false,
            KeyCode::Char('s') | KeyCode::Right => {
                self.column = (self.column + 1) % Column::ALL.len()
            }
            KeyCode::Left => {
                self.column = (self.column + Column::ALL.len() - 1) % Column::ALL.len();
            }
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top += 1,
            KeyCode::PageUp => self.top = self.top.saturating_sub(self.page),
            KeyCode::PageDown => self.top += self.page,
            KeyCode::Home => self.top = 0,
            _ => {}
        }
        true
    }

    /// Draws the boards as they are at `now`.
    pub fn draw(&mut self, frame: &mut Frame<'_>, fleet: &Fleet, now: Instant) {
        let [head, middle, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let column = Column::ALL[self.column];
        let rows = fleet.sorted(column, self.reversed, now);
        frame.render_widget(summary(&rows, fleet.turned_away, now), head);
        self.table(frame, middle, &rows, now);
        let reversed = if self.reversed { ", reversed" } else { "" };
        let keys = format!(
            " sorted by {}{reversed}   s sort   r reverse   arrows, PgUp, PgDn scroll   q quit",
            column.name()
        );
        frame.render_widget(Line::from(keys).style(Modifier::DIM), foot);
    }

    fn table(&mut self, frame: &mut Frame<'_>, area: Rect, rows: &[&Row], now: Instant) {
        self.page = usize::from(area.height.saturating_sub(1)).max(1);
        self.top = self.top.min(rows.len().saturating_sub(self.page));
        let address = rows.iter().map(|row| row.address.chars().count()).max();
        let address = u16::try_from(address.unwrap_or(0))
            .unwrap_or(u16::MAX)
            .clamp(7, 28);
        let wide = area.width >= WIDE;
        let widths = [address, 12, 18, 18, 8, 6, 7, 5, 7, 6, 0];
        let mut widths = widths.map(Constraint::Length);
        widths[10] = Constraint::Fill(1);
        let names = [
            "address", "board", "model", "bundle", "level", "fps", "age p99", "C", "drops", "seen",
            "state",
        ];
        let head = TableRow::new(columns(names, wide)).style(Modifier::BOLD);
        let shown = rows.iter().skip(self.top).take(self.page);
        let rows = shown.map(|row| line(row, wide, now));
        let widths = columns(widths, wide);
        frame.render_widget(Table::new(rows, widths).header(head), area);
    }
}

/// All columns, or those that a narrow terminal has room for.
fn columns<T>(all: [T; 11], wide: bool) -> Vec<T> {
    let all = all.into_iter().enumerate();
    let kept = all.filter(|(at, _)| wide || !(1..=3).contains(at));
    kept.map(|(_, column)| column).collect()
}

fn summary(rows: &[&Row], turned_away: bool, now: Instant) -> Line<'static> {
    let boards = || rows.iter().filter(|row| !row.broker);
    let count = |trouble| boards().filter(|row| row.verdict(now).1 == trouble).count();
    let missed: u64 = rows.iter().map(|row| row.missed).sum();
    let mut text = format!(
        " hone monitor: {} boards, {} well, {} to look at, {} in trouble, {missed} messages missed",
        boards().count(),
        count(Trouble::None),
        count(Trouble::Some),
        count(Trouble::Much),
    );
    // One that works is no row.
    match rows.len() - boards().count() {
        0 => {}
        1 => text.push_str(", 1 broker away"),
        away => text.push_str(&format!(", {away} brokers away")),
    }
    if turned_away {
        text.push_str(", no room for more");
    }
    Line::from(text).style(Modifier::REVERSED)
}

fn line(row: &Row, wide: bool, now: Instant) -> TableRow<'static> {
    let (state, trouble) = row.verdict(now);
    let style = match trouble {
        Trouble::None => Style::new(),
        Trouble::Some => Style::new().fg(Color::Yellow),
        Trouble::Much => Style::new().fg(Color::Red),
    };
    let text = |of: fn(&hone_shared::telemetry::BoardState) -> String| {
        row.state().map_or_else(String::new, of)
    };
    let board = row
        .message
        .as_ref()
        .map_or_else(String::new, |m| m.board.clone());
    let seen = row
        .seen
        .map_or_else(String::new, |seen| ago(now.saturating_duration_since(seen)));
    let cells = [
        row.address.clone(),
        board,
        text(|s| s.model.clone()),
        text(|s| s.bundle.clone()),
        text(|s| s.level.clone()),
        text(|s| format!("{:.1}", s.fps)),
        text(|s| format!("{:.0} ms", s.age_p99_ms)),
        text(|s| s.celsius.map_or_else(String::new, |c| format!("{c:.0}"))),
        text(|s| s.dropped.to_string()),
        seen,
        state,
    ];
    TableRow::new(columns(cells, wide)).style(style)
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Shows `events` in the terminal until a person ends it; a signal ends the program, with the terminal as it was.
///
/// # Errors
/// The terminal does not take a picture, or gives no keys.
pub fn show(mut events: Receiver<Event>, mut fleet: Fleet) -> Result<()> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let shown = watch(&mut terminal, &mut events, &mut fleet, &mut signals);
    ratatui::restore();
    if let Some(signal) = shown.context("the terminal is gone")? {
        emulate_default_handler(signal).context("cannot end by a signal")?;
    }
    Ok(())
}

/// The signal that ended it, if it was one.
fn watch(
    terminal: &mut DefaultTerminal,
    events: &mut Receiver<Event>,
    fleet: &mut Fleet,
    signals: &mut Signals,
) -> std::io::Result<Option<i32>> {
    let mut view = View::default();
    loop {
        if let Some(signal) = signals.pending().next() {
            return Ok(Some(signal));
        }
        // No more than may wait at one time, so that a flood leaves room for keys.
        for _ in 0..WAITING {
            let Ok(event) = events.try_recv() else { break };
            fleet.hear(event, Instant::now());
        }
        terminal.draw(|frame| view.draw(frame, fleet, Instant::now()))?;
        if event::poll(REDRAW)?
            && let Input::Key(key) = event::read()?
            && !view.key(key)
        {
            return Ok(None);
        }
    }
}
