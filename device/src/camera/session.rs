//! The loop that carries frames from a camera to the outputs and never goes dark: a live camera
//! that fails is opened again, an output that fails is started again, and a slate stands in.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use gstreamer as gst;

use super::backoff::Backoff;
use super::capture::{Camera, Frame, Next, frame_rate};
use super::error::CameraError;
use super::output::Output;
use super::report::{Meter, RunReport};
use super::sharpener::{Dials, Sharpener};
use super::slate;
use super::timeline::{Clock, Mark, between};
use crate::governor::thermometer::Thermometer;
use crate::governor::{Governor, Rung};
use crate::slots::Tally;

/// How often the loop looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Outputs get a slate when there was no frame for so many frame intervals.
const DARK_AFTER: u32 = 5;

/// Opens a camera; with caps, its frames are brought to them.
pub type OpenCamera =
    dyn Fn(Option<&gst::Caps>) -> Result<Box<dyn Camera + Send>, CameraError> + Send + Sync;
/// Starts the output with this index.
pub type OpenOutput<'a> = dyn FnMut(usize) -> Result<Box<dyn Output>, CameraError> + 'a;

/// What a session is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The source as the user named it.
    pub source: String,
    /// Ends after so many frames.
    pub frames: Option<u64>,
    /// Whether a source that fails or ends is opened again.
    pub comes_back: bool,
    /// Whether a source that was never there is waited for.
    pub keep_trying: bool,
    /// Whether a file starts again at its end.
    pub looping: bool,
    /// A live source without a frame for so long counts as failed.
    pub stall: Duration,
    /// What the slate looks like when no frame ever came.
    pub fallback: gst::Caps,
    /// Counts frames for a trial.
    pub tally: Option<Arc<Tally>>,
    /// Frame rate that the governor holds; `None` leaves the ladder alone.
    pub governed_fps: Option<f64>,
}

/// What happens in a session, for the log and the status LED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first frame, or the first after an outage.
    Live,
    /// The camera is away; a slate stands in.
    Dark(String),
    /// An output failed; it is started again.
    OutputFailed(String),
    /// An output works again.
    OutputBack(String),
    /// The governor changed what is done for each frame.
    Governed(String),
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Dark(reason) => write!(f, "no camera, trying again: {reason}"),
            Self::OutputFailed(reason) => write!(f, "output lost, trying again: {reason}"),
            Self::OutputBack(name) => write!(f, "output back: {name}"),
            Self::Governed(reason) => write!(f, "governor: {reason}"),
        }
    }
}

/// A camera, being there or not.
enum Link {
    Up(Box<dyn Camera + Send>),
    Opening(Receiver<Result<Box<dyn Camera + Send>, CameraError>>),
    Down { retry_at: gst::ClockTime },
}

/// An output, being there or not.
struct Slot {
    name: String,
    output: Option<Box<dyn Output>>,
    retry_at: gst::ClockTime,
    backoff: Backoff,
}

/// A run of `honed`.
pub struct Session<'a> {
    plan: Plan,
    open_camera: Arc<OpenCamera>,
    open_output: &'a mut OpenOutput<'a>,
    sharpener: Arc<Sharpener>,
    clock: &'a dyn Clock,
    thermometer: &'a mut dyn Thermometer,
    notify: &'a mut dyn FnMut(&Event),
    link: Link,
    backoff: Backoff,
    slots: Vec<Slot>,
    governor: Option<Governor>,
    meter: Meter,
    live: bool,
    last: Option<Frame>,
    last_at: gst::ClockTime,
    slate: Option<gst::Buffer>,
    offset: gst::ClockTime,
    end: gst::ClockTime,
}

impl<'a> Session<'a> {
    /// A session over a camera that is already open and `outputs` that are already started.
    #[allow(clippy::too_many_arguments)] // each one is a different part of the outside world
    pub fn new(
        plan: Plan,
        camera: Option<Box<dyn Camera + Send>>,
        open_camera: Arc<OpenCamera>,
        outputs: Vec<Box<dyn Output>>,
        open_output: &'a mut OpenOutput<'a>,
        sharpener: Arc<Sharpener>,
        clock: &'a dyn Clock,
        thermometer: &'a mut dyn Thermometer,
        notify: &'a mut dyn FnMut(&Event),
    ) -> Self {
        let slots = outputs.into_iter().map(|output| Slot {
            name: output.name().to_owned(),
            output: Some(output),
            retry_at: gst::ClockTime::ZERO,
            backoff: Backoff::default(),
        });
        let slots: Vec<Slot> = slots.collect();
        let live = camera.as_ref().is_none_or(|c| c.live());
        let governor = plan
            .governed_fps
            .filter(|_| live)
            .map(|fps| Governor::new(sharpener.levels(), fps));
        Self {
            meter: Meter::new(slots.len()),
            link: camera.map_or(
                Link::Down {
                    retry_at: gst::ClockTime::ZERO,
                },
                Link::Up,
            ),
            last_at: clock.now(),
            plan,
            open_camera,
            open_output,
            sharpener,
            clock,
            thermometer,
            notify,
            backoff: Backoff::default(),
            slots,
            governor,
            live,
            last: None,
            slate: None,
            offset: gst::ClockTime::ZERO,
            end: gst::ClockTime::ZERO,
        }
    }

    /// Runs until the source ends, the frames are counted, or `stop` says so; then completes the
    /// outputs.
    ///
    /// # Errors
    /// [`CameraError`] when a file, or a camera that never delivered, fails; or when the last output
    /// is gone for good. Then no file appears.
    pub fn run(mut self, stop: &dyn Fn() -> bool) -> Result<RunReport, CameraError> {
        while !stop() && self.plan.frames.is_none_or(|n| self.meter.frames < n) {
            if !self.turn()? {
                break;
            }
        }
        if self.meter.frames == 0 && self.meter.slates == 0 && !stop() {
            return Err(CameraError::NoFrame {
                source_name: self.plan.source,
                reason: "it ended before the first frame".into(),
            });
        }
        self.finish()
    }

    /// One look at the camera; false when there is nothing more to come.
    fn turn(&mut self) -> Result<bool, CameraError> {
        let wait = self.until_slate().min(LOOK);
        match &mut self.link {
            Link::Up(camera) => match camera.next(wait) {
                Ok(Next::Frame(frame)) => self.frame(frame)?,
                Ok(Next::Waiting) => {
                    let silent = self.clock.now().saturating_sub(self.last_at);
                    if self.live && Duration::from(silent) > self.plan.stall {
                        self.lose(CameraError::Source {
                            source_name: self.plan.source.clone(),
                            reason: format!("no frame for {:.1} s", silent.seconds_f64()),
                        })?;
                    }
                }
                Ok(Next::Ended) => return self.ended(),
                Err(error) => self.lose(error)?,
            },
            Link::Opening(answer) => match answer.try_recv() {
                Ok(Ok(camera)) => {
                    self.last_at = self.clock.now();
                    self.link = Link::Up(camera);
                }
                Ok(Err(error)) => self.lose(error)?,
                Err(TryRecvError::Empty) => self.clock.sleep(wait.min(LOOK / 5)),
                Err(TryRecvError::Disconnected) => self.lose(CameraError::Source {
                    source_name: self.plan.source.clone(),
                    reason: "it could not be opened".into(),
                })?,
            },
            Link::Down { retry_at } => {
                if self.clock.now() >= *retry_at {
                    self.open();
                } else {
                    self.clock.sleep(wait);
                }
            }
        }
        self.stand_in()?;
        Ok(true)
    }

    fn frame(&mut self, mut frame: Frame) -> Result<(), CameraError> {
        let now = self.clock.now();
        let pts = frame.buffer.pts().unwrap_or(now) + self.offset;
        if self.meter.frames + self.meter.slates > 0 && pts < self.end && self.live {
            // It was captured before the slate that stood in for it.
            return Ok(());
        }
        let interval = gst::ClockTime::from_nseconds((1e9 / frame_rate(&frame.caps)) as u64);
        let length = frame.buffer.duration().unwrap_or(interval);
        frame.buffer.make_mut().set_pts(pts);
        self.end = pts
            + if self.live {
                gst::ClockTime::NSECOND
            } else {
                length
            };
        let back = self.slate.take().is_some();
        if self.live && (back || self.last.is_none()) {
            (self.notify)(&Event::Live);
        }
        self.backoff.reset();
        self.deliver(&frame)?;
        self.meter.note(&frame, self.clock.now());
        if let Some(tally) = &self.plan.tally {
            let age = between(frame.mark.captured, self.clock.now());
            tally.note(self.sharpener.sharpened(), age);
        }
        self.last_at = self.clock.now();
        self.last = Some(frame);
        self.govern();
        Ok(())
    }

    fn deliver(&mut self, frame: &Frame) -> Result<(), CameraError> {
        let now = self.clock.now();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.output.is_none() && now >= slot.retry_at && self.live {
                match (self.open_output)(index) {
                    Ok(output) => {
                        (self.notify)(&Event::OutputBack(slot.name.clone()));
                        slot.output = Some(output);
                    }
                    Err(_) => slot.retry_at = now + clock_time(slot.backoff.wait()),
                }
            }
            let Some(output) = &mut slot.output else {
                continue;
            };
            match output.push(frame) {
                Ok(()) => {}
                Err(error) if !self.live => return Err(error),
                Err(error) => {
                    (self.notify)(&Event::OutputFailed(error.to_string()));
                    self.meter.output_lost(index, &output.stats());
                    slot.output = None;
                    slot.retry_at = now + clock_time(slot.backoff.wait());
                }
            }
        }
        Ok(())
    }

    fn govern(&mut self) {
        let Some(governor) = &mut self.governor else {
            return;
        };
        governor.frame(self.sharpener.take_last().unwrap_or_default());
        let now = Duration::from(self.clock.now());
        if let Some(step) = governor.decide(now, self.thermometer.read()) {
            apply(
                step.rung,
                self.sharpener.dials(),
                self.sharpener.levels().len(),
            );
            self.meter.governed(step.reason.clone());
            (self.notify)(&Event::Governed(step.reason));
        }
    }

    /// Gives up the camera for now; without hope, or before anything worked, that is an error.
    fn lose(&mut self, error: CameraError) -> Result<(), CameraError> {
        let worked = self.last.is_some();
        if !self.plan.comes_back || !(worked || self.plan.keep_trying) {
            return Err(error);
        }
        self.meter.reconnects += 1;
        (self.notify)(&Event::Dark(error.to_string()));
        let retry_at = self.clock.now() + clock_time(self.backoff.wait());
        self.retire(Link::Down { retry_at });
        Ok(())
    }

    /// Takes another link; the old camera goes down on a thread of its own, since some take seconds.
    fn retire(&mut self, link: Link) {
        if let Link::Up(camera) = std::mem::replace(&mut self.link, link) {
            self.meter.captured += camera.captured();
            std::thread::spawn(move || drop(camera));
        }
    }

    fn ended(&mut self) -> Result<bool, CameraError> {
        let got_some = self.last.is_some();
        if self.plan.looping && got_some {
            self.offset = self.end;
            self.retire(Link::Down {
                retry_at: self.clock.now(),
            });
            return Ok(true);
        }
        if self.live && self.plan.comes_back && got_some {
            self.lose(CameraError::Source {
                source_name: self.plan.source.clone(),
                reason: "the stream ended".into(),
            })?;
            return Ok(true);
        }
        Ok(false)
    }

    fn open(&mut self) {
        let (send, receive) = channel();
        let open = self.open_camera.clone();
        let shape = self.last.as_ref().map(|frame| frame.caps.clone());
        std::thread::spawn(move || {
            // A session that is over wants no camera any more; it closes again by being dropped.
            let _ = send.send(open(shape.as_ref()));
        });
        self.link = Link::Opening(receive);
    }

    fn caps(&self) -> &gst::Caps {
        self.last.as_ref().map_or(&self.plan.fallback, |f| &f.caps)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / frame_rate(self.caps()))
    }

    /// Time until a slate is due; long when none is wanted.
    fn until_slate(&self) -> Duration {
        if !self.live || (self.last.is_none() && !self.plan.keep_trying) {
            return LOOK;
        }
        let count = if self.slate.is_some() { 1 } else { DARK_AFTER };
        let due = Duration::from(self.last_at.max(self.meter.last_slate)) + count * self.interval();
        due.saturating_sub(Duration::from(self.clock.now()))
    }

    /// Gives the outputs a slate when they have waited for too long.
    fn stand_in(&mut self) -> Result<(), CameraError> {
        let wanted = self.live && (self.last.is_some() || self.plan.keep_trying);
        if !wanted || !self.until_slate().is_zero() {
            return Ok(());
        }
        let slate = match &self.slate {
            Some(slate) => slate.clone(),
            None => slate::draw(self.caps(), self.last.as_ref().map(|f| &f.buffer))?,
        };
        self.slate = Some(slate.clone());
        let now = self.clock.now();
        let mut buffer = slate;
        let length = clock_time(self.interval());
        {
            let buffer = buffer.make_mut();
            buffer.set_pts(now);
            buffer.set_duration(length);
        }
        self.end = now + gst::ClockTime::NSECOND;
        let frame = Frame {
            buffer,
            caps: self.caps().clone(),
            mark: Mark::at(now),
        };
        self.meter.slates += 1;
        self.meter.last_slate = now;
        self.deliver(&frame)
    }

    fn finish(mut self) -> Result<RunReport, CameraError> {
        if let Link::Up(camera) = &self.link {
            self.meter.captured += camera.captured();
        }
        let mut failed = None;
        let mut complete = 0;
        let mut outputs = Vec::new();
        for slot in &mut self.slots {
            if let Some(output) = &mut slot.output {
                match output.finish() {
                    Ok(()) => complete += 1,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            let stats = slot.output.as_ref().map(|output| output.stats());
            outputs.push((slot.name.clone(), stats.unwrap_or_default()));
        }
        match failed {
            Some(error) => Err(error),
            None if complete == 0 => Err(CameraError::Sink {
                sink: "of this run".into(),
                reason: "no output was left at the end".into(),
            }),
            None => Ok(self
                .meter
                .report(&self.plan.source, self.live, &self.sharpener, &outputs)),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::camera::sharpener::lock;
    use crate::camera::twin::{Collected, CollectingOutput, ManualClock, Script, ScriptedCamera};
    use crate::governor::thermometer::{Reading, SetThermometer};

    fn caps() -> gst::Caps {
        gst::init().unwrap();
        "video/x-raw,format=GRAY8,width=96,height=64,framerate=30/1"
            .parse()
            .unwrap()
    }

    fn plan() -> Plan {
        Plan {
            source: "twin".into(),
            frames: None,
            comes_back: true,
            keep_trying: false,
            looping: false,
            stall: Duration::from_secs(2),
            fallback: caps(),
            governed_fps: None,
            tally: None,
        }
    }

    /// Plays one script after another, each when the camera is opened once more.
    fn play(
        plan: Plan,
        scripts: Vec<Vec<Script>>,
        output_fails_at: Option<u64>,
        seconds: u64,
    ) -> (Result<RunReport, CameraError>, Vec<Event>, Collected) {
        let caps = caps();
        let clock = ManualClock::default();
        let scripts = Mutex::new(scripts.into_iter());
        let open: Arc<OpenCamera> = {
            let (clock, caps) = (clock.clone(), caps.clone());
            Arc::new(move |_| match lock(&scripts).next() {
                Some(script) => Ok(Box::new(ScriptedCamera::new(
                    script,
                    clock.clone(),
                    caps.clone(),
                ))),
                None => Err(CameraError::Source {
                    source_name: "twin".into(),
                    reason: "unplugged".into(),
                }),
            })
        };
        let collected = Collected::default();
        let mut failures = vec![output_fails_at];
        let mut open_output = |_| {
            let fails_at = failures.pop().flatten();
            Ok(Box::new(CollectingOutput::new(collected.clone(), fails_at)) as Box<dyn Output>)
        };
        let outputs = vec![open_output(0).unwrap()];
        let camera = open(None).ok();
        let mut events = Vec::new();
        let mut notify = |event: &Event| events.push(event.clone());
        let mut thermometer = SetThermometer::default();
        let sharpener = Arc::new(Sharpener::new(Vec::new(), Arc::default()).unwrap());
        let session = Session::new(
            plan,
            camera,
            open,
            outputs,
            &mut open_output,
            sharpener,
            &clock,
            &mut thermometer,
            &mut notify,
        );
        let report = session.run(&|| clock.now().seconds() >= seconds);
        (report, events, collected)
    }

    fn frames(count: usize) -> Vec<Script> {
        vec![Script::Frame; count]
    }

    /// Timestamps only go forward, and no gap is longer than `longest`.
    fn steady(collected: &Collected, longest: Duration) {
        let times = lock(&collected.times);
        for pair in times.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            let gap = Duration::from(pair[1] - pair[0]);
            assert!(gap <= longest, "a gap of {gap:?}");
        }
    }

    #[test]
    fn a_camera_that_comes_back_is_bridged_by_slates() {
        let scripts = vec![[frames(30), vec![Script::Fail]].concat(), frames(30)];
        let (report, events, collected) = play(plan(), scripts, None, 4);
        let report = report.unwrap();
        assert_eq!(report.frames, 60);
        assert!(report.slates > 3, "{report}");
        assert!(
            matches!(events[..3], [Event::Live, Event::Dark(_), Event::Live]),
            "{events:?}"
        );
        steady(&collected, Duration::from_millis(260));
    }

    #[test]
    fn silence_counts_as_failure_and_is_never_dark() {
        let scripts = vec![[frames(10), vec![Script::Silence]].concat(), frames(10)];
        let (report, events, collected) = play(plan(), scripts, None, 8);
        let report = report.unwrap();
        assert_eq!(report.frames, 20);
        assert!(
            events
                .iter()
                .any(|e| matches!(e, Event::Dark(r) if r.contains("no frame for 2")))
        );
        steady(&collected, Duration::from_millis(260));
        assert!(report.slates > 50, "{report}");
    }

    #[test]
    fn a_camera_that_was_never_there_is_an_error_unless_it_is_waited_for() {
        let (report, _, _) = play(plan(), vec![], None, 3);
        assert!(report.unwrap_err().to_string().contains("unplugged"));
        let patient = Plan {
            keep_trying: true,
            ..plan()
        };
        let (report, _, collected) = play(patient, vec![], None, 3);
        assert!(report.unwrap().slates > 60);
        steady(&collected, Duration::from_millis(260));
    }

    #[test]
    fn an_output_that_fails_is_started_again() {
        let (report, events, collected) = play(plan(), vec![frames(90)], Some(20), 3);
        let report = report.unwrap();
        assert_eq!(report.outputs[0].restarts, 1);
        assert!(
            events.iter().any(|e| matches!(e, Event::OutputBack(_))),
            "{events:?}"
        );
        assert!(lock(&collected.times).len() > 70);
    }

    #[test]
    fn a_file_that_fails_is_an_error_and_nothing_is_completed() {
        let file = Plan {
            comes_back: false,
            ..plan()
        };
        let script = [frames(5), vec![Script::Fail]].concat();
        let (report, _, collected) = play(file, vec![script], None, 60);
        assert!(report.is_err());
        assert!(!*lock(&collected.finished));
    }

    #[test]
    fn the_governor_hears_the_thermometer() {
        let mut hot = SetThermometer::default();
        *lock(&hot.0) = Reading {
            celsius: Some(90.0),
            throttled: false,
        };
        assert_eq!(hot.read().celsius, Some(90.0));
        let dials = Dials::default();
        apply(Rung::EverySecond, &dials, 3);
        assert_eq!((dials.level(), dials.every_second()), (2, true));
        apply(Rung::Bypass, &dials, 3);
        assert!(dials.untouched());
        apply(Rung::Level(0), &dials, 3);
        assert_eq!((dials.level(), dials.every_second()), (0, false));
        assert!(!dials.untouched());
    }
}
