//! What is wrong with a recipe that reads well, and where it says so.

use anyhow::Error;

/// Where in a recipe a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere in particular.
    Whole,
    /// The table of this name.
    Table(&'static str),
    /// The table of this name and number among `[[name]]`, counted from 0.
    Nth(&'static str, usize),
}

/// A combination that cannot be trained.
#[derive(Debug)]
pub(super) struct Fault {
    pub place: Place,
    pub error: Error,
}

impl Place {
    /// A fault that stands here.
    pub fn fault(self, error: impl Into<Error>) -> Fault {
        Fault {
            place: self,
            error: error.into(),
        }
    }

    /// The line of `text` with the head of this table, counted from 0.
    pub fn line(self, text: &str) -> Option<usize> {
        let lines = || text.lines().map(str::trim_start).enumerate();
        match self {
            Self::Whole => None,
            // Other tables may have a key of this name.
            Self::Table(name) => lines()
                .find(|(_, line)| line.starts_with(&format!("[{name}]")))
                .or_else(|| lines().find(|(_, line)| assigns(line, name)))
                .map(|(n, _)| n),
            Self::Nth(name, nth) => lines()
                .filter(|(_, line)| line.starts_with(&format!("[[{name}]]")))
                .nth(nth)
                .or_else(|| lines().find(|(_, line)| assigns(line, name)))
                .map(|(n, _)| n),
        }
    }

    /// How many tables of this place's name `text` has, where they are counted.
    pub fn count(self, text: &str) -> usize {
        let Self::Nth(name, _) = self else { return 0 };
        let head = format!("[[{name}]]");
        let heads = text
            .lines()
            .filter(|line| line.trim_start().starts_with(&head));
        heads.count()
    }
}

fn assigns(line: &str, key: &str) -> bool {
    line.split_once('=')
        .is_some_and(|(name, _)| name.trim() == key)
}
