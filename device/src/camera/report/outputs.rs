//! What each output did.

use serde::Serialize;

use super::Stage;
use crate::camera::session::OutputRecord;
use crate::camera::sink::SinkSpec;

/// One output's part of a run.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReport {
    /// The sink as the user named it.
    pub sink: String,
    /// Frames that the sink or its encoder took.
    pub frames: u64,
    /// Frames given to it that it was too slow for.
    pub dropped: u64,
    /// From capture until the sink or encoder took the frame, in milliseconds.
    pub age_ms: Stage,
    /// Times it failed and was started anew.
    pub restarts: u64,
}

impl From<&OutputRecord> for OutputReport {
    fn from(record: &OutputRecord) -> Self {
        Self {
            sink: record.name.clone(),
            frames: record.stats.taken,
            dropped: record.stats.given.saturating_sub(record.stats.taken),
            age_ms: (&record.stats.age).into(),
            restarts: record.restarts,
        }
    }
}

impl OutputReport {
    /// A line on how often it was started anew, and what its file lacks since.
    pub(super) fn tell_restarts(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.restarts == 0 {
            return Ok(());
        }
        let (sink, restarts) = (&self.sink, self.restarts);
        write!(f, "output    {sink} was started anew {restarts} times")?;
        if SinkSpec::target_of(sink).is_some() {
            write!(
                f,
                ": it lacks what came before the last; pieces that could be kept stand beside it, their names end in -1, -2 and so on"
            )?;
        }
        writeln!(f)
    }
}
