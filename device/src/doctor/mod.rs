//! What a board has, what it lacks, and what to do about it.

mod board;
mod video;

use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// `honed` works without, with less.
    Lacking,
    /// `honed` does not work until this is mended.
    Bad,
}

impl Verdict {
    /// The word in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Lacking => "lacking",
            Self::Bad => "bad",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do, empty when nothing is.
    pub advice: String,
}

impl Check {
    fn new(
        what: &str,
        verdict: Verdict,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            what: what.to_owned(),
            verdict,
            found: found.into(),
            advice: advice.into(),
        }
    }

    fn good(what: &str, found: impl Into<String>) -> Self {
        Self::new(what, Verdict::Good, found, "")
    }
}

/// Looks at everything but the student.
pub fn examine() -> Vec<Check> {
    let root = std::path::Path::new("/");
    let mut checks = board::examine(root);
    checks.extend(video::examine(&board::model(root)));
    checks
}

/// Loads the students of `source` and runs them on 1280x720 frames, five seconds in all.
pub fn examine_student(source: &crate::camera::student::Source) -> Vec<Check> {
    video::student(source)
}
