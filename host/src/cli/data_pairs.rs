//! `hone data pairs`: degraded partners of one's own pictures, on disk.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use hone_shared::student::Colour;
use rayon::iter::Either;
use rayon::prelude::*;

use super::size::sides;
use super::{left_out, progress};
use crate::data::config::Layout;
use crate::data::degrade::Degradation;
use crate::data::index::{self, Problem};
use crate::data::part;
use crate::data::partners::{self, PartnerOptions};
use crate::data::read;
use crate::data::source::spread;

/// Arguments of `hone data pairs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone data pairs photos --out pairs/val --degrade gaussian:sigma=0.8..1.8+grain:sigma=0..0.008 --seed 1"
)]
pub struct PairsArgs {
    /// Folder of sharp pictures.
    input: PathBuf,
    /// Folder to fill with blur/ and sharp/; new or empty. `hone eval --data` reads OUT/val and OUT/train.
    #[arg(long)]
    out: PathBuf,
    /// What the camera does: a preset (none, light, conference, motion, defocus, lowlight, mixed) or steps such as disc:radius=1..2+noise:shot=0.001.
    #[arg(long)]
    degrade: Degradation,
    /// Draws other parameters; the I-th picture that is written, by name, draws from (seed, I).
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most pictures, spread evenly over the folder.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Width and height to cut from the middle of each picture; smaller pictures are left out.
    #[arg(long, value_name = "WxH", value_parser = sides(8..=16_384))]
    crop: Option<(usize, usize)>,
    /// rgb, or luma for grey files that hold what a luma student sees.
    #[arg(long, default_value_t = Colour::Rgb)]
    colour: Colour,
}

impl PairsArgs {
    /// Makes the pairs.
    ///
    /// # Errors
    /// When the folder holds no picture that can be used, OUT is not empty, or a picture cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        if std::fs::read_dir(&self.out).is_ok_and(|mut d| d.next().is_some()) {
            bail!("{} is not empty: name a new folder", self.out.display());
        }
        self.degrade.for_single_pictures()?;
        let index = index::scan(&self.input, Layout::Sharp, 0, 0.0, false)?;
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let chosen = spread(index.entries.len(), limit);
        let checked = chosen.into_par_iter().map(|i| {
            let path = &index.entries[i].truth.path;
            let photo = self.input.join(path);
            let usable = read::check(&photo).map_err(|error| error.to_string());
            match usable.and_then(|size| large_enough(size, self.crop)) {
                Ok(()) => Either::Left(photo),
                Err(reason) => Either::Right(Problem {
                    path: path.clone(),
                    reason,
                }),
            }
        });
        let (photos, damaged): (Vec<_>, Vec<_>) = checked.partition_map(|either| either);
        let problems = [index.problems, damaged].concat();
        left_out::tell(&problems, photos.len())
            .with_context(|| format!("{} makes no pairs", self.input.display()))?;
        let options = PartnerOptions {
            degradation: self.degrade,
            seed: self.seed,
            colour: self.colour,
            crop: self.crop,
        };
        let bar = progress::bar(photos.len() as u64, "pairs");
        part::fill(&self.out, |place| {
            partners::write(&photos, place, &options, &|n| {
                bar.set_position(n as u64);
            })
        })?;
        bar.finish_and_clear();
        println!("{}: {} pairs", self.out.display(), photos.len());
        Ok(())
    }
}

/// Whether the crop can be cut from a picture of this width and height; else why not.
fn large_enough(size: (usize, usize), crop: Option<(usize, usize)>) -> Result<(), String> {
    match crop {
        Some((width, height)) if width > size.0 || height > size.1 => Err(format!(
            "is smaller than the crop of {width}x{height}, {}x{}",
            size.0, size.1
        )),
        _ => Ok(()),
    }
}
