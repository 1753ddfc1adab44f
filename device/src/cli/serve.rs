//! A run of `honed`: signals, the service manager, and the session between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{cell::RefCell, rc::Rc};

use anyhow::{Context, bail};
use gstreamer as gst;
use gstreamer_video as gst_video;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::on_trial::OnTrial;
use crate::camera::capture::{Camera, Capture};
use crate::camera::elements;
use crate::camera::output::{GstOutput, Output};
use crate::camera::report::RunReport;
use crate::camera::session::{Event, OpenCamera, Plan, Session};
use crate::camera::sharpener::{Dials, Sharpener};
use crate::camera::sink::SinkSpec;
use crate::camera::source::SourceSpec;
use crate::camera::student::{self, Choice, Source};
use crate::camera::timeline::{Clock, Timeline};
use crate::governor::thermometer::BoardThermometer;
use crate::systemd::ServiceManager;

/// What a run is to do, complete and checked.
#[derive(Debug)]
pub struct Job {
    /// Where the student comes from.
    pub student: Source,
    /// Who judges it, when it is an update that has yet to prove itself.
    pub trial: Option<OnTrial>,
    /// Which of its levels, and how to run it.
    pub choice: Choice,
    /// Where frames come from.
    pub source: SourceSpec,
    /// Where they go.
    pub sinks: Vec<SinkSpec>,
    /// 0..=1.
    pub strength: f32,
    /// 0..=1.
    pub split: f32,
    /// Whether frames pass as they came.
    pub bypass: bool,
    /// Ends after so many frames.
    pub frames: Option<u64>,
    /// Whether a file starts again at its end.
    pub looping: bool,
    /// Whether a camera that is not there is waited for.
    pub keep_trying: bool,
    /// Seconds without a frame after which a camera is opened again.
    pub stall: f64,
    /// Frame rate to hold.
    pub govern: Option<f64>,
    /// Configuration to read again on SIGHUP.
    pub config: Option<PathBuf>,
}

/// Runs until the source ends, the frames are counted or a signal comes.
///
/// # Errors
/// One sentence that names the file, source or sink at fault.
pub fn serve(mut job: Job) -> anyhow::Result<RunReport> {
    elements::start()?;
    let (stop, reload) = signals()?;
    let dials = Arc::<Dials>::default();
    dials.set_strength(job.strength);
    dials.set_split(job.split);
    dials.set_bypass(job.bypass);
    let mut trial = job.trial.take();
    let sharpener = Arc::new(load(&job, trial.as_mut(), &dials)?);

    let timeline = Timeline::starting_now();
    let open_camera = camera_opener(&job.source, &sharpener, &timeline);
    let camera = match open_camera(None) {
        Ok(camera) => Some(camera),
        Err(_) if job.keep_trying && job.source.comes_back() => None,
        Err(error) => return Err(error.into()),
    };
    let live = camera.as_ref().is_none_or(|camera| camera.live());
    let mut open_output = |index: usize| {
        GstOutput::start(&job.sinks[index], &timeline, live)
            .map(|output| Box::new(output) as Box<dyn Output>)
    };
    let outputs = (0..job.sinks.len())
        .map(&mut open_output)
        .collect::<Result<Vec<_>, _>>()?;

    let manager = Rc::new(RefCell::new(ServiceManager::from_environment()));
    let mut tell = {
        let manager = manager.clone();
        move |event: &Event| {
            eprintln!("{event}");
            let manager = manager.borrow();
            manager.status(&event.to_string());
            // Without a camera the service is up too: it shows its slate.
            if matches!(event, Event::Live | Event::Dark(_)) {
                manager.ready();
            }
        }
    };
    if camera.is_none() {
        // Frames may come in an hour; the service is up and shows its slate.
        manager.borrow().ready();
    }
    let plan = Plan {
        tally: trial.as_ref().map(OnTrial::tally),
        ..plan(&job)
    };
    let trial = RefCell::new(trial);
    let given_up = RefCell::new(None);
    let look = || {
        if let Some(trial) = trial.borrow_mut().as_mut()
            && let Some(reason) = trial.look(timeline.now().into())
        {
            *given_up.borrow_mut() = Some(reason);
            return true;
        }
        manager.borrow_mut().alive();
        if reload.swap(false, Ordering::Relaxed)
            && let Some(path) = &job.config
        {
            turn_dials(path, &dials);
        }
        stop.load(Ordering::Relaxed)
    };
    let mut thermometer = BoardThermometer::new();
    let session = Session::new(
        plan,
        camera,
        open_camera,
        outputs,
        &mut open_output,
        sharpener,
        &timeline,
        &mut thermometer,
        &mut tell,
    );
    let report = session.run(&look);
    manager.borrow().stopping();
    if let Some(reason) = given_up.take() {
        bail!("{reason}");
    }
    Ok(report?)
}

/// The students; a service whose bundle is broken goes on without, and says so.
fn load(job: &Job, trial: Option<&mut OnTrial>, dials: &Arc<Dials>) -> anyhow::Result<Sharpener> {
    job.source.check().or_else(|error| {
        if job.keep_trying && job.source.comes_back() {
            return Ok(());
        }
        Err(error)
    })?;
    let levels = match student::load(&job.student, &job.choice) {
        Ok(levels) => levels,
        Err(error) => {
            if let Some(reason) = trial.and_then(|trial| trial.give_up(&error.to_string())) {
                bail!("{reason}");
            }
            if !job.keep_trying || job.config.is_none() {
                return Err(error.into());
            }
            eprintln!("warning: {error}; frames pass as they come until honed starts again");
            Vec::new()
        }
    };
    Ok(Sharpener::new(levels, dials.clone())?)
}

fn camera_opener(
    source: &SourceSpec,
    sharpener: &Arc<Sharpener>,
    timeline: &Timeline,
) -> Arc<OpenCamera> {
    let (source, sharpener, timeline) = (source.clone(), sharpener.clone(), timeline.clone());
    Arc::new(move |shape| {
        Capture::start(&source, &sharpener, &timeline, shape)
            .map(|camera| Box::new(camera) as Box<dyn Camera + Send>)
    })
}

fn plan(job: &Job) -> Plan {
    let (width, height) = job.source.size.unwrap_or((1280, 720));
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Plan {
        source: job.source.name.clone(),
        frames: job.frames,
        comes_back: job.source.comes_back(),
        keep_trying: job.keep_trying,
        looping: job.looping && !job.source.comes_back(),
        stall: Duration::from_secs_f64(job.stall),
        fallback: gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::I420)
            .width(number(width))
            .height(number(height))
            .framerate(gst::Fraction::new(number(job.source.fps.unwrap_or(30)), 1))
            .build(),
        governed_fps: job.govern,
        tally: None,
    }
}

/// Takes strength, split and bypass from the configuration as it is now.
fn turn_dials(path: &Path, dials: &Dials) {
    match super::config::read(path) {
        Ok(config) => {
            dials.set_strength(config.student.strength);
            dials.set_split(config.student.split);
            dials.set_bypass(config.student.bypass);
            eprintln!("configuration read again: {}", path.display());
        }
        // A typing error must not stop a camera on a pole.
        Err(error) => eprintln!("warning: nothing was changed: {error:#}"),
    }
}

/// Flags that SIGINT or SIGTERM, and SIGHUP raise; a second SIGINT or SIGTERM ends the process.
fn signals() -> anyhow::Result<(Arc<AtomicBool>, Arc<AtomicBool>)> {
    let (stop, reload) = (Arc::new(AtomicBool::new(false)), Arc::default());
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")?;
    }
    signal_hook::flag::register(SIGHUP, Arc::clone(&reload))
        .context("cannot listen for signals")?;
    Ok((stop, reload))
}
