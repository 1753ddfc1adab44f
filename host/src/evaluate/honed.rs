//! Does the board put out what the workstation predicts?

use std::path::Path;

use anyhow::{Context, bail};
use hone_shared::student::Colour;
use serde::Serialize;

use super::{Comparison, PairSet, Role, Row, compare, planes, recolour};
use crate::metric::TemporalMeter;
use crate::picture::Picture;
use crate::restore::{Restore, images_in};

/// How far the frames that `honed` wrote are from the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Frames compared.
    pub frames: usize,
    /// Largest difference of a sample, in 1/255.
    pub max_difference: u8,
    /// Share of samples that are equal.
    pub equal: f64,
}

/// Loads the PNGs of a folder in order of name, as the planes that are compared.
///
/// # Errors
/// When the folder or a frame cannot be read.
pub fn frames(folder: &Path, colour: Colour) -> anyhow::Result<Vec<Picture>> {
    let paths = images_in(folder)?;
    let load = |path: &std::path::PathBuf| -> anyhow::Result<Picture> {
        let mut picture = Picture::load(path)?;
        let plane = picture.width * picture.height;
        let grey = picture.data[..plane] == picture.data[plane..2 * plane]
            && picture.data[..plane] == picture.data[2 * plane..];
        if colour == Colour::Luma && grey {
            // A grey PNG holds the luma itself; weighing three equal planes could round it.
            picture.data.truncate(plane);
            picture.channels = 1;
        }
        Ok(planes(&picture, colour))
    };
    paths.iter().map(load).collect()
}

/// Compares what `honed` made of `fed(i)`, the frame `i` that it got, with what `student` makes of it.
///
/// # Errors
/// When the frames differ in size or number from the `count` fed, or inference fails.
pub fn agreement(
    student: &mut dyn Restore,
    count: usize,
    fed: impl Fn(usize) -> anyhow::Result<Picture>,
    shown: &[Picture],
) -> anyhow::Result<Agreement> {
    if count != shown.len() {
        bail!(
            "honed put out {} frames of {count}: run it without dropping frames",
            shown.len()
        );
    }
    let (mut worst, mut equal, mut total) = (0, 0usize, 0usize);
    // Whatever they show, they came to honed one after the other.
    student.follow(true);
    for (i, shown) in shown.iter().enumerate() {
        let predicted = student.restore(&fed(i)?)?.to_bytes();
        let shown = shown.to_bytes();
        if predicted.len() != shown.len() {
            bail!("frame {i} that honed put out has another size or colour than its input");
        }
        for (a, b) in predicted.iter().zip(&shown) {
            worst = worst.max(a.abs_diff(*b));
            equal += usize::from(a == b);
        }
        total += shown.len();
    }
    student.follow(false);
    Ok(Agreement {
        frames: shown.len(),
        max_difference: worst,
        equal: equal as f64 / total.max(1) as f64,
    })
}

/// The table's row for what `honed` put out: frame `i` against the truth of pair `i`.
///
/// # Errors
/// When there are fewer frames than pairs, sizes differ, or a pair cannot be loaded.
pub fn row(shown: &[Picture], pairs: &PairSet, comparison: Comparison<'_>) -> anyhow::Result<Row> {
    let colour = comparison.colour;
    let mut results = Vec::with_capacity(pairs.len());
    let mut meter = TemporalMeter::default();
    for i in 0..pairs.len() {
        let pair = pairs.get(i)?;
        let shown = shown
            .get(i)
            .with_context(|| format!("honed put out no frame for {}", pair.name))?;
        let rgb = match colour {
            Colour::Rgb => shown.clone(),
            Colour::Luma => recolour(&pair.input, &planes(&pair.input, colour), shown),
        };
        let truth = planes(&pair.truth, colour);
        let result = compare(&truth, shown, &pair.truth, &rgb, comparison.metrics);
        results.push(result.with_context(|| format!("frame {i} of honed"))?);
        if pairs.is_sequence() {
            meter.push(&truth, shown)?;
        }
    }
    Ok(Row {
        role: Role::Honed,
        name: "honed".into(),
        results,
        macs_per_pixel: None,
        parameters: None,
        file_bytes: None,
        ms_per_frame: None,
        speed: Vec::new(),
        temporal: pairs.is_sequence().then(|| meter.found()),
    })
}
