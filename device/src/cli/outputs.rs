//! The outputs of a run, and what becomes of those that do not start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::serve::Job;
use super::wiring::Wiring;
use crate::camera::error::CameraError;
use crate::camera::output;
use crate::camera::session::{Absent, Beginning, OpenOutput, Slot};
use crate::camera::timeline::Timeline;
use crate::gpio;

/// Starts an output by its index: those of the sinks, and behind them the trigger.
pub(super) fn opener(
    job: &Job,
    wiring: &Wiring,
    timeline: &Timeline,
    live: bool,
) -> Arc<OpenOutput> {
    let (sinks, trigger) = (job.sinks.clone(), wiring.trigger(timeline));
    let timeline = timeline.clone();
    Arc::new(move |index| match sinks.get(index) {
        Some(spec) => output::start(spec, &timeline, live),
        None => trigger(),
    })
}

/// What becomes of an output that does not start. A run that waits for its camera (`waits`) waits for its outputs too: a disk may
/// not be mounted yet. An update `on_trial` has to show that it starts as it is.
pub(super) fn absent(waits: bool, on_trial: bool) -> Absent {
    match (waits, on_trial) {
        (_, true) => Absent::RefusedSoon,
        (true, false) => Absent::TriedAgain,
        (false, false) => Absent::Refused,
    }
}

/// Starts all outputs of `job`, one after another, until `stop` says that the run is over.
///
/// # Errors
/// Why the first does not start that is refused for it.
pub(super) fn begin(
    job: &Job,
    open: &Arc<OpenOutput>,
    absent: Absent,
    stop: &AtomicBool,
) -> Result<Vec<Slot>, CameraError> {
    let beginning = Beginning {
        open,
        absent,
        stop: &|| stop.load(Ordering::Relaxed),
        say: &|note| job.journal.say(note),
    };
    let trigger = job.gpio.trigger.map(|_| gpio::TRIGGER);
    let sinks = job.sinks.iter().map(|sink| sink.name.as_str());
    let names = sinks.chain(trigger).enumerate();
    names
        .map(|(index, name)| beginning.start(index, name))
        .collect()
}
