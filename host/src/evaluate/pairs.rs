//! Pairs of degraded and sharp pictures to evaluate on: from folders, an index, or a video.
//!
//! Pictures are loaded one pair at a time, so that a set may be larger than memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::data::config::Layout;
use crate::data::degrade::{Degradation, resize};
use crate::data::index::{self, Index, Split};
use crate::data::photo::Photo;
use crate::data::random::stream;
use crate::data::read;
use crate::picture::Picture;
use crate::restore::{paired_images, video};

/// A degraded picture and the truth, RGB, of one size.
#[derive(Debug, Clone)]
pub struct Pair {
    /// File stem, or number of a frame.
    pub name: String,
    /// The degraded picture.
    pub input: Picture,
    /// The sharp picture.
    pub truth: Picture,
}

/// What degrades sharp pictures that bring no degraded partner.
#[derive(Debug, Clone)]
pub struct Camera {
    /// The steps.
    pub degradation: Degradation,
    /// Draws the parameters: picture `i` always gets the same ones.
    pub seed: u64,
}

#[derive(Debug, Clone)]
enum Item {
    Loaded(Pair),
    Files {
        name: String,
        input: Option<PathBuf>,
        truth: PathBuf,
    },
    Frame {
        name: String,
        truth: Photo,
    },
}

/// Pairs in order.
#[derive(Debug, Clone)]
pub struct PairSet {
    items: Vec<Item>,
    camera: Option<Camera>,
    sequence: bool,
}

impl From<Vec<Pair>> for PairSet {
    fn from(pairs: Vec<Pair>) -> Self {
        Self::new(pairs.into_iter().map(Item::Loaded).collect(), None)
    }
}

/// The pictures to evaluate on, and those for tuning a baseline, where the data tell them apart.
#[derive(Debug)]
pub struct Opened {
    /// Evaluated.
    pub evaluated: PairSet,
    /// Training pictures.
    pub training: Option<PairSet>,
}

impl PairSet {
    fn new(items: Vec<Item>, camera: Option<Camera>) -> Self {
        Self {
            items,
            camera,
            sequence: false,
        }
    }

    /// Pairs the pictures of two folders by file stem; at most `limit`, spread evenly.
    ///
    /// # Errors
    /// When a folder cannot be read or a picture has no partner.
    pub fn folders(input: &Path, truth: &Path, limit: usize) -> anyhow::Result<Self> {
        let items = paired_images(input, truth)?
            .into_iter()
            .map(|(input, truth)| Item::Files {
                name: stem(&input),
                input: Some(input),
                truth,
            });
        Ok(Self::new(spread(items.collect(), limit), None))
    }

    /// Opens `data`: a folder, an index file, or a video whose frames are the truth.
    ///
    /// In a folder, `val/{blur,sharp}` (or `{input,target}`, `{lq,gt}`) is evaluated and `train` is
    /// for tuning; any other tree is read as `hone data index` reads it: its test pictures, else its
    /// validation pictures, else all of them. Sharp pictures are degraded by `camera`. At most
    /// `limit` pictures, spread evenly; of a video, its first frames.
    ///
    /// # Errors
    /// When there is nothing to evaluate on, or sharp pictures come without a camera.
    pub fn open(data: &Path, camera: Option<&Camera>, limit: usize) -> anyhow::Result<Opened> {
        if data.is_file() && video::is_video(data) {
            let evaluated = Self::video(data, camera, limit)?;
            return Ok(Opened {
                evaluated,
                training: None,
            });
        }
        let lying = data.join(index::FILE_NAME);
        let (index, root) = if data.is_file() {
            let root = data.parent().unwrap_or(Path::new("."));
            (Index::load(data)?, root.to_owned())
        } else if lying.is_file() {
            (Index::load(&lying)?, data.to_owned())
        } else {
            let split = |name: &str| {
                let (input, truth) = split_folders(data, name)?;
                Some(Self::folders(&input, &truth, limit))
            };
            if let Some(evaluated) = split("val") {
                return Ok(Opened {
                    evaluated: evaluated?,
                    training: split("train").transpose()?,
                });
            }
            let index = index::scan(data, Layout::Auto, 0, 0.0, false)
                .with_context(|| format!("cannot use {} as data", data.display()))?;
            (index, data.to_owned())
        };
        Self::indexed(&index, &root, camera, limit)
    }

    fn indexed(
        index: &Index,
        root: &Path,
        camera: Option<&Camera>,
        limit: usize,
    ) -> anyhow::Result<Opened> {
        let set = |wanted: Option<Split>| -> anyhow::Result<Self> {
            let entries = index.entries.iter();
            let entries = entries.filter(|e| wanted.is_none_or(|split| e.split == split));
            let items: Vec<Item> = entries
                .map(|e| Item::Files {
                    name: stem(Path::new(&e.truth.path)),
                    input: e.input.as_ref().map(|i| root.join(&i.path)),
                    truth: root.join(&e.truth.path),
                })
                .collect();
            let sharp = |item: &Item| matches!(item, Item::Files { input: None, .. });
            if items.iter().any(sharp) {
                let camera = camera.with_context(|| {
                    format!(
                        "{} holds sharp pictures only: say with --degrade what the camera does",
                        root.display()
                    )
                })?;
                check(camera)?;
            }
            Ok(Self::new(spread(items, limit), camera.cloned()))
        };
        let used = [Split::Test, Split::Validation];
        let used = used.into_iter().find(|split| index.count(*split) > 0);
        let evaluated = set(used)?;
        ensure!(
            !evaluated.items.is_empty(),
            "{} holds no picture to evaluate on",
            root.display()
        );
        let training = (used.is_some() && index.count(Split::Train) > 0)
            .then(|| set(Some(Split::Train)))
            .transpose()?;
        Ok(Opened {
            evaluated,
            training,
        })
    }

    fn video(path: &Path, camera: Option<&Camera>, limit: usize) -> anyhow::Result<Self> {
        let camera = camera.with_context(|| {
            format!(
                "the frames of {} are the truth: say with --degrade what the camera does",
                path.display()
            )
        })?;
        check(camera)?;
        let mut reader = video::Reader::open(path)?;
        let format = reader.format();
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(frame) = reader.next_frame()?
        {
            items.push(Item::Frame {
                name: format!("frame {}", items.len()),
                truth: Photo::from_picture(&frame.to_picture(&format)),
            });
        }
        ensure!(!items.is_empty(), "{} holds no frame", path.display());
        Ok(Self::new(items, Some(camera.clone())).as_sequence())
    }

    /// The same pairs, taken for consecutive frames: flicker and repeated frames are measured too.
    #[must_use]
    pub fn as_sequence(self) -> Self {
        Self {
            sequence: true,
            ..self
        }
    }

    /// Whether the pairs are consecutive frames.
    pub fn is_sequence(&self) -> bool {
        self.sequence
    }

    /// At most `limit` of the pairs, spread evenly.
    #[must_use]
    pub fn limited(self, limit: usize) -> Self {
        Self {
            items: spread(self.items, limit),
            ..self
        }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Names of the pairs, in order.
    pub fn names(&self) -> Vec<String> {
        let name = |item: &Item| match item {
            Item::Loaded(pair) => pair.name.clone(),
            Item::Files { name, .. } | Item::Frame { name, .. } => name.clone(),
        };
        self.items.iter().map(name).collect()
    }

    /// Loads pair `i`. A degraded picture that is smaller by a whole factor is enlarged bicubically.
    ///
    /// # Errors
    /// When a picture cannot be read, the two do not fit each other, or degrading fails.
    pub fn get(&self, i: usize) -> anyhow::Result<Pair> {
        let item = self.items.get(i);
        match item.with_context(|| format!("there is no pair {i}"))? {
            Item::Loaded(pair) => Ok(pair.clone()),
            Item::Frame { name, truth } => self.degraded(i, name, truth),
            Item::Files {
                name,
                input: None,
                truth,
            } => self.degraded(i, name, &read::photo(truth)?),
            Item::Files {
                name,
                input: Some(input),
                truth,
            } => {
                let (small, sharp) = (read::photo(input)?, read::photo(truth)?);
                let times = sharp.width / small.width.max(1);
                let fits = (1..=4).contains(&times)
                    && (small.width * times, small.height * times) == (sharp.width, sharp.height);
                if !fits {
                    bail!("{} and {} differ in size", input.display(), truth.display());
                }
                let input = match times {
                    1 => small,
                    _ => resize::bicubic(&small, sharp.width, sharp.height),
                };
                Ok(Pair {
                    name: name.clone(),
                    input: input.picture(),
                    truth: sharp.picture(),
                })
            }
        }
    }

    /// The degradation sees mirrored pixels beyond the border, so that the border is degraded as the
    /// middle is.
    fn degraded(&self, i: usize, name: &str, truth: &Photo) -> anyhow::Result<Pair> {
        let camera = self.camera.as_ref().context("there is no degradation")?;
        let margin = camera.degradation.margin();
        let (height, width) = (truth.height + 2 * margin, truth.width + 2 * margin);
        let shift = -isize::try_from(margin)?;
        let seen = truth.window(shift, shift, height, width);
        let mut random = stream(&[camera.seed, i as u64]);
        let degraded = camera.degradation.apply(&seen, &mut random)?;
        Ok(Pair {
            name: name.to_owned(),
            input: degraded.crop(margin, margin, truth.height, truth.width),
            truth: truth.picture(),
        })
    }
}

fn check(camera: &Camera) -> anyhow::Result<()> {
    ensure!(
        camera.degradation.frames().is_none(),
        "averaging frames is for training data: evaluate on the pairs that `hone data synth` writes"
    );
    Ok(())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `ROOT/SPLIT/{blur,sharp}`, or `ROOT/{blur,sharp}` for `val`; `input` and `target` (GoPro as MPRNet
/// packs it) or `lq` and `gt` do as well.
fn split_folders(root: &Path, split: &str) -> Option<(PathBuf, PathBuf)> {
    let bare = (split == "val").then(|| root.to_owned());
    for base in std::iter::once(root.join(split)).chain(bare) {
        for (input, truth) in [("blur", "sharp"), ("input", "target"), ("lq", "gt")] {
            let (input, truth) = (base.join(input), base.join(truth));
            if input.is_dir() && truth.is_dir() {
                return Some((input, truth));
            }
        }
    }
    None
}

/// At most `limit` items, evenly spread.
fn spread(items: Vec<Item>, limit: usize) -> Vec<Item> {
    let (total, count) = (items.len(), limit.clamp(1, items.len().max(1)));
    let mut kept = Vec::with_capacity(count);
    for (i, item) in items.into_iter().enumerate() {
        if i * count / total != (i + 1) * count / total {
            kept.push(item);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(folder: &Path, names: &[&str], side: usize) {
        for (i, name) in names.iter().enumerate() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::data::synth::scene(i as u64, 0, side, side)
                .save(&path)
                .unwrap();
        }
    }

    fn camera(text: &str) -> Camera {
        Camera {
            degradation: text.parse().unwrap(),
            seed: 3,
        }
    }

    #[test]
    fn sharp_folders_are_degraded_always_alike() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &["a.png", "b.png", "c.png"], 40);
        let camera = camera("gaussian:sigma=1..2 + noise:shot=0.001");
        let opened = PairSet::open(folder.path(), Some(&camera), 2).unwrap();
        let set = opened.evaluated;
        assert_eq!((set.len(), opened.training.is_none()), (2, true));
        let pair = set.get(1).unwrap();
        assert_eq!((pair.input.width, pair.truth.width), (40, 40));
        assert_ne!(pair.input, pair.truth);
        assert_eq!(set.get(1).unwrap().input, pair.input);
        let error = PairSet::open(folder.path(), None, 9).unwrap_err();
        assert!(error.to_string().contains("--degrade"), "{error}");
        let missing = folder.path().join("nothing");
        assert!(PairSet::open(&missing, None, 9).is_err());
    }

    #[test]
    fn splits_and_enlarged_inputs_are_found() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &["val/lq/x.png", "train/lq/y.png"], 20);
        save(folder.path(), &["val/gt/x.png", "train/gt/y.png"], 40);
        let opened = PairSet::open(folder.path(), None, 9).unwrap();
        assert_eq!(opened.evaluated.names(), ["x"]);
        assert_eq!(opened.training.unwrap().names(), ["y"]);
        let pair = opened.evaluated.get(0).unwrap();
        assert_eq!((pair.input.height, pair.input.width), (40, 40));
        save(folder.path(), &["val/lq/x.png"], 21);
        let error = opened.evaluated.get(0).unwrap_err().to_string();
        assert!(error.contains("differ in size"), "{error}");
    }
}
