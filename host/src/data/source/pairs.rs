//! Pairs that lie on disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, ensure};

use super::augment::{Area, Jitter, Symmetry, place};
use super::files::Origin;
use super::{Adjustable, Images, Listing, Pair, PairSource, spread};
use crate::data::config::DataConfig;
use crate::data::degrade::resize;
use crate::data::index::{FileRecord, Index, Split, sequences};
use crate::data::photo::Photo;
use crate::data::random::{shuffled, stream};

const ATTEMPTS: u64 = 64;
const NEEDED: &str = "temporal students need consecutive frames in the order of their names, as GoPro has \
                      them, or sharp pictures with a degradation";

pub(super) struct PairsSource {
    config: DataConfig,
    /// Picture `2n` is the input, `2n + 1` the truth of pair `n`.
    images: Images,
    /// The files of each pair, degraded first.
    files: Vec<[FileRecord; 2]>,
    /// The sequence each pair belongs to.
    sequences: Vec<String>,
    train: Vec<usize>,
    validation: Vec<usize>,
    name: String,
    listing: Listing,
}

impl PairsSource {
    pub(super) fn new(config: &DataConfig, root: &Path, index: Index) -> Self {
        let (mut files, mut followed) = (Vec::new(), Vec::new());
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        let sequences = sequences(&index.entries);
        let listing = Listing::of(&index);
        for (entry, sequence) in index.entries.into_iter().zip(sequences) {
            let Some(input) = entry.input else { continue };
            let number = files.len();
            match entry.split {
                Split::Train => train.push(number),
                Split::Validation => validation.push(number),
                Split::Test => {}
            }
            followed.push(sequence);
            files.push([input, entry.truth]);
        }
        let paths = files.iter().flatten().cloned();
        let paths = paths.map(|file| Origin::file(root, file)).collect();
        Self {
            config: config.clone(),
            name: format!("{} pairs in {}", train.len(), root.display()),
            images: Images::new(Origin::Files(paths), config),
            files,
            sequences: followed,
            train,
            validation,
            listing,
        }
    }

    /// The first of `frames` consecutive pairs that pair `number` is one of; none for a still among
    /// sequences.
    fn first_of(&self, number: usize, frames: usize) -> Option<usize> {
        let sequence = &self.sequences[number];
        let whole = |first: &usize| {
            let run = self.sequences.get(*first..first + frames);
            run.is_some_and(|run| run.iter().all(|s| s == sequence))
        };
        let earliest = (number + 1).saturating_sub(frames);
        (earliest..=number).rev().find(whole)
    }

    /// Both pictures of pair `number`, of one size.
    fn both(&self, number: usize) -> anyhow::Result<(Arc<Photo>, Arc<Photo>)> {
        let (input, truth) = (
            self.images.get(2 * number)?,
            self.images.get(2 * number + 1)?,
        );
        self.fit(number, input, truth)
            .map_err(|error| self.images.refuse(2 * number, error))
    }

    /// These pictures of pair `number`, made one size.
    fn fit(
        &self,
        number: usize,
        input: Arc<Photo>,
        truth: Arc<Photo>,
    ) -> anyhow::Result<(Arc<Photo>, Arc<Photo>)> {
        // The files' sizes say whether they fit: each side that is made smaller is rounded down by itself.
        let files = &self.files[number];
        for (photo, file) in [&input, &truth].into_iter().zip(files) {
            let expected = [file.width, file.height].map(|side| self.images.reduced(side));
            ensure!(
                expected == [photo.width, photo.height],
                "{} has changed its size since it was indexed: run `hone data index` again",
                file.path
            );
        }
        let [small, large] = files;
        ensure!(
            large.width.is_multiple_of(small.width)
                && large.height.is_multiple_of(small.height)
                && large.width / small.width == large.height / small.height,
            "{} and {} are no pair: they have {}x{} and {}x{} pixels",
            small.path,
            large.path,
            small.width,
            small.height,
            large.width,
            large.height
        );
        if (input.width, input.height) == (truth.width, truth.height) {
            return Ok((input, truth));
        }
        let enlarged = resize::bicubic(&input, truth.width, truth.height);
        Ok((Arc::new(enlarged), truth))
    }
}

impl Adjustable for PairsSource {
    fn config(&mut self) -> &mut DataConfig {
        &mut self.config
    }
}

impl PairSource for PairsSource {
    fn sequence(
        &self,
        seed: u64,
        index: u64,
        crop: usize,
        frames: usize,
    ) -> anyhow::Result<Vec<Pair>> {
        for attempt in 0..ATTEMPTS {
            let turn = shuffled(seed, index.wrapping_add(attempt), self.train.len());
            let number = self.train[turn];
            let Some(first) = self.first_of(number, frames) else {
                continue;
            };
            let both = (first..first + frames).map(|n| self.both(n));
            let Ok(both) = both.collect::<anyhow::Result<Vec<_>>>() else {
                continue;
            };
            let mut rng = stream(&[seed, index, attempt]);
            let place = place(&both[0].1, crop, self.config.min_sharpness, &mut rng);
            let jitter = Jitter::draw(&mut rng, self.config.jitter);
            let symmetry = Symmetry::draw(&mut rng, self.config.flips);
            let cut = |photo: Arc<Photo>| {
                let mut picture = photo.window(place.0, place.1, crop, crop);
                jitter.apply(&mut picture);
                symmetry.apply(&mut picture);
                picture
            };
            let pairs = both.into_iter().map(|(input, truth)| Pair {
                input: cut(input),
                truth: cut(truth),
            });
            return Ok(pairs.collect());
        }
        if frames > 1 {
            bail!(
                "none of {ATTEMPTS} pairs in a row is one of {frames} frames that can be read: {NEEDED}"
            );
        }
        bail!("none of {ATTEMPTS} pairs in a row can be read")
    }

    fn validation(&self) -> anyhow::Result<Vec<Pair>> {
        let sequences = self.validation_sequences(1)?;
        Ok(sequences.into_iter().flatten().collect())
    }

    fn validation_sequences(&self, frames: usize) -> anyhow::Result<Vec<Vec<Pair>>> {
        let mut sequences = Vec::new();
        for i in spread(self.validation.len(), self.config.validation_images) {
            let number = self.validation[i];
            let Some(first) = self.first_of(number, frames) else {
                continue;
            };
            let both = (first..first + frames).map(|n| self.both(n));
            let Ok(both) = both.collect::<anyhow::Result<Vec<_>>>() else {
                continue;
            };
            let middle = |(input, truth): (Arc<Photo>, Arc<Photo>)| {
                let area = Area::middle(&truth, self.config.validation_crop);
                Pair {
                    input: area.of(&input),
                    truth: area.of(&truth),
                }
            };
            sequences.push(both.into_iter().map(middle).collect());
        }
        if sequences.is_empty() && frames > 1 && !self.validation.is_empty() {
            bail!("no {frames} consecutive frames are left for validation: {NEEDED}");
        }
        if sequences.is_empty() {
            bail!(Listing::none_left(Some(&self.listing)));
        }
        Ok(sequences)
    }

    fn fingerprint(&self) -> anyhow::Result<String> {
        let both: Vec<usize> = self.train.iter().flat_map(|n| [2 * n, 2 * n + 1]).collect();
        self.images.fingerprint(&both, std::iter::empty())
    }

    fn listing(&self) -> Option<&str> {
        Some(self.listing.sha256())
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
