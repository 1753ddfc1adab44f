//! `honed run`: from a source through the student to the sinks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};

use crate::camera::capture::{Camera, Capture};
use crate::camera::elements;
use crate::camera::output::{GstOutput, Output};
use crate::camera::run::{self, Limits};
use crate::camera::sharpener::{Dials, Sharpener};
use crate::camera::sink::SinkSpec;
use crate::camera::source::{Pace, SourceSpec};
use crate::camera::student::{self, Choice, Source};
use crate::camera::timeline::Timeline;

const EXAMPLES: &str = "\
Examples:
  honed run --bundle x.hone --source v4l2:/dev/video0 --sink display
  honed run --bundle x.hone --source film.mkv --sink sharp.mp4 --strength 0.8
  honed run --model student.onnx --source images:frames --sink frames:sharp --json
  honed run --bundle x.hone --source 'gst:videotestsrc num-buffers=90' --sink null

Sources: test, FILE, images:DIR, v4l2:DEVICE, libcamera[:NAME], argus:N, rtsp://, http://, srt://, gst:LINE
Sinks:   FILE.mp4, FILE.mkv, lossless:FILE.mkv, frames:DIR, raw:FILE, display, null, gst:LINE";

/// Sharpens a camera or a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("student").args(["bundle", "model"]).required(true))]
pub struct RunArgs {
    /// Bundle with the student.
    #[arg(long, value_name = "X.hone")]
    bundle: Option<PathBuf>,
    /// One student as ONNX, in place of a bundle.
    #[arg(long, value_name = "X.onnx")]
    model: Option<PathBuf>,
    /// Name of the bundle's student to run, such as small; without it, the largest.
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
    /// Number format of the bundle's student; without it, int8 where there is one.
    #[arg(long, value_name = "f32|int8", value_parser = precision)]
    precision: Option<hone_shared::student::Precision>,
    /// Where frames come from.
    #[arg(long, value_name = "SRC")]
    source: SourceSpec,
    /// Where frames go; may be given several times.
    #[arg(long = "sink", value_name = "SINK", required = true)]
    sinks: Vec<SinkSpec>,
    /// How much of the restoration is added, 0 to 1.
    #[arg(long, default_value_t = 1.0, value_parser = part)]
    strength: f32,
    /// Part of the width, from the left, that shows the camera's own picture.
    #[arg(long, default_value_t = 0.0, value_parser = part)]
    split: f32,
    /// Stop after so many frames.
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Worker threads, 0 for one on each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Width and height wanted from a camera.
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(u32, u32)>,
    /// Frames a second wanted from a camera, or of images.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: Option<u32>,
    /// Play a file as a live camera: by the clock, dropping what comes too late.
    #[arg(long, conflicts_with = "every_frame")]
    realtime: bool,
    /// Take every single frame of a live source, as fast as they can be sharpened.
    #[arg(long)]
    every_frame: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn precision(text: &str) -> Result<hone_shared::student::Precision, String> {
    use hone_shared::student::Precision;
    match text {
        "f32" => Ok(Precision::F32),
        "int8" => Ok(Precision::Int8),
        _ => Err("use f32 or int8".into()),
    }
}

fn part(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "give a number from 0 to 1".into())
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides
        .filter(|&(w, h)| (1..=16384).contains(&w) && (1..=16384).contains(&h))
        .ok_or_else(|| "give width and height as in 1280x720".into())
}

impl RunArgs {
    /// Runs until the source ends, the frames are counted or a signal comes.
    ///
    /// # Errors
    /// One sentence that names the file, source or sink at fault.
    pub fn run(self) -> anyhow::Result<()> {
        elements::start()?;
        let stop = stop_on_signals()?;
        let dials = Arc::<Dials>::default();
        dials.set_strength(self.strength);
        dials.set_split(self.split);
        let source = self.source_spec();
        source.check()?;
        let levels = student::load(&self.student()?, &self.choice())?;
        let sharpener = Arc::new(Sharpener::new(levels, dials)?);

        let timeline = Timeline::starting_now();
        let mut camera = Capture::start(&source, &sharpener, &timeline, None)?;
        let mut outputs = Vec::<Box<dyn Output>>::new();
        for sink in &self.sinks {
            let output = GstOutput::start(sink, &timeline, camera.live())?;
            outputs.push(Box::new(output));
        }
        let limits = Limits {
            frames: self.frames,
        };
        let report = run::run(
            &source.name,
            &mut camera,
            &mut outputs,
            &sharpener,
            &timeline,
            limits,
            &|| stop.load(Ordering::Relaxed),
        )?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(())
    }

    fn source_spec(&self) -> SourceSpec {
        let mut spec = self.source.clone();
        spec.size = self.size;
        spec.fps = self.fps;
        if self.realtime {
            spec.pace = Some(Pace::Live);
        } else if self.every_frame {
            spec.pace = Some(Pace::Every);
        }
        spec
    }

    fn student(&self) -> anyhow::Result<Source> {
        match (&self.bundle, &self.model) {
            (Some(path), _) => Ok(Source::Bundle(path.clone())),
            (None, Some(path)) => Ok(Source::Model(path.clone())),
            (None, None) => bail!("give --bundle X.hone or --model X.onnx"),
        }
    }

    fn choice(&self) -> Choice {
        Choice {
            level: self.level.clone(),
            precision: self.precision,
            threads: self.threads,
        }
    }
}

/// A flag that SIGINT and SIGTERM raise; a second signal ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .context("cannot listen for signals")?;
    }
    Ok(stop)
}
