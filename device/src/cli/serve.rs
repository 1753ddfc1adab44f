//! A run of `honed`: signals, the service manager, and the session between them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{cell::RefCell, rc::Rc};

use anyhow::{Context, bail};
use gstreamer as gst;
use gstreamer_video as gst_video;
#[cfg(feature = "telemetry")]
use hone_shared::config::TelemetryConfig;
use hone_shared::config::{Config, GpioConfig};
use hone_shared::print;
use hone_shared::printable::printable;

#[cfg(any(feature = "page", feature = "telemetry"))]
use super::beside;
use super::on_trial::OnTrial;
use super::outputs;
use super::reload::Reloader;
use super::signals;
use super::students::{self, Keeper};
use super::wiring::Wiring;
use crate::allocator;
use crate::camera::capture::Capture;
use crate::camera::dials::Dials;
use crate::camera::elements;
use crate::camera::encoder::Encoder;
use crate::camera::error::CameraError;
use crate::camera::feed::Camera;
use crate::camera::report::RunReport;
use crate::camera::session::{Event, OpenCamera, Plan, Session, Slot, World};
use crate::camera::sharpener::Sharpener;
use crate::camera::sink::SinkSpec;
use crate::camera::source::SourceSpec;
use crate::camera::student::{Choice, Source};
use crate::camera::timeline::{Clock, Timeline};
use crate::governor::thermometer::{BoardThermometer, Watched};
use crate::journal::Journal;
#[cfg(feature = "page")]
use crate::page;
use crate::state::BoardState;
use crate::systemd::{self, ServiceManager};

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
    /// Whether a camera or an output that is not there is waited for.
    pub keep_trying: bool,
    /// Seconds without a frame after which a camera is opened again.
    pub stall: f64,
    /// Frame rate to hold.
    pub govern: Option<f64>,
    /// Seconds between two status lines.
    pub status: Option<f64>,
    /// How the page is served, if it is.
    #[cfg(feature = "page")]
    pub page: Option<page::Settings>,
    /// Who hears how the board does.
    #[cfg(feature = "telemetry")]
    pub telemetry: TelemetryConfig,
    /// What is wired to the board's pins.
    pub gpio: GpioConfig,
    /// Configuration to read again on SIGHUP, and what it said.
    pub config: Option<(PathBuf, Config)>,
    /// Hears everything that is said.
    pub journal: Journal,
}

/// Runs until the source ends, the frames are counted, a signal comes or the button is held; how the session went, and
/// what the program ends with, which the button may say.
///
/// # Errors
/// One sentence that names the file, source or sink at fault.
pub fn serve(mut job: Job) -> anyhow::Result<(Result<RunReport, CameraError>, ExitCode)> {
    #[cfg(feature = "page")]
    let page = job.page.as_ref().map(|page| page.listen);
    #[cfg(not(feature = "page"))]
    let page = None;
    super::config::ports_apart(&job.sinks, page)?;
    allocator::share_heaps();
    elements::start()?;
    let (stop, reload) = signals::listen(&job.journal, job.config.is_some())?;
    let dials = Arc::<Dials>::default();
    dials.set_strength(job.strength);
    dials.set_split(job.split);
    dials.set_bypass(job.bypass);
    let mut trial = job.trial.take();
    let keep_trying = job.keep_trying && job.source.comes_back();
    job.source.check().or_else(|error| match keep_trying {
        true => Ok(()),
        false => Err(error),
    })?;
    let sharpener = Arc::new(students::load(&mut job, trial.as_mut(), &dials)?);
    let keeper = RefCell::new(Keeper::new(&job));
    let journal = job.journal.clone();

    let timeline = Timeline::starting_now();
    let open_camera = camera_opener(&job.source, &sharpener, &timeline);
    let camera = match open_camera(None) {
        Ok(camera) => Some(camera),
        Err(_) if keep_trying => None,
        Err(error) => return Err(error.into()),
    };
    let live = camera.as_ref().is_none_or(|camera| camera.live());
    if live {
        warn(&job.sinks, &journal);
    }
    let mut thermometer =
        Watched::start(BoardThermometer::new()).context("cannot start a thread")?;
    let mut wiring = Wiring::new(&job.gpio, &dials, &stop, &thermometer, &journal)?;
    let lamp = wiring.lamp.clone();
    if sharpener.levels().is_empty() {
        lamp.without_student();
    }
    let open_output = outputs::opener(&job, &wiring, &timeline, live);
    let absent = outputs::absent(live && keep_trying, trial.is_some());
    let outputs = outputs::begin(&job, &open_output, absent, &stop)?;

    let board = Arc::new(BoardState::new(
        &job.source.name,
        job.govern,
        sharpener.clone(),
        journal.clone(),
    ));
    #[cfg(feature = "page")]
    let _page = beside::page(&job, &board)?;
    #[cfg(feature = "telemetry")]
    let _telemetry = beside::telemetry(&job, &board)?;
    let manager = Rc::new(RefCell::new(ServiceManager::from_environment()));
    let mut tell = {
        let (manager, board) = (manager.clone(), board.clone());
        move |event: &Event| {
            // Who plays a film at a terminal need not hear that it begins.
            if *event != Event::Begun {
                print::tell(printable(event));
            }
            board.hear(event);
            lamp.hear(event);
            let manager = manager.borrow();
            manager.status(&event.to_string());
            // Without a camera the service is up too: it shows its slate.
            if matches!(event, Event::Live | Event::Begun | Event::Dark(_)) {
                manager.ready();
            }
        }
    };
    for event in outputs.iter().filter_map(Slot::absent) {
        tell(&event);
    }
    if camera.is_none() {
        // Frames may come in an hour; the service is up and shows its slate.
        manager.borrow().ready();
    }
    let plan = Plan {
        tally: trial.as_ref().map(OnTrial::tally),
        board: Some(board),
        ..plan(&job)
    };
    let trial = RefCell::new(trial);
    let given_up = RefCell::new(None);
    let reloader = Reloader::new(&job, &dials).map(RefCell::new);
    let at_work = sharpener.clone();
    let look = || {
        if let Some(trial) = trial.borrow_mut().as_mut()
            && let Some(reason) = trial.look(timeline.now().into(), dials.switched_off())
        {
            *given_up.borrow_mut() = Some(reason);
            return true;
        }
        keeper.borrow_mut().look(at_work.sharpened());
        manager.borrow_mut().alive();
        if let Some(reloader) = &reloader {
            reloader.borrow_mut().look(&reload);
        }
        stop.load(Ordering::Relaxed)
    };
    let world = World {
        camera,
        open_camera,
        outputs,
        open_output,
        sharpener,
        clock: &timeline,
        thermometer: &mut thermometer,
        notify: &mut tell,
    };
    let session = Session::new(plan, world);
    let report = session.run(&look, &|| manager.borrow().stopping());
    if let Some(reason) = given_up.take() {
        bail!("{reason}");
    }
    if let (Ok(_), Some(trial)) = (&report, trial.borrow_mut().as_mut()) {
        trial.stopped();
    }
    Ok((report, wiring.finish()?))
}

/// Says what a person should know of the sinks before the first frame.
fn warn(sinks: &[SinkSpec], journal: &Journal) {
    for warning in sinks.iter().filter_map(SinkSpec::warning) {
        journal.say(format_args!("note: {warning}"));
    }
    // Only boards have a device tree; a workstation's cores need no advice.
    let board = std::fs::read_to_string("/proc/device-tree/model");
    if let (Ok(model), Ok(encoder)) = (board, Encoder::of_this_board())
        && sinks.iter().any(SinkSpec::encodes)
        && let Some(warning) = encoder.warning(&model)
    {
        journal.say(format_args!("note: {warning}"));
    }
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
        service: systemd::is_service(),
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
        board: None,
        status_every: job.status.map(Duration::from_secs_f64),
    }
}
