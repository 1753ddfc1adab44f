//! The table in the terminal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::crossterm::event::{
    self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row as TableRow, Table, Wrap};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::mpsc::Receiver;

use super::cells::{NAMES, STATE, cells, cut, fitting, several_brokers, style};
use super::column::Column;
use super::fleet::{Fleet, Row, Trouble};
use super::{Event, WAITING};

/// Lines below which a terminal has no room to tell a long reason in full.
const LOW: u16 = 12;
/// Time between two pictures.
const REDRAW: Duration = Duration::from_millis(250);

/// How the table is looked at.
#[derive(Debug, Clone, Default)]
pub struct View {
    column: usize,
    reversed: bool,
    /// The first row shown.
    top: usize,
    /// The row of which all is told.
    selected: usize,
    /// A person chose it; else it is the first, whichever board that is.
    chosen: bool,
    /// The address of the chosen board, which takes the choice along when rows change places.
    board: Option<String>,
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
            KeyCode::Up => self.choose(self.selected.saturating_sub(1)),
            KeyCode::Down => self.choose(self.selected + 1),
            KeyCode::PageUp => self.choose(self.selected.saturating_sub(self.page)),
            KeyCode::PageDown => self.choose(self.selected + self.page),
            KeyCode::Home => {
                self.choose(0);
                self.chosen = false;
            }
            _ => {}
        }
        true
    }

    fn choose(&mut self, row: usize) {
        self.selected = row;
        self.chosen = true;
        self.board = None;
    }

    /// Looks up where the chosen board is among `rows`; once it is gone, the row in its place is chosen.
    fn find(&mut self, rows: &[&Row]) {
        let board = self.board.as_ref();
        let at = board.and_then(|board| rows.iter().position(|row| row.address == *board));
        let last = rows.len().saturating_sub(1);
        self.selected = at.unwrap_or(self.selected.min(last));
        let row = rows.get(self.selected).filter(|_| self.chosen);
        self.board = row.map(|row| row.address.clone());
    }

    /// Draws the boards as they are at `now`.
    pub fn draw(&mut self, frame: &mut Frame<'_>, fleet: &Fleet, now: Instant) {
        let column = Column::ALL[self.column];
        let rows = fleet.sorted(column, self.reversed, now);
        self.find(&rows);
        let details = rows.get(self.selected).map(|row| details(row, now));
        let details = Paragraph::new(details.unwrap_or_default()).wrap(Wrap { trim: false });
        let [head, middle, detail, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(2),
            Constraint::Length(if frame.area().height < LOW { 1 } else { 3 }),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(details, detail);
        frame.render_widget(summary(&rows, fleet.turned_away, now), head);
        self.table(frame, middle, &rows, now);
        let reversed = if self.reversed { ", reversed" } else { "" };
        let keys = format!(
            " sorted by {}{reversed}   s sort   r reverse   arrows, PgUp, PgDn select   q quit",
            column.name()
        );
        frame.render_widget(Line::from(keys).style(Modifier::DIM), foot);
    }

    fn table(&mut self, frame: &mut Frame<'_>, area: Rect, rows: &[&Row], now: Instant) {
        self.page = usize::from(area.height.saturating_sub(1)).max(1);
        let last = rows.len().saturating_sub(self.page);
        let first = (self.selected + 1).saturating_sub(self.page);
        self.top = self.top.clamp(first, self.selected).min(last);
        let several = several_brokers(rows);
        let columns = fitting(rows, several, area.width);
        let head = columns.iter().map(|(at, _)| NAMES[*at]);
        let head = TableRow::new(head).style(Modifier::BOLD);
        let shown = rows.iter().enumerate().skip(self.top).take(self.page);
        let lines = shown.map(|(at, row)| {
            let cells = cells(row, several, now);
            let cells = columns.iter().map(|(column, width)| match *column {
                0 | 1 => cut(&cells[*column], *width),
                _ => cells[*column].clone(),
            });
            let style = style(row, now);
            TableRow::new(cells).style(match at == self.selected {
                true => style.add_modifier(Modifier::REVERSED),
                false => style,
            })
        });
        let widths = columns.iter().map(|(at, width)| match *at {
            STATE => Constraint::Fill(1),
            _ => Constraint::Length(*width),
        });
        frame.render_widget(Table::new(lines, widths).header(head), area);
    }
}

/// Where `row` is, and all of what is wrong there.
fn details(row: &Row, now: Instant) -> String {
    let page = row.message.as_ref().filter(|_| row.behind().is_none());
    let name = page.map(|message| format!(" ({})", message.board));
    format!(
        " {}{}: {}",
        row.address,
        name.unwrap_or_default(),
        row.verdict(now).0
    )
}

fn summary(rows: &[&Row], turned_away: bool, now: Instant) -> Line<'static> {
    let boards = || rows.iter().filter(|row| !row.broker);
    let count = |trouble| boards().filter(|row| row.verdict(now).1 == trouble).count();
    let missed = rows
        .iter()
        .map(|row| row.missed)
        .fold(0, u64::saturating_add);
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
