//! Pairs that lie on disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use super::augment::{Area, Jitter, Symmetry, place};
use super::files::Origin;
use super::{Images, Pair, PairSource, spread};
use crate::data::config::DataConfig;
use crate::data::degrade::resize;
use crate::data::index::{Index, Split};
use crate::data::photo::Photo;
use crate::data::random::{shuffled, stream};

const ATTEMPTS: u64 = 64;
const NEEDED: &str = "temporal students need consecutive frames in the order of their names, as GoPro has \
                      them, or sharp pictures with a degradation";

pub(super) struct PairsSource {
    config: DataConfig,
    /// Picture `2n` is the input, `2n + 1` the truth of pair `n`.
    images: Images,
    /// The sequence each pair belongs to.
    groups: Vec<String>,
    train: Vec<usize>,
    validation: Vec<usize>,
    name: String,
}

impl PairsSource {
    pub(super) fn new(config: &DataConfig, root: &Path, index: Index) -> Self {
        let (mut paths, mut groups) = (Vec::new(), Vec::new());
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for entry in index.entries {
            let Some(input) = entry.input else { continue };
            let number = paths.len() / 2;
            match entry.split {
                Split::Train => train.push(number),
                Split::Validation => validation.push(number),
                Split::Test => {}
            }
            groups.push(entry.group);
            paths.push(Origin::file(root, input));
            paths.push(Origin::file(root, entry.truth));
        }
        Self {
            config: config.clone(),
            name: format!("{} pairs in {}", train.len(), root.display()),
            images: Images::new(Origin::Files(paths), config),
            groups,
            train,
            validation,
        }
    }

    /// The first of `frames` consecutive pairs that pair `number` is one of; none for a still among
    /// sequences.
    fn first_of(&self, number: usize, frames: usize) -> Option<usize> {
        let group = &self.groups[number];
        let whole = |first: &usize| {
            let run = self.groups.get(*first..first + frames);
            run.is_some_and(|run| run.iter().all(|g| g == group))
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
            if self.images.is_bad(number) {
                continue;
            }
            let Some(first) = self.first_of(number, frames) else {
                continue;
            };
            let both = (first..first + frames).map(|n| self.both(n));
            let both = match both.collect::<anyhow::Result<Vec<_>>>() {
                Ok(both) => both,
                Err(error) => {
                    self.images.report(number, &error);
                    continue;
                }
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
            match both.collect::<anyhow::Result<Vec<_>>>() {
                Ok(both) => {
                    let middle = |(input, truth): (Arc<Photo>, Arc<Photo>)| {
                        let area = Area::middle(&truth, self.config.validation_crop);
                        Pair {
                            input: area.of(&input),
                            truth: area.of(&truth),
                        }
                    };
                    sequences.push(both.into_iter().map(middle).collect());
                }
                Err(error) => self.images.report(number, &error),
            }
        }
        if sequences.is_empty() && frames > 1 {
            bail!("no {frames} consecutive frames are left for validation: {NEEDED}");
        }
        if sequences.is_empty() {
            bail!("no pair is left for validation: raise [data] validation or add a 'val' folder");
        }
        Ok(sequences)
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

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::data::config::Layout;
    use crate::data::index;
    use crate::picture::Picture;

    fn flat(path: &Path, value: u8, side: usize) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut picture = Picture::new(3, side, side);
        picture.data.fill(f32::from(value) / 255.0);
        // Noise, so that lengths tell the files apart as they do those of photographs.
        let mut rng = stream(&[u64::from(value)]);
        for v in &mut picture.data[..5 * usize::from(value)] {
            *v = f32::from(rng.random_range(0..value)) / 255.0;
        }
        picture.save(path).unwrap();
    }

    #[test]
    fn consecutive_pairs_make_sequences_and_single_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        // The last one is a still: it comes in no sequence.
        for (clip, frames) in [("one", 4), ("two", 3), ("three", 1)] {
            for i in 0..frames {
                let value = match clip {
                    "one" => 20 + i,
                    "two" => 120 + i,
                    _ => 70,
                };
                for (role, more) in [("blur", 0), ("sharp", 40)] {
                    let path = folder
                        .path()
                        .join(format!("train/{clip}/{role}/{i:06}.png"));
                    flat(&path, value + more, 40);
                }
            }
        }
        let config = DataConfig {
            root: Some(folder.path().to_owned()),
            layout: Layout::Pairs,
            validation: 0.0,
            flips: false,
            ..DataConfig::default()
        };
        let source = super::super::open(&config, Path::new("")).unwrap();
        let value = |p: &Picture| (p.data.iter().fold(0.0_f32, |a, &v| a.max(v)) * 255.0).round();
        for index in 0..20 {
            let frames = source.sequence(3, index, 16, 3).unwrap();
            let inputs: Vec<f32> = frames.iter().map(|f| value(&f.input)).collect();
            assert_eq!(
                [inputs[0] + 1.0, inputs[0] + 2.0],
                inputs[1..],
                "patch {index}"
            );
            assert!(
                frames
                    .iter()
                    .all(|f| value(&f.truth) == value(&f.input) + 40.0)
            );
        }
        let error = source.sequence(3, 0, 16, 5).unwrap_err().to_string();
        assert!(error.contains("consecutive frames"), "{error}");
    }

    #[test]
    fn bad_files_are_skipped_and_pairs_are_never_mixed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |role: &str, i: u8| folder.path().join(format!("train/{role}/{i}.png"));
        for i in 0..8 {
            flat(&at("blur", i), 10 * i + 20, 40);
            flat(&at("sharp", i), 10 * i + 25, 40);
        }
        let config = DataConfig {
            root: Some(folder.path().to_owned()),
            layout: Layout::Pairs,
            crop: 16,
            jitter: 0.0,
            ..DataConfig::default()
        };
        let index = index::scan(folder.path(), Layout::Auto, 0, 0.0, true).unwrap();
        index.save(&folder.path().join(index::FILE_NAME)).unwrap();
        // What may happen between indexing and three in the morning.
        let whole = std::fs::read(at("blur", 1)).unwrap();
        std::fs::write(at("blur", 1), &whole[..whole.len() - 20]).unwrap();
        std::fs::write(at("sharp", 2), b"").unwrap();
        std::fs::remove_file(at("blur", 3)).unwrap();
        std::fs::copy(at("blur", 7), at("blur", 4)).unwrap();
        flat(&at("sharp", 5), 75, 20);

        let source = super::super::open(&config, Path::new("")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..60 {
            let pair = source.patch(1, i, 16).unwrap();
            let value =
                |p: &Picture| (p.data.iter().fold(0.0_f32, |a, &v| a.max(v)) * 255.0).round() as u8;
            let (input, truth) = (value(&pair.input), value(&pair.truth));
            assert_eq!(input + 5, truth, "patch {i}");
            seen.insert(input);
        }
        assert_eq!(seen, [20, 80, 90].into());
        assert_eq!(source.skipped(), 5);
    }
}
