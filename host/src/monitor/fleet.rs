//! What is known of every board, and which of them needs a person.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use hone_shared::telemetry::{BoardState, Message, Phase};

use super::{Event, News};

/// Most rows; a broker may tell of any number of boards.
const MOST: usize = 4096;
/// A board that says nothing for so long is in trouble.
const SILENT: Duration = Duration::from_secs(5);
/// Degrees Celsius from which a board is warm; at 80 the governor gives it less to do.
const WARM: f32 = 75.0;
/// Milliseconds of frame age beyond which nobody calls a picture live.
const OLD: f32 = 200.0;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// All is well.
    None,
    /// Worth a look.
    Some,
    /// No sharp pictures come from it.
    Much,
}

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

/// What is known of one address.
#[derive(Debug, Clone)]
pub struct Row {
    /// The address.
    pub address: String,
    /// The newest message.
    pub message: Option<Message>,
    /// When it came.
    pub seen: Option<Instant>,
    /// Why there is no connection; `None` while there is one.
    pub lost: Option<String>,
    /// Messages that a connection that held did not bring.
    pub missed: u64,
    /// Times that `honed` was started again.
    pub restarts: u64,
    /// Frames that were no message.
    pub damaged: u64,
    /// The connection has held since the newest message.
    held: bool,
    /// It is a broker, not a board.
    pub(super) broker: bool,
}

impl Row {
    fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            message: None,
            seen: None,
            lost: Some("connecting".into()),
            missed: 0,
            restarts: 0,
            damaged: 0,
            held: false,
            broker: false,
        }
    }

    fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Connected | News::Online(true) => self.lost = None,
            News::Online(false) => self.lose("offline".into()),
            News::Lost(reason) => self.lose(reason),
            News::Damaged(_) => self.damaged += 1,
            News::Message(message) => {
                match &self.message {
                    Some(old) if old.run != message.run => self.restarts += 1,
                    Some(old) if self.held => {
                        let next = old.sequence.saturating_add(1);
                        self.missed += message.sequence.saturating_sub(next);
                    }
                    _ => {}
                }
                self.lost = None;
                self.held = true;
                self.seen = Some(now);
                self.message = Some(*message);
            }
        }
    }

    fn lose(&mut self, reason: String) {
        self.lost = Some(reason);
        self.held = false;
    }

    /// What the board says of itself.
    pub fn state(&self) -> Option<&BoardState> {
        self.message.as_ref().map(|message| &message.state)
    }

    /// How it is, in a few words, and how bad that is.
    pub fn verdict(&self, now: Instant) -> (String, Trouble) {
        if let Some(reason) = &self.lost {
            return (reason.clone(), Trouble::Much);
        }
        let (Some(state), Some(seen)) = (self.state(), self.seen) else {
            return ("waiting".into(), Trouble::Some);
        };
        if now.saturating_duration_since(seen) > SILENT {
            return ("silent".into(), Trouble::Much);
        }
        let some = |what: &str| (format!("{}, {what}", state.phase), Trouble::Some);
        match state.phase {
            Phase::Dark => (format!("dark: {}", state.notice), Trouble::Much),
            Phase::Starting => ("starting".into(), Trouble::Some),
            Phase::Untouched => ("untouched".into(), Trouble::Some),
            Phase::Live if state.throttled => some("throttled"),
            Phase::Live if state.celsius.is_some_and(|c| c >= WARM) => some("hot"),
            Phase::Live if state.degraded => some("degraded"),
            Phase::Live if state.age_p99_ms > OLD => some("late"),
            Phase::Live => ("live".into(), Trouble::None),
        }
    }
}

/// Every board, by address.
#[derive(Debug, Default)]
pub struct Fleet {
    rows: Vec<Row>,
    index: HashMap<String, usize>,
    /// Boards that there was no room for.
    pub turned_away: bool,
}

impl Fleet {
    /// Takes in what happened at `now`.
    pub fn hear(&mut self, event: Event, now: Instant) {
        match self.row(&event.address) {
            Some(row) => row.hear(event.news, now),
            None => self.turned_away = true,
        }
    }

    /// A row for `address`, a broker's or a board's, before anything is heard of it.
    pub fn expect(&mut self, address: &str, broker: bool) {
        if let Some(row) = self.row(address) {
            row.broker = broker;
        }
    }

    fn row(&mut self, address: &str) -> Option<&mut Row> {
        let next = self.rows.len();
        let at = match self.index.get(address) {
            Some(at) => *at,
            None if next == MOST => return None,
            None => {
                self.index.insert(address.to_owned(), next);
                self.rows.push(Row::new(address));
                next
            }
        };
        self.rows.get_mut(at)
    }

    /// Rows that are boards, by `column`, the other way round if `reversed`. A broker that works is no
    /// row; one that does not is.
    pub fn sorted(&self, column: Column, reversed: bool, now: Instant) -> Vec<&Row> {
        let shown = |row: &&Row| !row.broker || row.lost.is_some();
        let mut rows: Vec<&Row> = self.rows.iter().filter(shown).collect();
        rows.sort_by(|a, b| {
            let order = compare(a, b, column, now);
            let order = if reversed { order.reverse() } else { order };
            order.then_with(|| a.address.cmp(&b.address))
        });
        rows
    }
}

fn compare(a: &Row, b: &Row, column: Column, now: Instant) -> Ordering {
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
