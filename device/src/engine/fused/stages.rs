//! What every path does with its rings: which rows are computed, which are the image's edge, and
//! what is loaded and stored at the ends.

use std::ops::Range;

use super::buffer::{Plain, Ring};
use super::ends::{Io, Rows};
use super::geometry::Job;
use crate::engine::kernels::SLACK;

/// Sizes of one thread's memory, in columns of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Columns left of a job's first one, column -1 included.
    pub left: usize,
    /// Columns from a job's first one on.
    pub right: usize,
    /// Samples (of the frame) in a block's row.
    pub run: usize,
}

impl Layout {
    /// What `jobs` need, of blocks with rows of `run` samples.
    pub fn of<'a>(jobs: impl IntoIterator<Item = &'a Job>, run: usize) -> Self {
        let (mut left, mut right) = (0, 0);
        for job in jobs {
            for stage in &job.stages {
                left = left.max(job.x0.saturating_sub(stage.columns.start));
                right = right.max(stage.columns.end - job.x0);
            }
        }
        Self {
            left: left + 4,
            right,
            run,
        }
    }

    /// Columns of a ring: what kernels touch beyond a stage's columns included.
    pub fn columns(self) -> usize {
        self.left + self.right + SLACK + 4
    }

    /// Samples in a row of the frame.
    pub fn samples(self) -> usize {
        (self.left + self.right) * self.run
    }
}

/// What f32 and INT8 do differently.
pub(super) trait Path: Send + Sync {
    /// What rings hold.
    type Number: Plain;
    /// One thread's memory.
    type Context: Send;

    /// What a residual of 1 is worth, in bytes.
    fn step(&self) -> f32;
    /// Rows of a group; columns are computed in multiples of it.
    fn align(&self) -> usize;
    /// Whether the arithmetic is exact.
    fn exact(&self) -> bool;
    /// Rows and columns that each convolution looks around.
    fn reaches(&self) -> Vec<usize>;
    /// Bytes of rings for one column.
    fn bytes_per_column(&self) -> usize;
    /// Allocates one thread's memory.
    fn context(&self, layout: Layout) -> Self::Context;
    /// Bytes that `context` allocated.
    fn context_bytes(context: &Self::Context) -> usize;
    /// The rings that convolutions read, the first one's first.
    fn rings(context: &mut Self::Context) -> &mut [Ring<Self::Number>];
    /// The rows at the ends.
    fn rows(context: &mut Self::Context) -> &mut Rows;
    /// What stands for nothing in ring `k`, outside the image.
    fn edge(&self, k: usize) -> Self::Number;
    /// Fills `columns` of row `y` of the first ring from the frame.
    fn load(
        &self,
        context: &mut Self::Context,
        io: &Io<'_>,
        y: usize,
        x: isize,
        columns: Range<usize>,
    );
    /// Computes one group of convolution `k`, counted from 1.
    fn convolve(&self, context: &mut Self::Context, job: &Job, k: usize, group: isize);
    /// Adds `columns` of row `y`, the last convolution's `within`th of its group, to the frame.
    fn store(
        &self,
        context: &mut Self::Context,
        io: &Io<'_>,
        y: usize,
        within: usize,
        columns: Range<usize>,
    );
}

/// Prepares the rings for a job: what lies left of the image stays as it is.
pub(super) fn begin<P: Path>(path: &P, context: &mut P::Context, job: &Job) {
    P::rows(context).limit.forget();
    // A job that does not begin there may look so far that its first stages do.
    for (k, ring) in P::rings(context).iter_mut().enumerate() {
        if job.stages[k].columns.start == 0 {
            ring.fill_column(-(job.x0 as isize) - 1, path.edge(k));
        }
    }
}

/// Computes one group of one stage of an image of `width` x `height` blocks.
pub(super) fn stage<P: Path>(
    path: &P,
    context: &mut P::Context,
    io: &Io<'_>,
    (width, height): (usize, usize),
    job: &Job,
    (k, group): (usize, isize),
) {
    let align = path.align() as isize;
    let columns = &job.stages[k].columns;
    let end = columns.end.min(width);
    let x = |column: usize| column as isize - job.x0 as isize;
    let y = group * align;
    if k > 0 && (0..height as isize).contains(&y) {
        path.convolve(context, job, k, group);
    }
    let last = k == P::rings(context).len();
    for row in y..y + align {
        let inside = (0..height as isize).contains(&row);
        if last {
            if inside {
                path.store(
                    context,
                    io,
                    row as usize,
                    (row - y) as usize,
                    columns.start..end,
                );
            }
            continue;
        }
        if !inside {
            P::rings(context)[k].fill(row, x(columns.start), columns.len() + 1, path.edge(k));
            continue;
        }
        if k == 0 {
            path.load(
                context,
                io,
                row as usize,
                x(columns.start),
                columns.start..end,
            );
        }
        if columns.end >= width {
            P::rings(context)[k].fill(row, x(end), columns.end + 1 - end, path.edge(k));
        }
    }
}
