//! Does the board put out what the workstation predicts?

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use hone_shared::frames::{PNG_HEADER, STUDIO_LUMA};
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

/// Frames that `honed` wrote.
#[derive(Debug, Clone)]
pub struct Frames {
    /// With the bytes that the board computed with.
    pub pictures: Vec<Picture>,
    /// Whether those are video luma, from 16 to 235: the source was a film, or pictures in colour.
    pub studio: bool,
}

/// Loads the PNGs of a folder in order of name, as the planes that are compared.
///
/// # Errors
/// When the folder or a frame cannot be read, or only some frames are video luma.
pub fn frames(folder: &Path, colour: Colour) -> anyhow::Result<Frames> {
    let paths = images_in(folder)?;
    let mut studio = None;
    let mut load = |path: &std::path::PathBuf| -> anyhow::Result<Picture> {
        let marked = is_studio(path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            *studio.get_or_insert(marked) == marked,
            "{} holds frames of video luma and others: take the frames of one run",
            folder.display()
        );
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
    let pictures = paths.iter().map(&mut load).collect::<Result<_, _>>()?;
    Ok(Frames {
        pictures,
        studio: studio.unwrap_or(false),
    })
}

fn is_studio(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    let length = PNG_HEADER + STUDIO_LUMA.len();
    let file = std::fs::File::open(path)?;
    file.take(length as u64).read_to_end(&mut start)?;
    Ok(start.get(PNG_HEADER..) == Some(&STUDIO_LUMA[..]))
}

/// Video luma as the full range that pictures have.
fn full_range(studio: &Picture) -> Picture {
    let bytes = studio.to_bytes().into_iter().map(|y| {
        let full = (f32::from(y) - 16.0) * (255.0 / 219.0);
        full.round_ties_even().clamp(0.0, 255.0) as u8
    });
    let bytes: Vec<u8> = bytes.collect();
    Picture::from_bytes(studio.channels, studio.height, studio.width, &bytes)
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
/// When there are more or fewer frames than pairs, sizes differ, or a pair cannot be loaded.
pub fn row(shown: &Frames, pairs: &PairSet, comparison: Comparison<'_>) -> anyhow::Result<Row> {
    let (colour, studio) = (comparison.colour, shown.studio);
    // A picture that is left out would move all later ones beside the frame of another.
    ensure!(
        shown.pictures.len() == pairs.len(),
        "honed put out {} frames, and {} pictures are evaluated: give honed and the evaluation the same pictures (--limit \
         and the runs that are evaluated may leave some out)",
        shown.pictures.len(),
        pairs.len()
    );
    let mut results = Vec::with_capacity(pairs.len());
    let mut meter = TemporalMeter::default();
    for (i, shown) in shown.pictures.iter().enumerate() {
        let pair = pairs.get(i)?;
        ensure!(
            (shown.width, shown.height) == (pair.truth.width, pair.truth.height),
            "frame {i} of honed is {}x{}, {} is {}x{}: compare with the pictures that honed got",
            shown.width,
            shown.height,
            pair.name,
            pair.truth.width,
            pair.truth.height
        );
        let shown = &match colour {
            Colour::Luma if studio => full_range(shown),
            _ => shown.clone(),
        };
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
        device: None,
        ms_per_frame: None,
        speed: Vec::new(),
        temporal: pairs.is_sequence().then(|| meter.found()),
    })
}
