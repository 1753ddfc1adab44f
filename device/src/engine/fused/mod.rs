//! The fused executor: a chain of convolutions, depth first over rings of rows.
//!
//! ```text
//!  camera bytes -> load -> conv 1 -> conv 2 -> ... -> conv n -> + frame -> bytes
//!                  ring    ring      ring             4 rows
//! ```
//!
//! Each stage gives a group of rows as soon as the stage before it has given the group below; a ring
//! keeps only what is still to be read. No feature map is ever whole, and nothing is allocated
//! between frames of one size.

mod bands;
mod buffer;
mod choice;
mod ends;
mod f32;
mod geometry;
mod int8;
mod layer;
mod stages;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hone_shared::quant::QuantChain;
use hone_shared::student::Precision;

use self::bands::Shares;
pub(super) use self::buffer::Buffer;
use self::ends::Io;
use self::f32::F32Path;
use self::geometry::{Cut, Job, jobs};
use self::int8::Int8Path;
use self::stages::{Layout, Path};
use super::chain::F32Chain;
use super::frame::{FrameView, FrameViewMut};
use super::isa::Isa;
use super::kernels;
use super::memory::Memory;
use super::pool::Pool;
use super::rows::Sink;
use super::{Engine, EngineError, EngineOptions, Executor, StudentInfo};

/// Bytes of rings that one thread should stay under: about the second-level cache of a core.
const CACHE: usize = 3 << 19;

/// One thread's rows.
struct Band {
    jobs: Vec<Job>,
    /// The first job that nobody has taken yet.
    next: AtomicUsize,
    /// What its thread took for all of it, in nanoseconds; 0 when others took part.
    nanoseconds: AtomicU64,
}

/// Jobs and memory for one frame size.
struct Prepared<C> {
    cut: Cut,
    shares: Shares,
    bands: Vec<Band>,
    contexts: Vec<Mutex<C>>,
}

impl<C> Prepared<C> {
    /// Cuts the frame as the threads' shares want it.
    fn cut(&mut self, reaches: &[usize]) {
        let rows = self.cut.height.div_ceil(self.cut.align);
        let band = |rows| Band {
            jobs: jobs(self.cut, &rows, reaches),
            next: AtomicUsize::new(0),
            nanoseconds: AtomicU64::new(0),
        };
        self.bands = self.shares.cut(rows).into_iter().map(band).collect();
    }

    /// Runs `job` on every job of thread `thread`'s band, then on what other bands have left.
    fn share(&self, thread: usize, mut job: impl FnMut(&Job)) {
        let start = Instant::now();
        for turn in 0..self.bands.len() {
            let band = &self.bands[(thread + turn) % self.bands.len()];
            let mut done = 0;
            while let Some(next) = band.jobs.get(band.next.fetch_add(1, Ordering::Relaxed)) {
                job(next);
                done += 1;
            }
            if turn == 0 && thread < self.bands.len() && done == band.jobs.len() {
                let time = start.elapsed().as_nanos() as u64;
                band.nanoseconds.store(time, Ordering::Relaxed);
            }
        }
    }
}

/// Runs one chain.
struct FusedEngine<P: Path> {
    student: StudentInfo,
    isa: Isa,
    path: P,
    pool: Pool,
    prepared: Option<Prepared<P::Context>>,
    /// What a temporal student gave before.
    memory: Option<Memory>,
}

/// A fused engine for an f32 chain.
pub(super) fn f32_engine(
    chain: &F32Chain,
    student: StudentInfo,
    isa: Isa,
    options: EngineOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let kernels = kernels::f32::kernels(isa);
    let path = F32Path::new(chain, kernels, |shape| match options.measure {
        true => choice::fastest(shape, isa),
        false => shape.methods(kernels.lanes)[0],
    });
    engine(student, isa, options, path)
}

/// A fused engine for an INT8 chain.
pub(super) fn int8_engine(
    chain: &QuantChain,
    student: StudentInfo,
    isa: Isa,
    options: EngineOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let path = Int8Path::new(chain, kernels::int8::kernels(isa));
    engine(student, isa, options, path)
}

fn engine<P: Path + 'static>(
    student: StudentInfo,
    isa: Isa,
    options: EngineOptions,
    path: P,
) -> Result<Box<dyn Engine>, EngineError> {
    let pool = Pool::new(options.threads, options.pin)
        .map_err(|e| EngineError::Run(format!("cannot start threads: {e}")))?;
    Ok(Box::new(FusedEngine {
        memory: student.temporal.then(|| Memory::new(student.colour)),
        student,
        isa,
        path,
        pool,
        prepared: None,
    }))
}

impl<P: Path> FusedEngine<P> {
    /// Cuts a frame of `width` x `height` blocks into jobs and allocates what they need.
    fn prepare(&mut self, width: usize, height: usize) {
        let same = |p: &Prepared<_>| (p.cut.width, p.cut.height) == (width, height);
        if self.prepared.as_ref().is_some_and(same) {
            return;
        }
        // The old size's memory goes before the new one's comes.
        self.prepared = None;
        let cut = Cut {
            width,
            height,
            align: self.path.align(),
            exact: self.path.exact(),
            across: (self.path.bytes_per_column() * width).div_ceil(CACHE),
        };
        let mut prepared = Prepared {
            cut,
            shares: Shares::even(self.pool.threads()),
            bands: Vec::new(),
            contexts: Vec::new(),
        };
        prepared.cut(&self.path.reaches());
        let jobs = || prepared.bands.iter().flat_map(|b| &b.jobs);
        let run = self.student.scale * self.student.colour.channels();
        let layout = Layout::of(jobs(), run);
        let threads = self.pool.threads().min(jobs().count());
        let contexts = (0..threads).map(|_| Mutex::new(self.path.context(layout)));
        prepared.contexts = contexts.collect();
        self.prepared = Some(prepared);
    }

    /// Shifts the bands towards the threads that were faster.
    fn rebalance(&mut self) {
        if let Some(prepared) = &mut self.prepared {
            let seconds = |b: &Band| b.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
            if prepared.shares.note(prepared.bands.iter().map(seconds)) {
                prepared.cut(&self.path.reaches());
            }
        }
    }
}

impl<P: Path> Engine for FusedEngine<P> {
    fn student(&self) -> &StudentInfo {
        &self.student
    }

    fn description(&self) -> String {
        format!(
            "fused, {}, {}, {} threads",
            self.student.precision.name(),
            self.isa.name(),
            self.pool.threads()
        )
    }

    fn executor(&self) -> Executor {
        Executor {
            fused: true,
            isa: Some(self.isa),
            threads: self.pool.threads(),
        }
    }

    fn grid(&self) -> usize {
        match self.student.precision {
            // Winograd rounds by the square; whole numbers do not round.
            Precision::F32 => self.path.align(),
            Precision::Int8 => 1,
        }
    }

    fn memory(&self) -> Option<usize> {
        let contexts = self.prepared.as_ref()?.contexts.iter();
        let bytes =
            contexts.map(|c| P::context_bytes(&c.lock().unwrap_or_else(PoisonError::into_inner)));
        let kept = self.memory.as_ref().map_or(0, Memory::bytes);
        Some(bytes.sum::<usize>() + kept)
    }

    fn reset(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.forget();
        }
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        let Some(source) = super::begin(frame, out, self.student.colour, strength)? else {
            self.reset();
            return Ok(());
        };
        let scale = self.student.scale;
        let size = (frame.width.div_ceil(scale), frame.height.div_ceil(scale));
        self.prepare(size.0, size.1);
        let Some(prepared) = &self.prepared else {
            return Err(EngineError::Run("no memory was prepared".into()));
        };
        let step = self.path.step();
        let feedback = match &mut self.memory {
            Some(memory) => Some(memory.open(frame, source, step)?),
            None => None,
        };
        let io = Io {
            source,
            sink: Sink::new(source, frame, out, strength * step)?,
            feedback,
            limited: self.student.limited.then(|| source.extent(scale)),
            scale,
            planes: self.student.colour.channels(),
        };
        for band in &prepared.bands {
            band.next.store(0, Ordering::Relaxed);
            band.nanoseconds.store(0, Ordering::Relaxed);
        }
        let path = &self.path;
        let done = self.pool.run(&|thread| {
            let Some(context) = prepared.contexts.get(thread) else {
                return;
            };
            let mut context = context.lock().unwrap_or_else(PoisonError::into_inner);
            prepared.share(thread, |job| {
                stages::begin(path, &mut context, job);
                job.walk(|stage, group| {
                    stages::stage(path, &mut context, &io, size, job, (stage, group));
                });
            });
        });
        self.rebalance();
        if let Some(memory) = &mut self.memory {
            memory.close(done.is_ok(), (frame.width, frame.height));
        }
        done.map_err(|_| EngineError::Run("a worker thread failed".into()))
    }
}
