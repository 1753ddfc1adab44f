//! Sharp pictures (photographs, frames, scenes) whose partners the degradation makes.

mod shots;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use super::augment::{Area, Jitter, Symmetry, place};
use super::files::{Images, Origin};
use super::{Adjustable, Listing, Pair, PairSource, spread};
use crate::data::config::DataConfig;
use crate::data::degrade::Exposure;
use crate::data::index::{Index, Split, sequences};
use crate::data::light;
use crate::data::photo::Photo;
use crate::data::random::{Stream, shuffled, stream};
use crate::picture::Picture;
use shots::{Shot, expose};

/// How many pictures are tried in place of an unreadable one.
const ATTEMPTS: u64 = 64;

pub(super) struct SharpSource {
    config: DataConfig,
    images: Images,
    /// The sequence each picture belongs to, for averaging neighbours.
    sequences: Vec<String>,
    train: Vec<usize>,
    validation: Vec<usize>,
    name: String,
    /// Of files.
    listing: Option<Listing>,
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
            sequences: (0..count).map(|i| i.to_string()).collect(),
            train: (0..config.count).collect(),
            validation: (config.count..count).collect(),
            name: format!(
                "{} scenes of {}x{}",
                config.count, config.size[0], config.size[1]
            ),
            listing: None,
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
        let sequences = sequences(&index.entries);
        let listing = Some(Listing::of(&index));
        let entries = index.entries.into_iter();
        let paths = entries.map(|e| Origin::file(root, e.truth)).collect();
        Self {
            config: config.clone(),
            images: Images::new(Origin::Files(paths), config),
            sequences,
            train,
            validation,
            name,
            listing,
        }
    }

    /// Refuses to average neighbours where no picture has one on both sides.
    pub(super) fn check_neighbours(&self) -> anyhow::Result<()> {
        let inside = |&n: &usize| {
            let neighbours = [n.checked_sub(1), Some(n + 1)];
            let is_one = |at: Option<usize>| {
                at.and_then(|at| self.sequences.get(at)) == self.sequences.get(n)
            };
            neighbours.into_iter().all(is_one)
        };
        ensure!(
            self.config.degradation.frames().is_none() || self.train.iter().any(inside),
            "[data]: 'frames' averages neighbours in time, which none of the {} has: give each clip a folder of \
             its own below root, with nothing but numbered frames in it",
            self.name
        );
        Ok(())
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
        let sequence = self.sequences.get(number);
        let near = |frame: &usize| self.sequences.get(*frame) == sequence;
        let before = (0..number).rev().take_while(near).count();
        let after = (number + 1..).take_while(near).count();
        // As many on either side: a lopsided mean would move the picture.
        let half = ((count.draw(rng) / 2.0) as usize).min(before).min(after);
        let mut sum = Picture::new(3, middle.height, middle.width);
        let mut frames = 0.0;
        for neighbour in number - half..=number + half {
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

    /// Reads what a patch needs.
    fn cut(
        &self,
        number: usize,
        rng: &mut Stream,
        crop: usize,
        frames: usize,
    ) -> anyhow::Result<Cut> {
        let photo: Arc<Photo> = self.images.get(number)?;
        let (top, left) = place(&photo, crop, self.config.min_sharpness, rng);
        let jitter = Jitter::draw(rng, self.config.jitter);
        let camera = self.config.degradation.draw(rng);
        let area = Area {
            top,
            left,
            height: crop,
            width: crop,
        };
        let mut shots = self.shots(number, rng, area, camera.margin(), frames)?;
        for shot in &mut shots {
            jitter.apply(&mut shot.exposed);
            jitter.apply(&mut shot.truth);
        }
        Ok(Cut { shots, camera })
    }

    fn degrade(&self, cut: Cut, rng: &mut Stream) -> anyhow::Result<Vec<Pair>> {
        let mut pairs = expose(cut.shots, &cut.camera, rng)?;
        let symmetry = Symmetry::draw(rng, self.config.flips);
        for pair in &mut pairs {
            symmetry.apply(&mut pair.input);
            symmetry.apply(&mut pair.truth);
        }
        Ok(pairs)
    }
}

/// What a patch is made of.
struct Cut {
    shots: Vec<Shot>,
    camera: Exposure,
}

impl Adjustable for SharpSource {
    fn config(&mut self) -> &mut DataConfig {
        &mut self.config
    }
}

impl PairSource for SharpSource {
    fn sequence(
        &self,
        seed: u64,
        index: u64,
        crop: usize,
        frames: usize,
    ) -> anyhow::Result<Vec<Pair>> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let turn = shuffled(seed, index.wrapping_add(attempt), self.train.len());
            let number = self.train[turn];
            let mut rng = stream(&[seed, index, attempt]);
            match self.cut(number, &mut rng, crop, frames) {
                // A codec that fails, fails for every picture: that is not skipped.
                Ok(cut) => return self.degrade(cut, &mut rng),
                Err(error) => last = Some(error),
            }
        }
        let last = last.context("there is no picture")?;
        Err(last.context(format!("none of {ATTEMPTS} pictures in a row can be read")))
    }

    fn validation(&self) -> anyhow::Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for i in spread(self.validation.len(), self.config.validation_images) {
            let number = self.validation[i];
            let Ok(photo) = self.images.get(number) else {
                continue;
            };
            let area = Area::middle(&photo, self.config.validation_crop);
            let mut rng = stream(&[self.config.seed, number as u64, 0x0076_616c]);
            let window = |p: &Photo| area.of(p);
            // A neighbour in time may be the unreadable one.
            let Ok(exposed) = self.exposure(number, &mut rng, &window) else {
                continue;
            };
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
            bail!(Listing::none_left(self.listing.as_ref()));
        }
        Ok(pairs)
    }

    fn validation_sequences(&self, frames: usize) -> anyhow::Result<Vec<Vec<Pair>>> {
        let mut sequences = Vec::new();
        for i in spread(self.validation.len(), self.config.validation_images) {
            let number = self.validation[i];
            let mut rng = stream(&[self.config.seed, number as u64, 0x7365_7175]);
            let camera = self.config.degradation.draw(&mut rng);
            let shots = self.images.get(number).and_then(|photo| {
                let area = Area::middle(&photo, self.config.validation_crop);
                self.shots(number, &mut rng, area, camera.margin(), frames)
            });
            if let Ok(shots) = shots {
                sequences.push(
                    expose(shots, &camera, &mut rng)
                        .context("cannot make the validation pictures")?,
                );
            }
        }
        if sequences.is_empty() {
            bail!(Listing::none_left(self.listing.as_ref()));
        }
        Ok(sequences)
    }

    fn fingerprint(&self) -> anyhow::Result<String> {
        let sequences = self.train.iter().map(|&n| self.sequences[n].as_str());
        self.images.fingerprint(&self.train, sequences)
    }

    fn listing(&self) -> Option<&str> {
        self.listing.as_ref().map(Listing::sha256)
    }

    fn pictures(&self) -> usize {
        self.train.len()
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests;
