//! Pairs of degraded and sharp pictures to evaluate on: from folders, an index, or a video.
//!
//! Pictures are loaded one pair at a time, so that a set may be larger than memory; the frames of a video are kept, and
//! bounded.

mod learnt;
mod open;
mod usable;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::data::degrade::{Degradation, resize};
use crate::data::index::whole_factor;
use crate::data::photo::Photo;
use crate::data::random::stream;
use crate::data::read;
use crate::picture::Picture;
pub use learnt::Learnt;
pub use open::Opened;

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
    /// Draws the parameters: a picture always gets the same ones, by its place in the data.
    pub seed: u64,
    /// Whether the user named the steps: a recipe's are no answer to pairs that do not match.
    pub asked_for: bool,
}

#[derive(Debug, Clone)]
enum Item {
    Loaded(Arc<Pair>),
    Files {
        name: String,
        input: Option<PathBuf>,
        truth: PathBuf,
        place: u64,
    },
    Frame {
        name: String,
        truth: Arc<Photo>,
        place: u64,
    },
}

impl Item {
    /// The file of the sharp picture.
    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Files { truth, .. } => std::fs::canonicalize(truth).ok(),
            Self::Loaded(_) | Self::Frame { .. } => None,
        }
    }

    fn is_of(&self, files: &BTreeSet<PathBuf>) -> bool {
        !files.is_empty() && self.file().is_some_and(|file| files.contains(&file))
    }

    /// The picture's place in the data, before any was left out: its degradation is drawn by that, so that
    /// evaluations of more and of fewer pictures compare picture by picture.
    fn place(&mut self) -> Option<&mut u64> {
        match self {
            Self::Loaded(_) => None,
            Self::Files { place, .. } | Self::Frame { place, .. } => Some(place),
        }
    }
}

/// Which of more pictures are evaluated.
#[derive(Debug, Clone, Copy)]
pub enum Take {
    /// At most so many, spread evenly.
    Spread(usize),
    /// At most the first so many: frames that follow each other.
    First(usize),
}

impl Take {
    fn count(self) -> usize {
        match self {
            Self::Spread(count) | Self::First(count) => count,
        }
    }

    fn of(self, mut items: Vec<Item>) -> Vec<Item> {
        match self {
            Self::Spread(count) => spread(items, count),
            Self::First(count) => {
                items.truncate(count);
                items
            }
        }
    }
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
        let items = pairs.into_iter().map(|pair| Item::Loaded(Arc::new(pair)));
        Self::new(items.collect(), None)
    }
}

impl PairSet {
    fn new(items: Vec<Item>, camera: Option<Camera>) -> Self {
        Self {
            items,
            camera,
            sequence: false,
        }
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

    /// At most `limit` of the pairs to tune on, spread evenly. Their degradations are drawn anew, by their place
    /// among these: published masks were tuned so.
    #[must_use]
    pub fn limited(self, limit: usize) -> Self {
        let mut items = spread(self.items, limit);
        for (i, item) in (0..).zip(&mut items) {
            if let Some(place) = item.place() {
                *place = i;
            }
        }
        Self { items, ..self }
    }

    /// The pairs whose sharp picture is not among those of `others`.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        let others = others.items.iter().filter_map(Item::file).collect();
        self.items.retain(|item| !item.is_of(&others));
        self
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether a camera degrades any of them: the others bring their degraded picture.
    pub fn uses_camera(&self) -> bool {
        let used =
            |item: &Item| matches!(item, Item::Frame { .. } | Item::Files { input: None, .. });
        self.items.iter().any(used)
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
            Item::Loaded(pair) => Ok(Pair::clone(pair)),
            Item::Frame { name, truth, place } => self.degraded(*place, name, truth),
            Item::Files {
                name,
                input: None,
                truth,
                place,
            } => self.degraded(*place, name, &read::photo(truth)?),
            Item::Files {
                name,
                input: Some(input),
                truth,
                ..
            } => {
                let (small, sharp) = (read::photo(input)?, read::photo(truth)?);
                let sides = |photo: &Photo| (photo.width, photo.height);
                let Some(times) = whole_factor(sides(&small), sides(&sharp)) else {
                    bail!("{} and {} differ in size", input.display(), truth.display());
                };
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
    fn degraded(&self, place: u64, name: &str, truth: &Photo) -> anyhow::Result<Pair> {
        let camera = self.camera.as_ref().context("there is no degradation")?;
        let margin = camera.degradation.margin();
        let (height, width) = (truth.height + 2 * margin, truth.width + 2 * margin);
        let shift = -isize::try_from(margin)?;
        let seen = truth.window(shift, shift, height, width);
        let mut random = stream(&[camera.seed, place]);
        let degraded = camera.degradation.apply(&seen, &mut random)?;
        Ok(Pair {
            name: name.to_owned(),
            input: degraded.crop(margin, margin, truth.height, truth.width),
            truth: truth.picture(),
        })
    }
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
mod tests;
