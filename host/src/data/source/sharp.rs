//! Sharp pictures (photographs, frames, scenes) whose partners the degradation makes.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rand::Rng;

use super::augment::{Jitter, Symmetry, sharpness};
use super::files::{Images, Origin};
use super::{Pair, PairSource, spread};
use crate::data::config::DataConfig;
use crate::data::index::{Index, Split};
use crate::data::light;
use crate::data::photo::Photo;
use crate::data::random::{Stream, shuffled, stream};
use crate::picture::Picture;

/// How many pictures are tried in place of an unreadable one.
const ATTEMPTS: u64 = 64;

pub(super) struct SharpSource {
    config: DataConfig,
    images: Images,
    /// The sequence each picture belongs to, for averaging neighbours.
    groups: Vec<String>,
    train: Vec<usize>,
    validation: Vec<usize>,
    name: String,
}

impl SharpSource {
    /// Scenes: one in ten more than asked for are drawn for validation.
    pub(super) fn scenes(config: &DataConfig) -> Self {
        let held_out = config
            .validation_images
            .min(config.count.div_ceil(10))
            .max(1);
        let count = config.count + held_out;
        let origin = Origin::Scenes {
            seed: config.seed,
            size: config.size,
        };
        Self {
            config: config.clone(),
            images: Images::new(origin, config),
            groups: (0..count).map(|i| i.to_string()).collect(),
            train: (0..config.count).collect(),
            validation: (config.count..count).collect(),
            name: format!(
                "{} scenes of {}x{}",
                config.count, config.size[0], config.size[1]
            ),
        }
    }

    pub(super) fn files(config: &DataConfig, root: &Path, index: Index) -> Self {
        let numbers = |split: Split| -> Vec<usize> {
            (0..index.entries.len())
                .filter(|&i| index.entries[i].split == split)
                .collect()
        };
        let train = numbers(Split::Train);
        let validation = numbers(Split::Validation);
        let name = format!("{} sharp pictures in {}", train.len(), root.display());
        let (paths, groups) = index
            .entries
            .into_iter()
            .map(|e| (root.join(e.truth.path), e.group))
            .unzip();
        Self {
            config: config.clone(),
            images: Images::new(Origin::Files(paths), config),
            groups,
            train,
            validation,
            name,
        }
    }

    /// The light of the frames around `number` in a window, as bytes would show it; the middle one when not averaging.
    fn exposure(
        &self,
        number: usize,
        rng: &mut Stream,
        window: &dyn Fn(&Photo) -> Picture,
    ) -> anyhow::Result<Picture> {
        let middle = window(&*self.images.get(number)?);
        let Some(count) = self.config.degradation.frames() else {
            return Ok(middle);
        };
        let half = (count.draw(rng) / 2.0) as usize;
        let mut sum = Picture::new(3, middle.height, middle.width);
        let mut frames = 0.0;
        for neighbour in number.saturating_sub(half)..=number + half {
            if self.groups.get(neighbour) != Some(&self.groups[number]) {
                continue;
            }
            let mut frame = window(&*self.images.get(neighbour)?);
            light::decode(&mut frame.data);
            sum.data
                .iter_mut()
                .zip(&frame.data)
                .for_each(|(s, v)| *s += v);
            frames += 1.0;
        }
        sum.data.iter_mut().for_each(|s| *s /= frames);
        light::encode(&mut sum.data);
        Ok(sum)
    }

    /// Reads what a patch needs: the exposed window with its margin, and the truth.
    fn cut(
        &self,
        number: usize,
        rng: &mut Stream,
        crop: usize,
    ) -> anyhow::Result<(Picture, Picture)> {
        let photo: Arc<Photo> = self.images.get(number)?;
        let draw = |rng: &mut Stream| {
            let top = rng.random_range(0..=photo.height.saturating_sub(crop)) as isize;
            let left = rng.random_range(0..=photo.width.saturating_sub(crop)) as isize;
            (top, left)
        };
        let mut place = draw(rng);
        if self.config.min_sharpness > 0.0 {
            let score = |(top, left)| sharpness(&photo.window(top, left, crop, crop));
            let mut best = score(place);
            for _ in 0..8 {
                if best >= self.config.min_sharpness {
                    break;
                }
                let other = draw(rng);
                let score = score(other);
                if score > best {
                    (best, place) = (score, other);
                }
            }
        }
        let (top, left) = place;
        let margin = self.config.degradation.margin();
        let side = crop + 2 * margin;
        let window =
            |p: &Photo| p.window(top - margin as isize, left - margin as isize, side, side);
        let jitter = Jitter::draw(rng, self.config.jitter);
        let mut exposed = self.exposure(number, rng, &window)?;
        jitter.apply(&mut exposed);
        let mut truth = photo.window(top, left, crop, crop);
        jitter.apply(&mut truth);
        Ok((exposed, truth))
    }

    fn degrade(
        &self,
        exposed: &Picture,
        mut truth: Picture,
        rng: &mut Stream,
    ) -> anyhow::Result<Pair> {
        let margin = self.config.degradation.margin();
        let degraded = self.config.degradation.apply(exposed, rng)?;
        let mut input = degraded.crop(margin, margin, truth.height, truth.width);
        let symmetry = Symmetry::draw(rng, self.config.flips);
        symmetry.apply(&mut input);
        symmetry.apply(&mut truth);
        Ok(Pair { input, truth })
    }
}

impl PairSource for SharpSource {
    fn patch(&self, seed: u64, index: u64, crop: usize) -> anyhow::Result<Pair> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let turn = shuffled(seed, index.wrapping_add(attempt), self.train.len());
            let number = self.train[turn];
            if self.images.is_bad(number) {
                continue;
            }
            let mut rng = stream(&[seed, index, attempt]);
            match self.cut(number, &mut rng, crop) {
                // A codec that fails, fails for every picture: that is not skipped.
                Ok((exposed, truth)) => return self.degrade(&exposed, truth, &mut rng),
                Err(error) => {
                    self.images.report(number, &error);
                    last = Some(error);
                }
            }
        }
        Err(last
            .unwrap_or_else(|| anyhow::anyhow!("none of {ATTEMPTS} pictures in a row can be read")))
    }

    fn validation(&self) -> anyhow::Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for i in spread(self.validation.len(), self.config.validation_images) {
            let number = self.validation[i];
            let photo = match self.images.get(number) {
                Ok(photo) => photo,
                Err(error) => {
                    self.images.report(number, &error);
                    continue;
                }
            };
            let height = photo.height.min(self.config.validation_crop);
            let width = photo.width.min(self.config.validation_crop);
            let top = ((photo.height - height) / 2) as isize;
            let left = ((photo.width - width) / 2) as isize;
            let mut rng = stream(&[self.config.seed, number as u64, 0x0076_616c]);
            let window = |p: &Photo| p.window(top, left, height, width);
            let exposed = self.exposure(number, &mut rng, &window)?;
            let input = self
                .config
                .degradation
                .apply(&exposed, &mut rng)
                .context("cannot make the validation pictures")?;
            pairs.push(Pair {
                input,
                truth: window(&photo),
            });
        }
        if pairs.is_empty() {
            bail!(
                "no picture is left for validation: raise [data] validation or add a 'val' folder"
            );
        }
        Ok(pairs)
    }

    fn fingerprint(&self) -> anyhow::Result<String> {
        let groups = self.train.iter().map(|&n| self.groups[n].as_str());
        self.images.fingerprint(&self.train, groups)
    }

    fn len(&self) -> usize {
        self.train.len()
    }

    fn skipped(&self) -> usize {
        self.images.bad_count()
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
