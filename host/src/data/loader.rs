//! Batches for training: worker threads cut and degrade patches ahead of the optimiser.
//!
//! Step `s` is a function of (seed, s) alone, so any number of workers and any resumption give the same
//! batches. Worker `w` of `n` makes steps `w, w + n, w + 2n ...`; the consumer asks the workers in turn.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;
use hone_shared::student::Colour;
use tch::Tensor;

use super::source::PairSource;
use crate::picture::Picture;

/// Batches ready ahead of time in each worker.
const AHEAD: usize = 2;

/// What a loader makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Names the walk over the data.
    pub seed: u64,
    /// Side of the patches.
    pub crop: usize,
    /// Patches in a batch.
    pub batch: usize,
    /// Luma (one channel) or RGB (three).
    pub colour: Colour,
    /// Consecutive frames, at least 1; their planes lie one after the other, oldest first.
    pub frames: usize,
    /// Threads; at least one is used.
    pub workers: usize,
    /// The step that the first [`Loader::next`] gives.
    pub first_step: u64,
}

/// One step's data, f32 `[N,C,H,W]` (`[N,frames * C,H,W]` for sequences) in 0..1 on the CPU.
#[derive(Debug)]
pub struct Batch {
    /// What the student gets.
    pub input: Tensor,
    /// What it should make of it.
    pub truth: Tensor,
    /// The teacher's answers, when they come from a pool.
    pub teacher: Option<Tensor>,
    /// The teacher's named maps, when they come from a pool.
    pub features: Vec<(String, Tensor)>,
}

/// Makes the batch of a step; any thread may ask, in any order.
pub type MakeBatch = Arc<dyn Fn(u64) -> anyhow::Result<Batch> + Send + Sync>;

/// Endless batches; see the module.
pub struct Loader {
    queues: Vec<Receiver<anyhow::Result<Batch>>>,
    workers: Vec<JoinHandle<()>>,
    turn: usize,
}

impl Loader {
    /// Starts workers that cut patches from `source`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(source: Arc<dyn PairSource>, config: LoaderConfig) -> anyhow::Result<Self> {
        let make = move |step| batch(&*source, config, step);
        Self::start(Arc::new(make), config.workers, config.first_step)
    }

    /// Starts `workers` threads (at least one) that make batches from step `first_step` on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(make: MakeBatch, workers: usize, first_step: u64) -> anyhow::Result<Self> {
        let count = workers.max(1);
        let (mut queues, mut workers) = (Vec::new(), Vec::new());
        for worker in 0..count {
            let (sender, receiver) = sync_channel(AHEAD);
            let make = Arc::clone(&make);
            let first = first_step + worker as u64;
            let work = move || produce(&make, first, count, &sender);
            workers.push(
                std::thread::Builder::new()
                    .name(format!("loader-{worker}"))
                    .spawn(work)
                    .context("cannot start a loader thread")?,
            );
            queues.push(receiver);
        }
        Ok(Self {
            queues,
            workers,
            turn: 0,
        })
    }

    /// The next step's batch.
    ///
    /// # Errors
    /// When no picture can be read any more.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> anyhow::Result<Batch> {
        let queue = &self.queues[self.turn % self.queues.len()];
        self.turn += 1;
        queue.recv().context("a loader thread ended early")?
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // A closed queue ends its worker at the next send.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn produce(
    make: &MakeBatch,
    first: u64,
    workers: usize,
    sender: &SyncSender<anyhow::Result<Batch>>,
) {
    let mut step = first;
    loop {
        let batch = make(step);
        let failed = batch.is_err();
        if sender.send(batch).is_err() || failed {
            return;
        }
        step += workers as u64;
    }
}

/// The batch of one step.
///
/// # Errors
/// When no picture can be read any more.
pub fn batch(source: &dyn PairSource, config: LoaderConfig, step: u64) -> anyhow::Result<Batch> {
    let channels = config.frames * config.colour.channels();
    let size = config.batch * channels * config.crop * config.crop;
    let (mut input, mut truth) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for i in 0..config.batch as u64 {
        let index = step * config.batch as u64 + i;
        for pair in source.sequence(config.seed, index, config.crop, config.frames)? {
            push(&mut input, &pair.input, config.colour);
            push(&mut truth, &pair.truth, config.colour);
        }
    }
    let shape = [config.batch, channels, config.crop, config.crop].map(|n| n as i64);
    let tensor = |data: &[f32]| Tensor::from_slice(data).reshape(shape);
    Ok(Batch {
        input: tensor(&input),
        truth: tensor(&truth),
        teacher: None,
        features: Vec::new(),
    })
}

fn push(target: &mut Vec<f32>, picture: &Picture, colour: Colour) {
    match colour {
        Colour::Luma => target.extend_from_slice(&picture.luma().data),
        Colour::Rgb => target.extend_from_slice(&picture.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::{DataConfig, Layout};

    fn source() -> Arc<dyn PairSource> {
        let config = DataConfig {
            layout: Layout::Scenes,
            count: 5,
            size: [96, 80],
            jitter: 0.1,
            min_sharpness: 0.02,
            ..DataConfig::default()
        };
        crate::data::open(&config, std::path::Path::new(".")).unwrap()
    }

    fn values(batch: &Batch) -> Vec<f32> {
        let all = Tensor::cat(&[&batch.input, &batch.truth], 0);
        Vec::try_from(all.flatten(0, -1)).unwrap()
    }

    #[test]
    fn batches_do_not_depend_on_workers_or_resumption() {
        let config = |workers, first_step| LoaderConfig {
            seed: 4,
            crop: 32,
            batch: 3,
            colour: Colour::Luma,
            frames: 1,
            workers,
            first_step,
        };
        let mut one = Loader::new(source(), config(1, 0)).unwrap();
        let expected: Vec<_> = (0..5).map(|_| values(&one.next().unwrap())).collect();
        assert_ne!(expected[0], expected[1]);
        let mut three = Loader::new(source(), config(3, 0)).unwrap();
        let mut resumed = Loader::new(source(), config(2, 2)).unwrap();
        for (step, batch) in expected.iter().enumerate() {
            assert_eq!(&values(&three.next().unwrap()), batch);
            if step >= 2 {
                assert_eq!(&values(&resumed.next().unwrap()), batch);
            }
        }
    }

    #[test]
    fn photographs_give_the_same_batches_whatever_the_workers_and_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..5 {
            let bytes = crate::data::synth::scene(2, i, 90, 70)
                .encode(image::ImageFormat::Jpeg)
                .unwrap();
            // One of them is cut off: its turn goes to the next.
            let length = if i == 2 { bytes.len() / 2 } else { bytes.len() };
            let path = folder.path().join(format!("{i}.jpg"));
            std::fs::write(path, &bytes[..length]).unwrap();
        }
        let source = |memory_mb| {
            let config = DataConfig {
                root: Some(folder.path().to_owned()),
                validation: 0.0,
                memory_mb,
                jitter: 0.1,
                ..DataConfig::default()
            };
            crate::data::open(&config, std::path::Path::new("")).unwrap()
        };
        let batches = |workers, memory_mb| {
            let source = source(memory_mb);
            let config = LoaderConfig {
                seed: 8,
                crop: 32,
                batch: 2,
                colour: Colour::Rgb,
                frames: 1,
                workers,
                first_step: 0,
            };
            let mut loader = Loader::new(source, config).unwrap();
            (0..6)
                .map(|_| values(&loader.next().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(batches(1, 1024), batches(3, 0));
    }

    #[test]
    fn shapes_and_ranges_are_as_said() {
        let config = LoaderConfig {
            seed: 0,
            crop: 120,
            batch: 2,
            colour: Colour::Rgb,
            frames: 1,
            workers: 1,
            first_step: 9,
        };
        // Larger than the scenes: mirrored, not refused.
        let batch = batch(&*source(), config, 9).unwrap();
        assert_eq!(batch.input.size(), [2, 3, 120, 120]);
        assert!(batch.truth.max().double_value(&[]) <= 1.0);
        assert!(
            (&batch.input - &batch.truth)
                .abs()
                .mean(None)
                .double_value(&[])
                > 1e-3
        );
    }
}
