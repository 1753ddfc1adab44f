//! What is known of every board, and which of them needs a person.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use hone_shared::telemetry::{BoardState, Message, Phase};

use super::column::{Column, compare};
use super::{Event, News};

/// Most rows; a broker may tell of any number of boards.
const MOST: usize = 4096;
/// A board that says nothing for so long is in trouble.
const SILENT: Duration = Duration::from_secs(5);
/// Degrees Celsius from which a board is warm; at 80 the governor gives it less to do.
const WARM: f32 = 75.0;
/// Milliseconds of frame age beyond which nobody calls a picture live.
const OLD: f32 = 200.0;
/// So many restarts within [`LATELY`] are more than an update and a power cut.
const MANY: usize = 3;
/// How long a restart counts.
const LATELY: Duration = Duration::from_secs(600);
/// Why there is no connection before anything is heard.
const CONNECTING: &str = "connecting";

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
    /// What was wrong with the newest of them; `None` once a message came.
    noise: Option<String>,
    /// When the newest restarts were noticed, [`MANY`] at most.
    restarted: VecDeque<Instant>,
    /// When the row was made, or there came to be a connection.
    since: Instant,
    /// The connection has held since the newest message.
    held: bool,
    /// It is a broker, not a board.
    pub(super) broker: bool,
}

impl Row {
    fn new(address: &str, now: Instant) -> Self {
        Self {
            address: address.to_owned(),
            message: None,
            seen: None,
            lost: Some(CONNECTING.into()),
            missed: 0,
            restarts: 0,
            damaged: 0,
            noise: None,
            restarted: VecDeque::new(),
            since: now,
            held: false,
            broker: false,
        }
    }

    fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Connected | News::Online(true) => self.find(now),
            News::Online(false) => self.lose("offline".into()),
            News::Lost(reason) => self.lose(reason),
            News::Damaged(reason) => {
                self.damaged += 1;
                self.noise = Some(reason);
                if self.lost.as_deref() == Some(CONNECTING) {
                    self.find(now);
                }
            }
            // The fleet's, not a row's.
            News::Forgotten => {}
            News::Message(message) => {
                match &self.message {
                    Some(old) if old.run != message.run => {
                        self.restarts += 1;
                        self.restarted.push_back(now);
                        if self.restarted.len() > MANY {
                            self.restarted.pop_front();
                        }
                    }
                    Some(old) if self.held => {
                        let next = old.sequence.saturating_add(1);
                        let missed = message.sequence.saturating_sub(next);
                        self.missed = self.missed.saturating_add(missed);
                    }
                    _ => {}
                }
                self.lost = None;
                self.noise = None;
                self.held = true;
                self.seen = Some(now);
                self.message = Some(*message);
            }
        }
    }

    fn find(&mut self, now: Instant) {
        if self.lost.take().is_some() {
            self.since = now;
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

    /// The broker that it is behind, and its name there.
    pub fn behind(&self) -> Option<(&str, &str)> {
        let line = self.address.starts_with('/');
        let parts = self.address.rsplit_once('/');
        parts.filter(|_| !line && !self.broker)
    }

    /// How it is, in a few words, and how bad that is.
    pub fn verdict(&self, now: Instant) -> (String, Trouble) {
        if let Some(reason) = &self.lost {
            return (reason.clone(), Trouble::Much);
        }
        let heard = self.seen.map_or(self.since, |seen| seen.max(self.since));
        let quiet = now.saturating_duration_since(heard) > SILENT;
        let state = match (self.state(), &self.noise) {
            (_, Some(reason)) if quiet => return (reason.clone(), Trouble::Much),
            _ if quiet => return ("silent".into(), Trouble::Much),
            (None, Some(reason)) => return (reason.clone(), Trouble::Some),
            (None, None) => return ("waiting".into(), Trouble::Some),
            (Some(state), _) => state,
        };
        let some = |what: &str| (format!("{}, {what}", state.phase), Trouble::Some);
        let lately = |at: &&Instant| now.saturating_duration_since(**at) < LATELY;
        let again_and_again = self.restarted.iter().filter(lately).count() >= MANY;
        match state.phase {
            Phase::Dark => (format!("dark: {}", state.notice), Trouble::Much),
            _ if again_and_again => some(&format!("restarted {} times", self.restarts)),
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
        match event.news {
            News::Forgotten => return self.forget(&event.address),
            News::Lost(_) => self.let_go(&event.address),
            _ => {}
        }
        match self.row(&event.address, now) {
            Some(row) => row.hear(event.news, now),
            None => self.turned_away = true,
        }
    }

    /// A row for `address`, a broker's or a board's, before anything is heard of it.
    pub fn expect(&mut self, address: &str, broker: bool) {
        if let Some(row) = self.row(address, Instant::now()) {
            row.broker = broker;
        }
    }

    fn forget(&mut self, address: &str) {
        if let Some(at) = self.index.remove(address) {
            self.rows.swap_remove(at);
            // Boards that still find no room say so again.
            self.turned_away = false;
            if let Some(moved) = self.rows.get(at) {
                self.index.insert(moved.address.clone(), at);
            }
        }
    }

    /// What boards say while there is no connection to their `broker`, none could have brought.
    fn let_go(&mut self, broker: &str) {
        for row in &mut self.rows {
            row.held &= row.behind().is_none_or(|(place, _)| place != broker);
        }
    }

    fn row(&mut self, address: &str, now: Instant) -> Option<&mut Row> {
        let next = self.rows.len();
        let at = match self.index.get(address) {
            Some(at) => *at,
            None if next == MOST => return None,
            None => {
                self.index.insert(address.to_owned(), next);
                self.rows.push(Row::new(address, now));
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
