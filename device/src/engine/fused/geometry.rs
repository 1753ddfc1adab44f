//! Which rows and columns each stage computes, so that a job's result does not depend on where its
//! borders lie.
//!
//! Stage 0 loads the frame, stage k computes convolution k. Stages work in groups of `align` rows
//! and on columns in multiples of `align`: 4 for Winograd, 1 without. In floats a 4x4 tile must see
//! the same inputs whatever job it falls in, for its rounding depends on all of them: a stage gets a
//! whole group more than the next one. Whole numbers do not round, and what a tile has from pixels
//! that none of the next stage's read may be anything: groups that hold the pixels read suffice.

use std::ops::Range;

/// What one stage computes in one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct StageRange {
    /// Groups of `align` rows; group -1 and the one past the image hold zeros only.
    pub groups: Range<isize>,
    /// Columns; beyond the image they hold zeros.
    pub columns: Range<usize>,
}

/// One rectangle of the output and all that is needed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Job {
    /// First column of the output; ring columns count from here.
    pub x0: usize,
    /// Stage 0 to the last.
    pub stages: Vec<StageRange>,
}

impl Job {
    /// Calls `visit(stage, group)` depth first: every stage as soon as the one before it has given
    /// the group below.
    pub fn walk(&self, mut visit: impl FnMut(usize, isize)) {
        let last = self.stages.len() as isize - 1;
        let first = self.stages[0].groups.start;
        let end = self
            .stages
            .iter()
            .zip(0..)
            .map(|(s, k)| s.groups.end + k)
            .max();
        for step in first..end.unwrap_or(first) {
            for (stage, k) in self.stages.iter().zip(0..=last) {
                let group = step - k;
                if stage.groups.contains(&group) {
                    visit(k as usize, group);
                }
            }
        }
    }
}

/// How an image is cut.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Cut {
    /// Width in columns.
    pub width: usize,
    /// Height in rows.
    pub height: usize,
    /// Rows of a group, and what columns are a multiple of.
    pub align: usize,
    /// Jobs side by side.
    pub across: usize,
    /// Whether the arithmetic is exact.
    pub exact: bool,
}

/// Cuts a `band` (of groups of rows) of an image for stages that look `reaches[k - 1]` rows and
/// columns around.
pub(in crate::engine) fn jobs(cut: Cut, band: &Range<usize>, reaches: &[usize]) -> Vec<Job> {
    let (rows, columns) = (
        cut.height.div_ceil(cut.align) as isize,
        cut.width.div_ceil(cut.align) as isize,
    );
    let across = (cut.across as isize).clamp(1, columns);
    let y = band.start as isize..band.end as isize;
    let parts = (0..across).map(|i| columns * i / across..columns * (i + 1) / across);
    parts
        .map(|x| {
            let range = |y: &Range<isize>, x: &Range<isize>| StageRange {
                groups: y.clone(),
                columns: x.start as usize * cut.align..x.end as usize * cut.align,
            };
            let mut stages = vec![range(&y, &x)];
            // Groups, and rows and columns, that a stage computes beyond the job.
            let (mut more, mut reached) = (0, 0);
            for &reach in reaches.iter().rev() {
                let near = reach.div_ceil(cut.align) as isize;
                reached += reach;
                more = match cut.exact {
                    true => reached.div_ceil(cut.align) as isize,
                    false => more + near,
                };
                let outside = near.min(1);
                let ys = (y.start - more).max(-outside)..(y.end + more).min(rows + outside);
                let xs = (x.start - more).max(0)..(x.end + more).min(columns);
                stages.push(range(&ys, &xs));
            }
            stages.reverse();
            Job {
                x0: x.start as usize * cut.align,
                stages,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::bands::Shares;
    use super::*;

    #[test]
    fn stages_get_what_they_read() {
        for (width, height) in [(1, 1), (5, 9), (40, 33)] {
            for (align, exact) in [(1, true), (4, true), (4, false)] {
                for (across, threads) in [(1, 1), (2, 3), (9, 9)] {
                    let cut = Cut {
                        width,
                        height,
                        align,
                        across,
                        exact,
                    };
                    for band in Shares::even(threads).cut(height.div_ceil(align)) {
                        for job in jobs(cut, &band, &[1, 0, 1, 1]) {
                            check(&job, &[1, 0, 1, 1], cut);
                        }
                    }
                }
            }
        }
    }

    /// Every stage reads what the one before it gave: whole groups, or the rows that matter.
    fn check(job: &Job, reaches: &[usize], cut: Cut) {
        let align = cut.align as isize;
        let (rows, edge) = (
            cut.height.div_ceil(cut.align) as isize * align,
            cut.width.next_multiple_of(cut.align),
        );
        let last = &job.stages[job.stages.len() - 1];
        let (top, end) = (last.groups.start * align, last.groups.end * align);
        let mut given = vec![Vec::new(); job.stages.len()];
        job.walk(|k, group| {
            if k > 0 && group >= 0 && group * align < rows {
                let reach = reaches[k - 1] as isize;
                let later = reaches[k..].iter().sum::<usize>() as isize;
                let (own, before) = (&job.stages[k].columns, &job.stages[k - 1].columns);
                for row in group * align..(group + 1) * align {
                    let matters = !cut.exact || (top - later..end + later).contains(&row);
                    for near in (row - reach..=row + reach).filter(|_| matters) {
                        let near = near.div_euclid(align);
                        assert!(
                            given[k - 1].contains(&near),
                            "stage {k} misses group {near}"
                        );
                    }
                }
                let (reach, later) = (reaches[k - 1], later as usize);
                let (left, right) = match cut.exact {
                    true => (
                        last.columns.start.saturating_sub(later).max(own.start),
                        (last.columns.end + later).min(own.end),
                    ),
                    false => (own.start, own.end),
                };
                assert!(before.start == 0 || before.start + reach <= left);
                assert!(before.end == edge || before.end >= right + reach);
            }
            given[k].push(group);
        });
        for (given, stage) in given.iter().zip(&job.stages) {
            assert_eq!(*given, stage.groups.clone().collect::<Vec<_>>());
        }
    }
}
