//! Where batches come from: the loader, or anything else that gives the same batch for a step.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hone_shared::student::Colour;
use tch::{Device, Tensor};

use super::guide::{Guidance, to_colour};
use super::validate::ValidationPair;
use crate::data::loader::{Loader, LoaderConfig};
use crate::data::pool::{Pool, Walk};
use crate::data::source::{Pair, PairSource};
use crate::picture::Picture;
use crate::recipe::Stage;

/// Degraded and true patches, `[N,C,H,W]` in 0..1 each; of a sequence `[N,frames * C,H,W]`, oldest
/// first. A feed's lie in the processor's memory: a GPU gets them piece by piece, as it has room for them.
#[derive(Debug)]
pub struct TrainBatch {
    /// What the network gets.
    pub input: Tensor,
    /// What it should give.
    pub truth: Tensor,
    /// What the teacher says, when it was asked before.
    pub guidance: Option<Guidance>,
}

impl TrainBatch {
    /// `count` patches from `first` on, on `device`.
    pub fn narrow(&self, first: i64, count: i64, device: Device) -> Self {
        let part = |t: &Tensor| t.narrow(0, first, count).to_device(device);
        Self {
            input: part(&self.input),
            truth: part(&self.truth),
            guidance: self.guidance.as_ref().map(|g| Guidance {
                output: part(&g.output),
                features: g
                    .features
                    .iter()
                    .map(|(n, m)| (n.clone(), part(m)))
                    .collect(),
            }),
        }
    }
}

/// Batches in order.
pub trait Feed {
    /// The next batch.
    ///
    /// # Errors
    /// When a picture cannot be read.
    fn next(&mut self) -> Result<TrainBatch>;
}

/// Opens feeds; a feed's n-th batch must depend on `stage`, its number and `first + n` only.
pub trait FeedSource {
    /// The feed of stage number `index` from its batch `first` on.
    ///
    /// # Errors
    /// When the data cannot be opened.
    fn open(&self, index: usize, stage: &Stage, first: u64) -> Result<Box<dyn Feed>>;
}

/// Feeds from a data set.
pub struct DataFeed {
    /// The pictures.
    pub source: Arc<dyn PairSource>,
    /// The recipe's seed.
    pub seed: u64,
    /// Planes to load.
    pub colour: Colour,
    /// Consecutive frames in a patch, at least 1.
    pub frames: usize,
    /// Threads that prepare batches.
    pub workers: usize,
}

struct LoaderFeed(Loader);

impl Feed for LoaderFeed {
    fn next(&mut self) -> Result<TrainBatch> {
        let batch = self.0.next()?;
        Ok(TrainBatch {
            input: batch.input,
            truth: batch.truth,
            guidance: batch.teacher.map(|output| Guidance {
                output,
                features: batch.features,
            }),
        })
    }
}

impl FeedSource for DataFeed {
    fn open(&self, index: usize, stage: &Stage, first: u64) -> Result<Box<dyn Feed>> {
        let config = LoaderConfig {
            seed: stage_seed(self.seed, index),
            crop: stage.crop,
            batch: stage.batch,
            colour: self.colour,
            frames: self.frames,
            workers: self.workers,
            first_step: first,
        };
        let loader = Loader::new(Arc::clone(&self.source), config)?;
        Ok(Box::new(LoaderFeed(loader)))
    }
}

/// Feeds from a pool of `hone teacher cache`.
pub struct PoolFeed {
    /// The pool.
    pub pool: Arc<Pool>,
    /// The recipe's seed: the order of the patches and their flips.
    pub seed: u64,
    /// Whether patches are flipped and turned.
    pub flips: bool,
    /// Whether the teacher's answers are wanted.
    pub guided: bool,
    /// Threads that prepare batches.
    pub workers: usize,
}

impl FeedSource for PoolFeed {
    fn open(&self, index: usize, stage: &Stage, first: u64) -> Result<Box<dyn Feed>> {
        let walk = Walk {
            seed: stage_seed(self.seed, index),
            crop: stage.crop,
            batch: stage.batch,
            flips: self.flips,
            guided: self.guided,
        };
        let pool = Arc::clone(&self.pool);
        let make = move |step| pool.batch(walk, step);
        let loader = Loader::start(Arc::new(make), self.workers, first)?;
        Ok(Box::new(LoaderFeed(loader)))
    }
}

/// Stages must not repeat each other's patches.
fn stage_seed(seed: u64, index: usize) -> u64 {
    seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The validation pictures in `colour` on `device`, each the last of `frames` consecutive ones.
///
/// # Errors
/// When there are none, one cannot be read, or one is smaller than the SSIM window.
pub fn validation_pairs(
    source: &dyn PairSource,
    colour: Colour,
    frames: usize,
    device: Device,
) -> Result<Vec<ValidationPair>> {
    let sequences = match frames {
        1 => source
            .validation()
            .map(|pairs| pairs.into_iter().map(|pair| vec![pair]).collect()),
        _ => source.validation_sequences(frames),
    };
    let sequences: Vec<Vec<Pair>> = sequences.context("cannot read the validation pictures")?;
    ensure!(!sequences.is_empty(), "the data has no validation pictures");
    let tensor = |picture: &Picture| {
        let fits = picture.height >= 11 && picture.width >= 11;
        ensure!(fits, "a validation picture is smaller than 11 x 11 pixels");
        let size = [1, picture.channels, picture.height, picture.width].map(|s| s as i64);
        let tensor = Tensor::f_from_slice(&picture.data)?.reshape(size);
        Ok(to_colour(&tensor, colour).to_device(device))
    };
    let pair = |sequence: &Vec<Pair>| {
        let (last, earlier) = sequence.split_last().context("a sequence is empty")?;
        let earlier = earlier.iter().map(|pair| tensor(&pair.input));
        Ok(ValidationPair {
            earlier: earlier.collect::<Result<_>>()?,
            input: tensor(&last.input)?,
            truth: tensor(&last.truth)?,
        })
    };
    sequences.iter().map(pair).collect()
}
