//! `hone data`: draw, index, verify and degrade pictures.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use hone_shared::student::Colour;

use super::data_bench::DataBenchArgs;
use super::data_frames::FramesArgs;
use super::data_index::{IndexArgs, VerifyArgs};
use super::data_pairs::PairsArgs;
use super::data_sharpness::SharpnessArgs;
use super::progress;
use crate::data::config::Layout;
use crate::data::degrade::Degradation;
use crate::data::index;
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
    #[arg(long, default_value_t = 100)]
    images: usize,
    /// Moving scenes.
    #[arg(long, default_value_t = 0)]
    sequences: usize,
    /// Frames of each moving scene.
    #[arg(long, default_value_t = 60)]
    frames: usize,
    /// Width and height in pixels.
    #[arg(long, default_value = "512x384", value_parser = size)]
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
    #[arg(long, default_value_t = 8.0)]
    speed: f32,
}

pub(super) fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').map(|(w, h)| (w.parse(), h.parse()));
    match sides {
        Some((Ok(w), Ok(h))) if (8..=16_384).contains(&w) && (8..=16_384).contains(&h) => {
            Ok((w, h))
        }
        _ => Err(format!(
            "'{text}' is no size: use WIDTHxHEIGHT, each 8 to 16384"
        )),
    }
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
    let options = TreeOptions {
        images: args.images,
        sequences: args.sequences,
        frames: args.frames,
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
    tree::write(&args.out, &options, &|n| bar.set_position(n as u64))?;
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
    let found = if args.input.is_dir() {
        let index = index::scan(&args.input, Layout::Sharp, 0, 0.0, false)?;
        let paths = index.entries.iter().map(|e| args.input.join(&e.truth.path));
        paths.take(args.rows as usize).collect()
    } else {
        vec![args.input.clone()]
    };
    if found.is_empty() {
        bail!("{} holds no picture", args.input.display());
    }
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
