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

mod buffer;
mod ends;
mod f32;
mod geometry;
mod int8;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hone_shared::quant::QuantChain;
use hone_shared::student::ConvChain;

pub(super) use self::buffer::Buffer;
use self::ends::Io;
use self::f32::F32Path;
use self::geometry::{Cut, Job, jobs};
use self::int8::Int8Path;
use super::frame::{FrameView, FrameViewMut};
use super::isa::Isa;
use super::kernels::{self, SLACK};
use super::pool::Pool;
use super::rows::{Sink, Source, copy_planes};
use super::{Engine, EngineError, Executor, StudentInfo};

/// Bytes of rings that one thread should stay under: about the second-level cache of a core.
const CACHE: usize = 3 << 19;

/// Sizes of one thread's memory, in columns of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Layout {
    /// Columns left of a job's first one, column -1 included.
    left: usize,
    /// Columns from a job's first one on.
    right: usize,
    /// Samples (of the frame) in a block's row.
    run: usize,
}

impl Layout {
    fn of(jobs: &[Job], run: usize) -> Self {
        let stages = || {
            jobs.iter()
                .flat_map(|j| j.stages.iter().map(|s| (j.x0, &s.columns)))
        };
        let left = stages()
            .map(|(x0, c)| x0.saturating_sub(c.start))
            .max()
            .unwrap_or(0);
        let right = stages().map(|(x0, c)| c.end - x0).max().unwrap_or(0);
        Self {
            left: left + 4,
            right,
            run,
        }
    }

    /// Columns of a ring: what kernels touch beyond a stage's columns included.
    fn columns(self) -> usize {
        self.left + self.right + SLACK + 4
    }

    /// Samples in a row of the frame.
    fn samples(self) -> usize {
        (self.left + self.right) * self.run
    }
}

/// What f32 and INT8 do differently.
trait Path: Send + Sync {
    /// Rows of a group; columns are computed in multiples of it.
    const ALIGN: usize;
    /// Whether residuals come out times the strength already.
    const APPLIES_STRENGTH: bool;
    /// One thread's memory.
    type Context: Send;

    /// Rows and columns that each convolution looks around.
    fn reaches(&self) -> Vec<usize>;
    /// Bytes of rings for one column.
    fn bytes_per_column(&self) -> usize;
    /// Allocates one thread's memory.
    fn context(&self, layout: Layout) -> Self::Context;
    /// Bytes that `context` allocated.
    fn context_bytes(context: &Self::Context) -> usize;
    /// Prepares the rings for a job.
    fn begin(&self, context: &mut Self::Context, job: &Job);
    /// Computes one group of one stage of an image of `size` (width, height) blocks.
    fn stage(
        &self,
        context: &mut Self::Context,
        io: &Io<'_>,
        size: (usize, usize),
        job: &Job,
        stage: usize,
        group: isize,
    );
}

/// Jobs and memory for one frame size.
struct Prepared<C> {
    size: (usize, usize),
    jobs: Vec<Job>,
    contexts: Vec<Mutex<C>>,
}

/// Runs one chain.
struct FusedEngine<P: Path> {
    student: StudentInfo,
    isa: Isa,
    path: P,
    pool: Pool,
    prepared: Option<Prepared<P::Context>>,
}

/// A fused engine for an f32 chain.
pub(super) fn f32_engine(
    chain: &ConvChain,
    student: StudentInfo,
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Engine>, EngineError> {
    let path = F32Path::new(chain, kernels::f32::kernels(isa));
    engine(student, isa, threads, path)
}

/// A fused engine for an INT8 chain.
pub(super) fn int8_engine(
    chain: &QuantChain,
    student: StudentInfo,
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Engine>, EngineError> {
    let path = Int8Path::new(chain, kernels::int8::kernels(isa));
    engine(student, isa, threads, path)
}

fn engine<P: Path + 'static>(
    student: StudentInfo,
    isa: Isa,
    threads: usize,
    path: P,
) -> Result<Box<dyn Engine>, EngineError> {
    let pool =
        Pool::new(threads).map_err(|e| EngineError::Run(format!("cannot start threads: {e}")))?;
    Ok(Box::new(FusedEngine {
        student,
        isa,
        path,
        pool,
        prepared: None,
    }))
}

impl<P: Path> FusedEngine<P> {
    /// Cuts a frame of `size` blocks into jobs and allocates what they need.
    fn prepare(&mut self, size: (usize, usize)) {
        if self.prepared.as_ref().is_some_and(|p| p.size == size) {
            return;
        }
        let (width, height) = size;
        let ring = self.path.bytes_per_column() * width;
        let reaches = self.path.reaches();
        let cut = Cut {
            width,
            height,
            align: P::ALIGN,
            across: ring.div_ceil(
                std::env::var("HC")
                    .ok()
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(CACHE),
            ),
            down: self.pool.threads(),
        };
        let jobs = jobs(cut, &reaches);
        let run = self.student.scale * self.student.colour.channels();
        let layout = Layout::of(&jobs, run * self.student.scale);
        let threads = self.pool.threads().min(jobs.len());
        // The old size's memory goes before the new one's comes.
        self.prepared = None;
        let contexts = (0..threads).map(|_| Mutex::new(self.path.context(layout)));
        self.prepared = Some(Prepared {
            size,
            contexts: contexts.collect(),
            jobs,
        });
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
            isa: self.isa,
            threads: self.pool.threads(),
        }
    }

    fn memory(&self) -> Option<usize> {
        let contexts = self.prepared.as_ref()?.contexts.iter();
        let bytes =
            contexts.map(|c| P::context_bytes(&c.lock().unwrap_or_else(PoisonError::into_inner)));
        Some(bytes.sum())
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        out.validate_against(frame)?;
        super::check_strength(strength)?;
        let source = Source::new(frame, self.student.colour)?;
        if strength == 0.0 {
            copy_planes(frame, out, 0);
            return Ok(());
        }
        let scale = self.student.scale;
        let size = (frame.width.div_ceil(scale), frame.height.div_ceil(scale));
        self.prepare(size);
        let Some(prepared) = &self.prepared else {
            return Err(EngineError::Run("no memory was prepared".into()));
        };
        let left = if P::APPLIES_STRENGTH { 1.0 } else { strength };
        let io = Io {
            source,
            sink: Sink::new(frame, out, self.student.colour, left)?,
            strength,
            scale,
            planes: self.student.colour.channels(),
        };
        let (path, next) = (&self.path, AtomicUsize::new(0));
        let done = self.pool.run(&|thread| {
            let Some(context) = prepared.contexts.get(thread) else {
                return;
            };
            let mut context = context.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(job) = prepared.jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                path.begin(&mut context, job);
                job.walk(|stage, group| path.stage(&mut context, &io, size, job, stage, group));
            }
        });
        done.map_err(|_| EngineError::Run("a worker thread failed".into()))
    }
}
