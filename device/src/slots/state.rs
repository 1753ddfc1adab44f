//! What a board remembers of its slots, in one small file.

use serde::{Deserialize, Serialize};

/// The state's format; another one is read as if it were not there.
const FORMAT: u32 = 1;
/// Starts that a trial may take. One more, and the slot before comes back.
pub const MOST_STARTS: u32 = 3;

/// One of the two places for a bundle and its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// `a` or `b`, also the name of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Where its bundle lies.
    pub fn bundle_path(self) -> String {
        format!("{self}/bundle.hone")
    }

    /// Where its program lies, if it has one.
    pub fn program_path(self) -> String {
        format!("{self}/honed")
    }

    /// The slot of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.name() == name)
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A program in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What it says to `--version`.
    pub version: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What was put into a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The bundle's name.
    pub bundle: String,
    /// Its release.
    pub release: String,
    /// SHA-256 of its content, hexadecimal: its identity.
    pub sha256: String,
    /// Fingerprint of the key that signed it.
    pub signed_by: Option<String>,
    /// The program that runs it; none where the board's own does.
    pub program: Option<Program>,
    /// Whether it was tried and given up.
    pub failed: bool,
}

/// A slot that has yet to prove itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Times it was started.
    pub starts: u32,
    /// Whether this start was judged bad, though there is no other slot and it goes on.
    #[serde(default)]
    pub bad: bool,
}

/// Everything a board remembers of its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// The slot that runs at the next start.
    pub active: Option<Slot>,
    /// Whether the active slot is still on trial.
    pub trial: Option<Trial>,
    /// What slot a holds; nothing while it is being written.
    pub a: Option<Installed>,
    /// What slot b holds; nothing while it is being written.
    pub b: Option<Installed>,
    /// What happened last, for people.
    pub last: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            active: None,
            trial: None,
            a: None,
            b: None,
            last: String::new(),
        }
    }
}

impl State {
    /// Reads the file's content; nothing when it is none, or one of another format.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|state: &Self| state.format == FORMAT)
    }

    /// The file's content.
    ///
    /// # Errors
    /// The encoder's.
    pub fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// What a slot holds.
    pub fn installed(&self, slot: Slot) -> Option<&Installed> {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }

    /// Where to note what a slot holds.
    pub fn entry(&mut self, slot: Slot) -> &mut Option<Installed> {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }

    /// What the active slot holds.
    pub fn running(&self) -> Option<&Installed> {
        self.active.and_then(|slot| self.installed(slot))
    }

    /// The slot that can take the active one's place: it holds something that did not fail.
    pub fn spare(&self) -> Option<Slot> {
        let other = self.active?.other();
        self.installed(other).filter(|i| !i.failed).map(|_| other)
    }

    /// Makes the spare slot active, and notes why the active one was given up; it failed only if it was
    /// on trial. False without a spare.
    pub fn fall_back(&mut self, reason: &str) -> bool {
        let (Some(active), Some(spare)) = (self.active, self.spare()) else {
            return false;
        };
        let on_trial = self.trial.is_some();
        if let Some(given_up) = self.entry(active) {
            given_up.failed = on_trial;
        }
        self.active = Some(spare);
        self.trial = None;
        self.last = format!("slot {active} was given up, slot {spare} came back: {reason}");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_state_is_read() {
        let text = r#"{"format": 1, "active": "b", "trial": {"starts": 2}, "a": null, "b": null, "last": ""}"#;
        let trial = State::parse(text.as_bytes()).unwrap().trial.unwrap();
        assert_eq!((trial.starts, trial.bad), (2, false));
    }
}
