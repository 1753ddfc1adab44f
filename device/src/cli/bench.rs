//! `honed bench`: how fast a student runs here.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::{ArgGroup, Args};
use comfy_table::{Table, presets};
use hone_shared::bundle::{Manifest, ModelEntry};
use hone_shared::config::StudentConfig;
use hone_shared::student::Precision;

use super::choose;
use super::trust::TrustArgs;
use crate::bench::{BenchOptions, BenchReport, Peer, measure};
use crate::engine::{self, EngineOptions};
use crate::journal::Journal;
use crate::trust;

const EXAMPLES: &str = "\
Examples:
  honed bench --bundle street.hone --trusted-key release.key.pub --size 1280x720 --threads 2
  honed bench --model student.onnx --vs-ort python3 --json
  honed bench --bundle street.hone --trusted-key release.key.pub --choose --fps 25 --config honed.toml";

/// Measures a student on this machine.
///
/// Times are from camera bytes to sharpened bytes, with the network's full strength. The share of
/// peak compares with what the same kernels reach on data in the first-level cache; Winograd does
/// the work of several multiplications with one, so that the share may exceed 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("student").args(["model", "bundle"]).required(true))]
pub struct BenchArgs {
    /// An ONNX student.
    #[arg(
        long,
        value_name = "X.onnx",
        conflicts_with_all = ["trusted_key", "allow_unsigned"]
    )]
    model: Option<PathBuf>,
    /// A bundle.
    #[arg(long, value_name = "X.hone")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Which student of the bundle: small, large, ...; without it, the largest.
    // clap does not ask for --bundle where --model excludes it, so --model is named as well.
    #[arg(long, requires = "bundle", conflicts_with = "model")]
    level: Option<String>,
    /// Size of the frames.
    #[arg(long, default_value = "1920x1080", value_parser = size)]
    size: (usize, usize),
    /// Threads; 0 takes one for each core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=256))]
    threads: u16,
    /// Which of a bundle's number formats; auto takes the faster one.
    #[arg(long, default_value = "auto", value_parser = ["auto", "f32", "int8"])]
    precision: String,
    /// Frames to time, at least [default: 60].
    #[arg(long, value_parser = frames)]
    frames: Option<usize>,
    /// Keep each worker thread to one core.
    #[arg(long)]
    pin: bool,
    /// Run everything on tract.
    #[arg(long)]
    tract: bool,
    /// Compare with ONNX Runtime from this Python (with numpy and onnxruntime), in turns.
    #[arg(long, value_name = "PYTHON")]
    vs_ort: Option<PathBuf>,
    /// Measure every student of the bundle, largest first, in each number format and on more and
    /// more threads, until one holds --fps with a fifth of the time to spare; write level, precision,
    /// threads and the keys given here into the configuration, and the bundle unless its slots run that
    /// very one; everything else stays.
    #[arg(long, requires = "bundle", conflicts_with_all = ["model", "vs_ort", "tract", "threads", "level", "pin"])]
    choose: bool,
    /// Frames a second that --choose is to hold [default: 30].
    #[arg(long, value_parser = rate)]
    fps: Option<f64>,
    /// The configuration that --choose writes; it is made when it is not there [default: /etc/honed.toml].
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How many frames.
fn frames(text: &str) -> Result<usize, String> {
    let frames = text.parse().ok().filter(|f| (1..=100_000).contains(f));
    frames.ok_or_else(|| format!("'{text}' is no number of frames from 1 to 100000"))
}

/// Frames a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|r| (1.0..=240.0).contains(r));
    rate.ok_or_else(|| format!("'{text}' is no frame rate from 1 to 240"))
}

/// `WIDTHxHEIGHT`.
fn size(text: &str) -> Result<(usize, usize), String> {
    let side = |t: &str| t.parse().ok().filter(|s| (1..=16_384).contains(s));
    text.split_once('x')
        .and_then(|(w, h)| Some((side(w)?, side(h)?)))
        .ok_or_else(|| format!("'{text}' is no size like 1920x1080, of sides up to 16384"))
}

impl BenchArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the model cannot be read or run, or ONNX Runtime fails.
    pub fn run(self) -> anyhow::Result<()> {
        // Not told to clap: flags with a default value, which it counts as given, conflict with --choose.
        ensure!(
            self.choose || (self.fps.is_none() && self.config.is_none()),
            "--fps and --config are for --choose, which was not given"
        );
        ensure!(
            !self.choose || self.frames.is_none(),
            "--choose times as many frames as it needs: leave --frames out"
        );
        let options = BenchOptions {
            width: self.size.0,
            height: self.size.1,
            frames: self.frames.unwrap_or(60),
            engine: EngineOptions {
                threads: self.threads.into(),
                pin: self.pin,
                tract_only: self.tract,
                measure: true,
                isa: None,
            },
        };
        if let (true, Some(bundle)) = (self.choose, &self.bundle) {
            let wanted = choose::Wanted {
                bundle,
                trust: &self.trust,
                config: self
                    .config
                    .as_deref()
                    .unwrap_or(Path::new("/etc/honed.toml")),
                fps: self.fps.unwrap_or(30.0),
                json: self.json,
            };
            return choose::run(&wanted, |p| self.wants(p), options);
        }
        let mut best: Option<BenchReport> = None;
        for model in self.models()? {
            let mut peer = match &self.vs_ort {
                Some(python) => Some(self.peer(python, &model)?),
                None => None,
            };
            let report = measure(&model, options, peer.as_mut())?;
            if best.as_ref().is_none_or(|b| report.median_ms < b.median_ms) {
                best = Some(report);
            }
        }
        let report = best.context("the bundle holds no student")?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{}", table(&report));
        }
        Ok(())
    }

    fn wants(&self, precision: Precision) -> bool {
        self.precision == "auto" || self.precision == precision.name()
    }

    /// The model files to choose from: one, or both number formats of a level.
    fn models(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        if let Some(path) = &self.model {
            let model =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let precision = engine::describe(&model)
                .with_context(|| path.display().to_string())?
                .student
                .precision;
            if !self.wants(precision) {
                bail!(
                    "{} is {}, not {}",
                    path.display(),
                    precision.name(),
                    self.precision
                );
            }
            return Ok(vec![model]);
        }
        let path = self.bundle.as_deref().context("give --model or --bundle")?;
        let policy = self
            .trust
            .policy(&StudentConfig::default(), &Journal::default())?;
        let bundle = trust::open(path, &policy)?;
        let fused = |m: &ModelEntry| engine::is_fused(bundle.model_bytes(m));
        let entries = self
            .entries(bundle.manifest(), fused)
            .map_err(|reason| anyhow!("{}: {reason}", path.display()))?;
        let bytes = |m: &ModelEntry| bundle.model_bytes(m).to_vec();
        Ok(entries.into_iter().map(bytes).collect())
    }

    /// The wanted number formats of a level: of the one that is named, or of the one that `honed run` begins with.
    fn entries<'a>(
        &self,
        manifest: &'a Manifest,
        fused: impl Fn(&ModelEntry) -> bool,
    ) -> Result<Vec<&'a ModelEntry>, String> {
        let precision = self.precision.parse().ok();
        let ladder = manifest.ladder(self.level.as_deref(), precision, fused)?;
        let level = ladder.first().map(|m| &m.name);
        let fits = |m: &&ModelEntry| Some(&m.name) == level && self.wants(m.precision);
        Ok(manifest.models.iter().filter(fits).collect())
    }

    fn peer(&self, python: &Path, model: &[u8]) -> anyhow::Result<Peer> {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n.into(),
        };
        if let Some(path) = &self.model {
            return Ok(Peer::start(python, path, self.size, threads)?);
        }
        // ONNX Runtime wants a file; it has read it when it says that it is ready.
        let path = std::env::temp_dir().join(format!("honed-bench-{}.onnx", std::process::id()));
        let written = File::create(&path).and_then(|mut f| f.write_all(model));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        let peer = Peer::start(python, &path, self.size, threads);
        std::fs::remove_file(&path)?;
        Ok(peer?)
    }
}

fn table(report: &BenchReport) -> Table {
    let executor = if report.fused { "fused" } else { "tract" };
    let megabytes = |b: usize| format!("{:.1} MB", b as f64 / 1e6);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.add_row([
        "student".into(),
        format!(
            "{} {}, {}",
            report.colour,
            report.precision.name(),
            report.size
        ),
    ]);
    table.add_row([
        "executor".into(),
        match report.isa {
            Some(isa) => format!("{executor}, {isa}, {} threads", report.threads),
            None => format!("{executor}, {} threads", report.threads),
        },
    ]);
    table.add_row([
        "median".into(),
        format!(
            "{:.2} ms ({:.1} fps) of {} frames",
            report.median_ms, report.fps, report.frames
        ),
    ]);
    table.add_row(["99th percentile".into(), format!("{:.2} ms", report.p99_ms)]);
    let mut work = format!("{:.2} GMAC, {:.0} GMAC/s", report.gmac, report.gmac_per_s);
    if let (Some(share), Some(peak)) = (report.peak_share, report.peak_gmac_per_s) {
        work += &format!(", {:.0} % of this machine's {peak:.0}", 100.0 * share);
    }
    table.add_row(["work".into(), work]);
    table.add_row(["frame bytes".into(), megabytes(report.frame_bytes)]);
    if let Some(bytes) = report.memory_bytes {
        table.add_row(["working memory".into(), megabytes(bytes)]);
    }
    if let Some(bytes) = report.extra_memory_bytes {
        table.add_row(["peak extra memory".into(), megabytes(bytes)]);
    }
    table.add_row([
        "start to first frame".into(),
        format!("{:.0} ms", report.start_ms),
    ]);
    if let (Some(ms), Some(ratio)) = (report.ort_median_ms, report.ort_ratio) {
        table.add_row([
            "ONNX Runtime".into(),
            format!("{ms:.2} ms, {ratio:.2}x ours"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;
