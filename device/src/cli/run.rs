//! `honed run`: what the user asks for, from flags and a configuration file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hone_shared::config::TelemetryConfig;
use hone_shared::config::{Config, parse_size};
use hone_shared::print::tell;
use hone_shared::printable::printable;
#[cfg(feature = "telemetry")]
use hone_shared::student::Precision;
#[cfg(feature = "telemetry")]
use hone_shared::telemetry::Carrier;

use super::launch;
use super::on_trial::OnTrial;
use super::serve::{self, Job};
use super::trust::TrustArgs;
use super::unused::{self, Named};
use crate::camera::sink::SinkSpec;
use crate::camera::source::{Pace, SourceSpec};
use crate::camera::student::{Choice, Source};
use crate::journal::Journal;
use crate::slots::SlotsError;

const EXAMPLES: &str = "\
Examples:
  honed run --bundle x.hone --trusted-key release.key.pub --source v4l2:/dev/video0 --sink display
  honed run --source film.mkv --sink sharp.mp4 --strength 0.8
  honed run --source v4l2:/dev/video0 --sink display
  honed run --model student.onnx --source images:frames --sink frames:sharp --json
  honed run --source v4l2 --sink rtsp://0.0.0.0:8554/live --sink record:clips,quota=8
  honed run --source 'gst:videotestsrc num-buffers=90' --sink null
  honed run --source v4l2 --sink null --page 127.0.0.1:8080
  honed run --source v4l2 --sink rtsp --telemetry serial:/dev/ttyS0@115200 --telemetry mqtts://broker.example
  honed run --config /etc/honed.toml

Sources: test, FILE, images:DIR, v4l2:DEVICE, libcamera[:NAME], argus:N, rtsp://, rtsps://, http://, https://,
         srt://, gst:LINE
Sinks:   FILE.mp4, FILE.mkv, lossless:FILE.mkv, frames:DIR, raw:FILE, record:DIR[,segment=S,quota=GIB],
         rtsp[://[USER:PASSWORD@]HOST:PORT/PATH], hls:DIR[,segment=S,keep=N], v4l2:DEVICE, display, null,
         gst:LINE

images:DIR takes PNG or JPEG files in the order of their names, 2.png before 10.png. raw:FILE holds the frames' samples alone,
without padding between rows. With quota, record:DIR deletes its oldest files, and begins another when one takes an eighth of
the quota, before its S seconds are over. frames:DIR holds RGB and grey frames as they are, and of all others the luma, as grey pictures. In USER and PASSWORD of rtsp:// %40 stands for @ and so on, %25 for %.";

/// Sharpens a camera or a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Configuration file; the flags below override it, such as --bypass=false.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Bundle with the student; without it, the one installed in the active slot, or else the one that comes with honed.
    #[arg(long, value_name = "X.hone", conflicts_with = "model")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// One student as ONNX, in place of a bundle.
    #[arg(long, value_name = "X.onnx", conflicts_with_all = ["trusted_key", "allow_unsigned"])]
    model: Option<PathBuf>,
    /// Name of the bundle's student to run, such as small; without it, the largest.
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    level: Option<String>,
    /// Number format of the bundle's student; without it, the faster one: int8, but f32 where the int8 one is run by tract.
    #[arg(long, value_name = "f32|int8", conflicts_with = "model")]
    precision: Option<Precision>,
    /// Where frames come from.
    #[arg(long, value_name = "SRC", required_unless_present = "config")]
    source: Option<SourceSpec>,
    /// Where frames go; may be given several times.
    #[arg(long = "sink", value_name = "SINK", required_unless_present = "config")]
    sinks: Vec<SinkSpec>,
    /// How much of the restoration is added, 0 to 1 [default: 1].
    #[arg(long, value_parser = part)]
    strength: Option<f32>,
    /// Part of the width, from the left, that shows the camera's own picture [default: 0].
    #[arg(long, value_parser = part)]
    split: Option<f32>,
    /// Show the camera's own picture only.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    bypass: Option<bool>,
    /// Stop after so many frames.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Worker threads, 0 for one on each core [default: 0].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=256))]
    threads: Option<u16>,
    /// Keep each worker thread to one core, where nothing else is to run beside them.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pin: Option<bool>,
    /// Width and height wanted from a camera, or of test.
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
    /// Start a file or image folder again at its end.
    #[arg(long = "loop")]
    looping: bool,
    /// Wait for a camera or an output that is not there yet, showing a slate.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    keep_trying: Option<bool>,
    /// Seconds without a frame after which a live source is opened again, and a file played live given up [default: 5].
    #[arg(long, value_name = "S", value_parser = seconds)]
    stall: Option<f64>,
    /// Hold this frame rate: step down the bundle's ladder when the board is too slow or too hot.
    #[arg(long, value_name = "FPS", value_parser = rate)]
    govern: Option<f64>,
    /// Seconds between two lines on standard error with frame rate, frame age and memory.
    #[arg(long, value_name = "S", value_parser = seconds)]
    status: Option<f64>,
    #[cfg(feature = "page")]
    #[command(flatten)]
    page: super::page::PageArgs,
    /// Say once a second how the board does, for `hone monitor`: to a serial line or an MQTT broker, besides those of the
    /// configuration; may be given several times.
    #[cfg(feature = "telemetry")]
    #[arg(long, value_name = "serial:PATH[@BAUD]|mqtt[s]://BROKER")]
    telemetry: Vec<Carrier>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// A number within `range`, or what to give instead.
fn number(text: &str, range: std::ops::RangeInclusive<f64>, want: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("give {want} from {} to {}", range.start(), range.end()))
}

fn part(text: &str) -> Result<f32, String> {
    number(text, 0.0..=1.0, "a number").map(|part| part as f32)
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.1..=3600.0, "seconds")
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 1.0..=240.0, "frames a second")
}

fn size(text: &str) -> Result<(u32, u32), String> {
    parse_size(text).ok_or_else(|| "give width and height as in 1280x720".into())
}

impl RunArgs {
    /// Runs until the source ends, the frames are counted, a signal comes or the button is held, which a service tells its
    /// manager by what it ends with.
    ///
    /// # Errors
    /// One sentence that names the file, source or sink at fault.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let json = self.json;
        let (report, code) = serve::serve(self.job(Journal::default())?)?;
        match report {
            Ok(report) if json => println!("{}", serde_json::to_string_pretty(&report)?),
            Ok(report) => println!("{report}"),
            Err(error) if code == ExitCode::SUCCESS => return Err(error.into()),
            // Started again, it would not have stopped.
            Err(error) => tell(printable(format_args!("error: {error}"))),
        }
        Ok(code)
    }

    /// What `config` sets without effect, though these flags stand beside it.
    fn unused(&self, config: &Config) -> anyhow::Result<Vec<&'static str>> {
        let mut effective = config.clone();
        #[cfg(feature = "page")]
        {
            effective.page = self.page.over(&config.page);
        }
        #[cfg(feature = "telemetry")]
        effective.telemetry.to.extend(self.telemetry.clone());
        let mut unused: Vec<_> = super::config::unused(&effective).collect();
        if self.source.is_none() {
            unused.extend(super::specs::unused(config)?);
        }
        Ok(unused)
    }

    /// The flags that only some sources heed.
    fn named(&self) -> Named {
        Named {
            size: self.size.is_some(),
            fps: self.fps.is_some(),
            stall: self.stall.is_some(),
            keep_trying: self.keep_trying == Some(true),
            looping: self.looping,
        }
    }

    /// Flags over configuration over defaults.
    pub(super) fn job(self, journal: Journal) -> anyhow::Result<Job> {
        let mut config = match &self.config {
            Some(path) => super::config::read_for_run(path, &journal)?,
            None => {
                let mut config = Config::default();
                // At a terminal a camera that is not there is a mistake; a service waits for it.
                config.source.keep_trying = false;
                config
            }
        };
        if let Some(path) = &self.config {
            for unused in self.unused(&config)? {
                journal.say(format_args!("warning: {}: {unused}", path.display()));
            }
        }
        if let Some(keep_trying) = self.keep_trying {
            config.source.keep_trying = keep_trying;
        }
        let bundle = |path: PathBuf| -> anyhow::Result<Source> {
            let policy = self.trust.policy(&config.student, &journal)?;
            Ok(Source::Bundle { path, policy })
        };
        let mut trial = None;
        let student = match (&self.bundle, &self.model) {
            (Some(path), _) => bundle(path.clone())?,
            (None, Some(path)) => Source::Model(path.clone()),
            (None, None) if config.student.bundle.is_empty() => {
                let policy = self.trust.policy(&config.student, &journal)?;
                match launch::active_slot(&config, &policy, &journal) {
                    // A camera whose only bundle is damaged still shows its picture.
                    Err(error) if self.config.is_some() && config.source.keep_trying => {
                        Source::Lost(error.downcast::<SlotsError>()?)
                    }
                    Err(error) => return Err(error),
                    Ok(Some(begun)) => {
                        trial = begun
                            .on_trial
                            .then(|| OnTrial::new(&config.slots, &begun, &journal));
                        Source::Slot(Box::new(begun))
                    }
                    Ok(None) => {
                        journal.say(
                            "no bundle is named or installed: running the one that comes with honed",
                        );
                        Source::Shipped
                    }
                }
            }
            (None, None) => bundle(config.student.bundle.clone().into())?,
        };
        let named = self.named();
        let mut source = match self.source {
            Some(source) => source,
            None => super::specs::source(&config)?,
        };
        let wanted = super::specs::wanted(&config);
        source.size = self.size.or(wanted.0);
        source.fps = self.fps.or(wanted.1);
        if self.realtime {
            source.pace = Some(Pace::Live);
        } else if self.every_frame {
            source.pace = Some(Pace::Every);
        }
        unused::refuse(&named, &source, config.source.keep_trying)?;
        let sinks = match self.sinks.is_empty() {
            true => super::specs::sinks(&config)?,
            false => self.sinks,
        };
        super::specs::apart(&source, &sinks)?;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let choice = Choice {
            level: self.level.or_else(|| some(&config.student.level)),
            largest: false,
            precision: match self.precision {
                Some(precision) => Some(precision),
                None => some(&config.student.precision)
                    .map(|text| text.parse().map_err(anyhow::Error::msg))
                    .transpose()?,
            },
            threads: self.threads.map_or(config.student.threads, usize::from),
            pin: self.pin.unwrap_or(config.student.pin),
        };
        let fps = config.governor.fps;
        Ok(Job {
            student,
            trial,
            choice,
            source,
            sinks,
            strength: self.strength.unwrap_or(config.student.strength),
            split: self.split.unwrap_or(config.student.split),
            bypass: self.bypass.unwrap_or(config.student.bypass),
            frames: self.frames,
            looping: self.looping,
            keep_trying: config.source.keep_trying,
            stall: self.stall.unwrap_or(config.source.stall_seconds),
            govern: self.govern.or((fps > 0.0).then_some(fps)),
            status: self.status,
            #[cfg(feature = "page")]
            page: self.page.settings(&config)?,
            #[cfg(feature = "telemetry")]
            telemetry: TelemetryConfig {
                to: Carrier::apart([config.telemetry.to.clone(), self.telemetry].concat()),
                ..config.telemetry.clone()
            },
            gpio: config.gpio.clone(),
            config: self.config.map(|path| (path, config)),
            journal,
        })
    }
}
