//! What a running `honed` says: every line goes to standard error, and the newest ones are kept for
//! whoever looks at the board.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hone_shared::print::tell;
use hone_shared::printable::printable;
use serde::Serialize;

/// Lines kept.
const LINES: usize = 200;
/// Characters kept of a line.
const LENGTH: usize = 1000;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counts from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// What happened.
    pub text: String,
}

/// The log of a run; clones write into the same one. It is locked only while references are copied,
/// so that who says something hardly ever waits for who reads.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    lines: VecDeque<Arc<LogLine>>,
    last: u64,
}

impl Journal {
    /// Writes a line to standard error and keeps it.
    pub fn say(&self, line: impl Display) {
        // A camera's words must not look like a line of ours.
        let text = printable(line).replace('\n', " ");
        tell(&text);
        self.note(&text);
    }

    /// Keeps a line, cut to 1,000 characters, without writing it to standard error.
    pub fn note(&self, line: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let text = line.chars().take(LENGTH).collect();
        let mut book = self.book();
        book.last += 1;
        let line = LogLine {
            number: book.last,
            unix_ms: u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
            text,
        };
        if book.lines.len() == LINES {
            book.lines.pop_front();
        }
        book.lines.push_back(Arc::new(line));
    }

    /// Lines after line `after`, the oldest first; 200 at most.
    pub fn lines(&self, after: u64) -> Vec<LogLine> {
        let lines = self.book().lines.clone();
        let newer = lines.iter().filter(|line| line.number > after);
        newer.map(|line| LogLine::clone(line)).collect()
    }

    /// The newest line.
    pub fn newest(&self) -> Option<String> {
        self.book().lines.back().map(|line| line.text.clone())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_long_ones_cut() {
        let journal = Journal::default();
        assert_eq!((journal.lines(0), journal.newest()), (Vec::new(), None));
        for n in 1..=LINES + 50 {
            journal.clone().note(&n.to_string());
        }
        let lines = journal.lines(0);
        assert_eq!(lines.len(), LINES);
        assert_eq!((lines[0].number, lines[0].text.as_str()), (51, "51"));
        assert_eq!(journal.newest().as_deref(), Some("250"));
        assert_eq!(journal.lines(249).len(), 1);
        assert!(journal.lines(250).is_empty());
        journal.say("camera: \x1b[2Jgone\nlive");
        let said = journal.newest();
        assert_eq!(said.as_deref(), Some("camera: \u{fffd}[2Jgone live"));
        journal.note(&"ü".repeat(5000));
        assert_eq!(journal.lines(251)[0].text, "ü".repeat(LENGTH));
    }
}
