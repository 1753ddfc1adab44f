//! `hone data`: draw, index, verify and degrade pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hone_shared::student::Colour;

use super::data_bench::DataBenchArgs;
use super::data_frames::FramesArgs;
use super::data_index::{IndexArgs, VerifyArgs};
use super::data_pairs::PairsArgs;
use super::data_sharpness::SharpnessArgs;
use super::size::sides;
use super::{left_out, overwrite, progress};
use crate::data::config::Layout;
use crate::data::degrade::Degradation;
use crate::data::index::{self, Problem};
use crate::data::part;
use crate::data::read;
use crate::data::sheet::contact_sheet;
use crate::data::synth::SequenceOptions;
use crate::data::synth::tree::{self, TreeOptions};

/// Draw, index, verify and degrade pictures.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Draw a data set of scenes: sharp pictures and moving sequences with their blurred partners.
    Synth(Synth),
    /// Find the pairs or sharp pictures under a folder and write an index file.
    Index(IndexArgs),
    /// Show how sharp the patches of a folder are, and where the flat ones begin.
    Sharpness(SharpnessArgs),
    /// Show what a degradation does to one's own pictures, as a contact sheet.
    Degrade(Degrade),
    /// Write degraded partners of one's own pictures, as fixed pairs to evaluate on.
    Pairs(PairsArgs),
    /// Take the frames of video files, as a folder of sharp sequences.
    Frames(FramesArgs),
    /// Hash the files of an index again and say what changed.
    Verify(VerifyArgs),
    /// Measure how fast a recipe's patches come, and how long its training waits for them.
    Bench(DataBenchArgs),
}

/// Arguments of `hone data synth`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone data synth --out scenes --images 100 --sequences 4 --frames 60 --degrade disc:radius=1..2"
)]
pub struct Synth {
    /// Folder to fill; new or empty.
    #[arg(long)]
    out: PathBuf,
    /// Still scenes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    images: u64,
    /// Moving scenes.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    sequences: u64,
    /// Frames of each moving scene.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    frames: u64,
    /// Width and height in pixels.
    #[arg(long, default_value = "512x384", value_parser = sides(8..=16_384))]
    size: (usize, usize),
    /// Names the data set: the same seed draws the same pictures.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Part kept for validation.
    #[arg(long, default_value_t = 0.1)]
    validation: f32,
    /// What the camera does: a preset (none, light, conference, motion, defocus, lowlight, mixed) or steps such as disc:radius=1..2+noise:shot=0.001.
    #[arg(long, default_value = "light")]
    degrade: Degradation,
    /// rgb, or luma for grey files that hold what a luma student sees.
    #[arg(long, default_value_t = Colour::Rgb)]
    colour: Colour,
    /// Fastest motion in moving scenes, pixels per frame.
    #[arg(long, default_value_t = 8.0, value_parser = speed)]
    speed: f32,
}

/// Faster, the instants of an exposure would lie apart and show as ghosts.
fn speed(text: &str) -> Result<f32, String> {
    let speed = text.parse().ok().filter(|s| (0.0..=64.0).contains(s));
    speed.ok_or_else(|| format!("'{text}' is no speed: use 0 to 64 pixels per frame"))
}

/// Arguments of `hone data degrade`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hone data degrade --preset conference photo.jpg sheet.png")]
pub struct Degrade {
    /// A preset (none, light, conference, motion, defocus, lowlight, mixed) or steps such as disc:radius=1..2+jpeg:quality=50.
    #[arg(long, default_value = "mixed")]
    preset: Degradation,
    /// A picture, or a folder of which the first pictures are shown.
    input: PathBuf,
    /// PNG or JPEG to write: a row for each picture, the original first.
    out: PathBuf,
    /// Degraded versions of each picture.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=32))]
    variants: u64,
    /// Side of a tile in pixels.
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u64).range(16..=1024))]
    side: u64,
    /// Most rows.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    rows: u64,
    /// Draws other versions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl DataCommand {
    /// Runs it.
    ///
    /// # Errors
    /// One sentence that says what failed.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Synth(args) => synth(args),
            Self::Index(args) => args.run(),
            Self::Sharpness(args) => args.run(),
            Self::Degrade(args) => degrade(&args),
            Self::Pairs(args) => args.run(),
            Self::Frames(args) => args.run(),
            Self::Verify(args) => args.run(),
            Self::Bench(args) => args.run(),
        }
    }
}

fn synth(args: Synth) -> anyhow::Result<()> {
    if std::fs::read_dir(&args.out).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{} is not empty: name a new folder", args.out.display());
    }
    if !(0.0..=0.9).contains(&args.validation) {
        bail!("--validation must lie in 0..0.9, got {}", args.validation);
    }
    if args.images == 0 && args.sequences == 0 {
        bail!("there is nothing to draw: set --images or --sequences");
    }
    args.degrade.for_single_pictures()?;
    let options = TreeOptions {
        images: args.images as usize,
        sequences: args.sequences as usize,
        frames: args.frames as usize,
        size: args.size,
        seed: args.seed,
        validation: args.validation,
        colour: args.colour,
        degradation: args.degrade,
        motion: SequenceOptions {
            speed: args.speed,
            ..SequenceOptions::default()
        },
    };
    let total = options.images + options.sequences * options.frames;
    let bar = progress::bar(total as u64, "scenes");
    part::fill(&args.out, |place| {
        tree::write(place, &options, &|n| bar.set_position(n as u64))
    })?;
    bar.finish_and_clear();
    println!(
        "{}: {} scenes, {} sequences of {} frames",
        args.out.display(),
        options.images,
        options.sequences,
        options.frames
    );
    Ok(())
}

fn degrade(args: &Degrade) -> anyhow::Result<()> {
    args.preset.for_single_pictures()?;
    let found = match args.input.is_dir() {
        true => shown(&args.input, &args.out, args.rows as usize)?,
        false => vec![args.input.clone()],
    };
    overwrite::refuse(&args.out, found.iter().map(PathBuf::as_path))?;
    let photos: Vec<&Path> = found.iter().map(PathBuf::as_path).collect();
    let (variants, side) = (args.variants as usize, args.side as usize);
    let bar = progress::bar(photos.len() as u64, "pictures");
    let told = |n: usize| bar.set_position(n as u64);
    contact_sheet(&photos, &args.preset, variants, side, args.seed, &told)?.save(&args.out)?;
    bar.finish_and_clear();
    println!(
        "{}: {} pictures, original and {variants} versions",
        args.out.display(),
        photos.len()
    );
    Ok(())
}

/// The first pictures of a folder that can be used, `out` being none of its pictures.
fn shown(folder: &Path, out: &Path, rows: usize) -> anyhow::Result<Vec<PathBuf>> {
    let index = index::scan(folder, Layout::Sharp, 0, 0.0, false)?;
    let mut problems = index.problems;
    let mut found = Vec::new();
    for path in index.entries.into_iter().map(|entry| entry.truth.path) {
        let photo = folder.join(&path);
        overwrite::refuse(out, [photo.as_path()])?;
        if found.len() == rows {
            continue;
        }
        match read::check(&photo) {
            Ok(_) => found.push(photo),
            Err(error) => problems.push(Problem {
                path,
                reason: error.to_string(),
            }),
        }
    }
    left_out::tell(&problems, found.len())
        .with_context(|| format!("{} has nothing to show", folder.display()))?;
    Ok(found)
}
