//! Times on frames of standard sizes, and what `honed` put out.

use std::path::Path;

use anyhow::{Context, ensure};
use hone_shared::student::Colour;

use super::EvalArgs;
use crate::cli::progress;
use crate::evaluate::speed::{STANDARD, speed};
use crate::evaluate::{Comparison, Method, Pair, PairSet, Row, honed, planes};
use crate::restore::Restore;

impl EvalArgs {
    /// Times all restorers on frames of standard sizes.
    pub(super) fn time(
        &self,
        methods: &mut [Method],
        rows: &mut [Row],
        pair: &Pair,
        colour: Colour,
    ) -> anyhow::Result<()> {
        if self.no_speed {
            return Ok(());
        }
        let sizes = if self.speed.is_empty() {
            &STANDARD[..]
        } else {
            &self.speed[..]
        };
        let pixels = (pair.input.width * pair.input.height) as f64;
        let bar = progress::bar((methods.len() * sizes.len()) as u64, "timing");
        for (method, row) in methods.iter_mut().zip(rows) {
            let Some(ms) = row.ms_per_frame else { continue };
            let method = method.restorer.as_mut();
            let narrow = method.takes_luma() && colour == Colour::Luma;
            let sample = planes(&pair.input, if narrow { colour } else { Colour::Rgb });
            let known = Some(ms / 1000.0 / pixels);
            for size in sizes {
                row.speed.push(speed(method, &sample, *size, known)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    pub(super) fn honed(
        &self,
        folder: &Path,
        student: &mut dyn Restore,
        pairs: &PairSet,
        comparison: Comparison<'_>,
    ) -> anyhow::Result<(honed::Agreement, Row)> {
        let colour = comparison.colour;
        let shown = honed::frames(folder, colour)?;
        let agreement = match &self.honed_input {
            Some(folder) => {
                let fed = honed::frames(folder, colour)?;
                let fed = fed.pictures;
                let frame = |i: usize| fed.get(i).cloned().context("a frame is missing");
                honed::agreement(student, fed.len(), frame, &shown.pictures)?
            }
            None => {
                ensure!(
                    !shown.studio,
                    "{} holds video luma, which is not the bytes of the evaluated pictures: name with --honed-input \
                     the frames of 'honed run --strength 0', or feed grey PNGs ('hone data pairs --colour luma')",
                    folder.display()
                );
                let frame = |i: usize| Ok(planes(&pairs.get(i)?.input, colour));
                honed::agreement(student, pairs.len(), frame, &shown.pictures)?
            }
        };
        Ok((agreement, honed::row(&shown, pairs, comparison)?))
    }
}
