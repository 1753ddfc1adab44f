//! The loop that carries frames from a camera to the outputs and never goes dark: a live camera
//! that fails is opened again, an output that fails is started again, and a slate stands in.

mod damage;
mod link;
mod loss;
mod measured;
mod outputs;
mod plan;
mod rhythm;
mod stand_in;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;

use super::dials::Dials;
use super::error::CameraError;
use super::feed::{Camera, Frame};
use super::output::Output;
use super::planes;
use super::report::{Meter, OutputReport, RunReport};
use super::sharpener::Sharpener;
use super::timeline::{Clock, between};
use crate::governor::thermometer::Thermometer;
use crate::governor::{Governor, Rung};
use crate::state::ON_THEIR_WAY;
use damage::Damage;
use link::{Link, Sight};
use outputs::Outputs;
use stand_in::StandIn;

pub use outputs::{Absent, Beginning, OutputRecord, Slot};
pub use plan::{Event, Plan};

/// A camera or an output that worked for so many frames works: if it fails again, the first attempt comes soon.
const SETTLED: u64 = 300;
/// How often the loop looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Opens a camera; with caps, its frames are brought to them.
pub type OpenCamera =
    dyn Fn(Option<&gst::Caps>) -> Result<Box<dyn Camera + Send>, CameraError> + Send + Sync;
/// Starts the output with this index.
pub type OpenOutput = dyn Fn(usize) -> Result<Box<dyn Output>, CameraError> + Send + Sync;

/// What a session works with, each a trait that has a twin in memory.
pub struct World<'a> {
    /// A camera that is already open.
    pub camera: Option<Box<dyn Camera + Send>>,
    /// Opens it again.
    pub open_camera: Arc<OpenCamera>,
    /// The outputs, most of them already started.
    pub outputs: Vec<Slot>,
    /// Starts one of them again.
    pub open_output: Arc<OpenOutput>,
    /// The students and their dials.
    pub sharpener: Arc<Sharpener>,
    /// The time of the run.
    pub clock: &'a dyn Clock,
    /// The board's temperature.
    pub thermometer: &'a mut dyn Thermometer,
    /// Hears of every event.
    pub notify: &'a mut dyn FnMut(&Event),
}

/// A run of `honed`.
pub struct Session<'a> {
    plan: Plan,
    sharpener: Arc<Sharpener>,
    clock: &'a dyn Clock,
    thermometer: &'a mut dyn Thermometer,
    notify: &'a mut dyn FnMut(&Event),
    link: Link,
    outputs: Outputs,
    stand_in: StandIn,
    governor: Option<Governor>,
    meter: Meter,
    damage: Damage,
    live: bool,
    /// Why the camera is lost that has not delivered since, and when that was told.
    dark: Option<(String, gst::ClockTime)>,
    offset: gst::ClockTime,
    end: gst::ClockTime,
}

impl<'a> Session<'a> {
    /// A session that is to follow `plan`.
    pub fn new(mut plan: Plan, world: World<'a>) -> Self {
        let live = world.camera.as_ref().is_none_or(|c| c.live());
        planes::fit(&mut plan.fallback, world.sharpener.colour());
        let governor = plan
            .governed_fps
            .filter(|_| live)
            .map(|fps| Governor::new(world.sharpener.levels(), fps));
        Self {
            link: Link::new(world.camera, world.open_camera),
            outputs: Outputs::new(world.outputs, world.open_output, live, plan.service),
            stand_in: StandIn::new(plan.fallback.clone(), plan.keep_trying, world.clock.now()),
            plan,
            sharpener: world.sharpener,
            clock: world.clock,
            thermometer: world.thermometer,
            notify: world.notify,
            governor,
            meter: Meter::default(),
            damage: Damage::default(),
            live,
            dark: None,
            offset: gst::ClockTime::ZERO,
            end: gst::ClockTime::ZERO,
        }
    }

    /// Runs until the source ends, the frames are counted, or `stop` says so; then tells `ending` and completes the outputs.
    ///
    /// # Errors
    /// [`CameraError`] when a file, or a camera that never delivered, fails; or when the last output
    /// is gone for good. Then no file appears.
    pub fn run(
        mut self,
        stop: &dyn Fn() -> bool,
        ending: &dyn Fn(),
    ) -> Result<RunReport, CameraError> {
        let ended = self.play(stop);
        ending();
        self.complete(ended?)
    }

    /// Carries frames to the outputs; whether the source ended.
    fn play(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, CameraError> {
        let mut ended = false;
        while !ended && !stop() && self.plan.frames.is_none_or(|n| self.meter.frames < n) {
            ended = self.outputs.ready()? && !self.turn()?;
        }
        if self.meter.frames == 0 && self.meter.slates == 0 && !stop() {
            return Err(CameraError::NoFrame {
                source_name: self.plan.source.clone(),
                reason: "it ended before the first frame".into(),
            });
        }
        Ok(ended)
    }

    fn complete(mut self, ended: bool) -> Result<RunReport, CameraError> {
        self.sum_up_damage();
        let mut report = self.report(ended);
        let outputs = self.outputs.finish(self.clock, &mut *self.notify)?;
        report.outputs = outputs.iter().map(OutputReport::from).collect();
        Ok(report)
    }

    /// The report without outputs. All its counts are of one moment: the camera goes on while outputs are completed, and closing
    /// it before, which may take seconds, would put what they recorded at risk.
    fn report(&self, ended: bool) -> RunReport {
        let captured = self.link.captured();
        let held = self.link.held(captured);
        let (source, live) = (&self.plan.source, self.live);
        let mut report = self.meter.report(source, live, captured, &self.sharpener);
        if !ended {
            // Of a file they were only read ahead; of a camera a few are between it and the outputs.
            let on_their_way = if live { held.min(ON_THEIR_WAY) } else { held };
            report.dropped = report.dropped.saturating_sub(on_their_way);
        }
        report
    }

    /// One look at the camera; false when there is nothing more to come.
    fn turn(&mut self) -> Result<bool, CameraError> {
        self.outputs.look(self.clock.now(), &mut *self.notify)?;
        let mut wait = LOOK;
        if self.bridges() {
            wait = wait.min(self.stand_in.due(self.clock.now()));
        }
        let shape = self.stand_in.shape().cloned();
        match self.link.look(wait, self.clock, shape.as_ref()) {
            Sight::Frame(frame) => self.frame(frame)?,
            Sight::Silent => self.silence()?,
            Sight::Away => {}
            Sight::Opened => {
                self.stand_in.opened(self.clock.now());
                // The first slate may have gone out while it was being opened.
                if let Some(shape) = self.stand_in.shape() {
                    self.link.keep_to(shape);
                }
            }
            Sight::Ended => return self.ended(),
            Sight::Failed(error) => self.lose(error)?,
        }
        if self.bridges()
            && let Some(frame) = self.stand_in.stand_in(self.clock.now(), self.end)?
        {
            self.end = frame.mark.pts + gst::ClockTime::NSECOND;
            self.meter.slates += 1;
            self.sharpener.restart();
            self.deliver(&frame)?;
        }
        self.hear_complaints();
        if let Some(tally) = &self.plan.tally {
            tally.captured(self.link.captured());
        }
        self.publish();
        if let Some(every) = self.plan.status_every
            && let Some(line) = self.meter.status(self.clock.now(), every)
        {
            (self.notify)(&Event::Status(line));
        }
        Ok(true)
    }

    /// Whether something may stand in. Before the first picture, a camera that is there has its time to
    /// deliver it: its size becomes that of the outputs.
    fn bridges(&self) -> bool {
        self.live && (self.stand_in.shape().is_some() || !self.link.is_up())
    }

    fn frame(&mut self, mut frame: Frame) -> Result<(), CameraError> {
        let now = self.clock.now();
        let mut pts = frame.buffer.pts().unwrap_or(now) + self.offset;
        if self.live {
            // Captured before what stood in for it: late, but the newest picture there is.
            pts = pts.max(self.end);
        }
        if !self.live {
            self.damage.picture(pts, frame.buffer.duration());
        }
        let said = frame.buffer.duration();
        let length = clock_time(self.stand_in.measure(pts, said, &frame.caps));
        {
            let buffer = frame.buffer.make_mut();
            buffer.set_pts(pts);
            // The last picture of an MP4 lasts as long as this says.
            buffer.set_duration(length);
        }
        self.end = pts
            + if self.live {
                gst::ClockTime::NSECOND
            } else {
                length
            };
        let first = self.stand_in.last().is_none();
        let back = self.dark.take().is_some() || self.stand_in.showing();
        if self.live && (first || back) {
            (self.notify)(&Event::Live);
        } else if first {
            (self.notify)(&Event::Begun);
        }
        self.deliver(&frame)?;
        let now = self.clock.now();
        self.meter.note(&frame, now);
        if let Some(tally) = &self.plan.tally {
            let age = between(frame.mark.captured, now);
            tally.note(self.sharpener.sharpened(), age);
        }
        self.stand_in.frame(frame, now);
        self.govern();
        Ok(())
    }

    fn deliver(&mut self, frame: &Frame) -> Result<(), CameraError> {
        self.sharpener.tap().after(frame);
        self.outputs
            .deliver(frame, self.clock.now(), &mut *self.notify)
    }

    fn govern(&mut self) {
        let Some(governor) = &mut self.governor else {
            return;
        };
        // Frames that a person wants as they come cost nothing, which says nothing of the load.
        if self.sharpener.dials().switched_off() {
            return;
        }
        governor.frame(self.sharpener.take_last().unwrap_or_default());
        let now = Duration::from(self.clock.now());
        if !governor.is_due(now) {
            return;
        }
        if let Some(step) = governor.decide(now, self.thermometer.read()) {
            let levels = self.sharpener.levels().len();
            apply(step.rung, self.sharpener.dials(), levels);
            self.meter.governed(step.reason.clone());
            (self.notify)(&Event::Governed {
                reason: step.reason,
                degraded: step.rung != Rung::Level(0),
            });
        }
    }
}

fn apply(rung: Rung, dials: &Dials, levels: usize) {
    match rung {
        Rung::Level(level) => dials.set_load(level, false, false),
        Rung::EverySecond => dials.set_load(levels.saturating_sub(1), true, false),
        Rung::Bypass => dials.set_load(levels.saturating_sub(1), false, true),
    }
}

fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::try_from(duration).unwrap_or(gst::ClockTime::MAX)
}
