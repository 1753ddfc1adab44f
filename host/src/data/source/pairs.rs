//! Pairs that lie on disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use rand::Rng;

use super::augment::{Jitter, Symmetry, sharpness};
use super::files::Origin;
use super::{Images, Pair, PairSource, spread};
use crate::data::config::DataConfig;
use crate::data::degrade::resize;
use crate::data::index::{Index, Split};
use crate::data::photo::Photo;
use crate::data::random::{shuffled, stream};

const ATTEMPTS: u64 = 64;

pub(super) struct PairsSource {
    config: DataConfig,
    /// Picture `2n` is the input, `2n + 1` the truth of pair `n`.
    images: Images,
    train: Vec<usize>,
    validation: Vec<usize>,
    name: String,
}

impl PairsSource {
    pub(super) fn new(config: &DataConfig, root: &Path, index: Index) -> Self {
        let mut paths = Vec::new();
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for entry in index.entries {
            let Some(input) = entry.input else { continue };
            let number = paths.len() / 2;
            match entry.split {
                Split::Train => train.push(number),
                Split::Validation => validation.push(number),
                Split::Test => {}
            }
            paths.push(root.join(input.path));
            paths.push(root.join(entry.truth.path));
        }
        Self {
            config: config.clone(),
            name: format!("{} pairs in {}", train.len(), root.display()),
            images: Images::new(Origin::Files(paths), config),
            train,
            validation,
        }
    }

    /// Both pictures of pair `number`, of one size.
    fn both(&self, number: usize) -> anyhow::Result<(Arc<Photo>, Arc<Photo>)> {
        let (input, truth) = (
            self.images.get(2 * number)?,
            self.images.get(2 * number + 1)?,
        );
        let size = |p: &Photo| (p.width, p.height);
        if size(&input) == size(&truth) {
            return Ok((input, truth));
        }
        if truth.width.is_multiple_of(input.width)
            && truth.width / input.width == truth.height / input.height
            && truth.height.is_multiple_of(input.height)
        {
            let enlarged = resize::bicubic(&input, truth.width, truth.height);
            return Ok((Arc::new(enlarged), truth));
        }
        bail!(
            "pair {number}: sizes differ, {}x{} and {}x{}",
            input.width,
            input.height,
            truth.width,
            truth.height
        )
    }
}

impl PairSource for PairsSource {
    fn patch(&self, seed: u64, index: u64, crop: usize) -> anyhow::Result<Pair> {
        for attempt in 0..ATTEMPTS {
            let turn = shuffled(seed, index.wrapping_add(attempt), self.train.len());
            let number = self.train[turn];
            if self.images.is_bad(number) {
                continue;
            }
            let (input, truth) = match self.both(number) {
                Ok(both) => both,
                Err(error) => {
                    self.images.report(number, &error);
                    continue;
                }
            };
            let mut rng = stream(&[seed, index, attempt]);
            let mut draw = || {
                let top = rng.random_range(0..=truth.height.saturating_sub(crop)) as isize;
                let left = rng.random_range(0..=truth.width.saturating_sub(crop)) as isize;
                (top, left)
            };
            let mut place = draw();
            if self.config.min_sharpness > 0.0 {
                let score = |(top, left)| sharpness(&truth.window(top, left, crop, crop));
                let mut best = score(place);
                for _ in 0..8 {
                    if best >= self.config.min_sharpness {
                        break;
                    }
                    let other = draw();
                    let score = score(other);
                    if score > best {
                        (best, place) = (score, other);
                    }
                }
            }
            let jitter = Jitter::draw(&mut rng, self.config.jitter);
            let symmetry = Symmetry::draw(&mut rng, self.config.flips);
            let [input, truth] = [input, truth].map(|photo| {
                let mut picture = photo.window(place.0, place.1, crop, crop);
                jitter.apply(&mut picture);
                symmetry.apply(&mut picture);
                picture
            });
            return Ok(Pair { input, truth });
        }
        bail!("none of {ATTEMPTS} pairs in a row can be read")
    }

    fn validation(&self) -> anyhow::Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for i in spread(self.validation.len(), self.config.validation_images) {
            let number = self.validation[i];
            let (input, truth) = match self.both(number) {
                Ok(both) => both,
                Err(error) => {
                    self.images.report(number, &error);
                    continue;
                }
            };
            let height = truth.height.min(self.config.validation_crop);
            let width = truth.width.min(self.config.validation_crop);
            let top = ((truth.height - height) / 2) as isize;
            let left = ((truth.width - width) / 2) as isize;
            pairs.push(Pair {
                input: input.window(top, left, height, width),
                truth: truth.window(top, left, height, width),
            });
        }
        if pairs.is_empty() {
            bail!("no pair is left for validation: raise [data] validation or add a 'val' folder");
        }
        Ok(pairs)
    }

    fn fingerprint(&self) -> anyhow::Result<String> {
        let both: Vec<usize> = self.train.iter().flat_map(|n| [2 * n, 2 * n + 1]).collect();
        self.images.fingerprint(&both, std::iter::empty())
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
