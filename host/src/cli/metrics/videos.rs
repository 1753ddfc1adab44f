//! Two videos frame by frame, each against the frame of the reference that it shows.

use std::path::Path;

use anyhow::{bail, ensure};

use super::measured::{Entry, Measured};
use crate::cli::progress;
use crate::metric::{Alignment, MetricSet, Temporal, TemporalMeter, Thumbnail, align};
use crate::restore::video::{Frame, Reader};

/// Measures `distorted` against `reference`; looks for the frame that each frame shows where the two
/// differ in length, or when `aligned` asks for it.
///
/// # Errors
/// When a video cannot be decoded, holds no frame, is too long to be aligned, or sizes differ.
pub(super) fn measure(
    reference: &Path,
    distorted: &Path,
    metrics: &MetricSet,
    aligned: bool,
) -> anyhow::Result<Measured> {
    let alignment = alignment(reference, distorted, aligned)?;
    // Those that looked for the alignment have told of damage.
    let (mut a, mut b) = (
        Reader::open_stored(reference)?.silent(),
        Reader::open_stored(distorted)?.silent(),
    );
    let (left, right) = (a.format(), b.format());
    ensure!(
        (left.width, left.height) == (right.width, right.height),
        "the videos differ in size: {}x{} against {}x{}",
        left.width,
        left.height,
        right.width,
        right.height
    );
    let bar = progress::count("measuring");
    let mut meter = TemporalMeter::default();
    let mut entries = Vec::new();
    let mut next = 0;
    let mut truth = None;
    while let Some(frame) = b.next_frame()? {
        let wanted = match &alignment {
            Some(found) => found.shows.get(entries.len()).copied(),
            None => Some(entries.len()),
        };
        let Some(wanted) = wanted else {
            bail!("{} changed meanwhile", distorted.display())
        };
        while next <= wanted {
            truth = a.next_frame()?;
            next += 1;
        }
        let Some(truth) = &truth else {
            bail!("{} ends at frame {wanted}", reference.display())
        };
        let (x, y) = (truth.to_picture(&left), frame.to_picture(&right));
        let mut entry = Entry::measure(format!("frame {wanted}"), &x, &y, metrics)?;
        entry.flicker = meter.push(&x, &y)?;
        entries.push(entry);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Measured {
        temporal: Some(repeats(meter.found(), alignment.as_ref())),
        alignment,
        ..Measured::many(entries)
    })
}

/// What shows in motion. A frame laid beside the reference's same frame as the one before stands still as that does: only the
/// alignment knows that it is repeated.
fn repeats(found: Temporal, alignment: Option<&Alignment>) -> Temporal {
    Temporal {
        repeated: alignment.map_or(found.repeated, |a| a.repeated.len()),
        ..found
    }
}

/// Looks through both videos first, keeping thumbnails.
fn alignment(reference: &Path, distorted: &Path, asked: bool) -> anyhow::Result<Option<Alignment>> {
    let bar = progress::count("aligning");
    let thumbnails = |path: &Path| {
        let mut reader = Reader::open_stored(path)?;
        let format = reader.format();
        let mut found = Vec::new();
        while let Some(Frame { y, .. }) = reader.next_frame()? {
            found.push(Thumbnail::of_plane(format.width, format.height, &y));
            bar.inc(1);
        }
        ensure!(!found.is_empty(), "{} holds no frame", path.display());
        anyhow::Ok(found)
    };
    let (left, right) = (thumbnails(reference)?, thumbnails(distorted)?);
    bar.finish_and_clear();
    let aligned = (asked || left.len() != right.len()).then(|| align(&left, &right));
    Ok(aligned.transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alignment_counts_the_repeated_frames() {
        let found = Temporal {
            repeated: 1,
            ..Temporal::default()
        };
        assert_eq!(repeats(found, None).repeated, 1);
        let alignment = Alignment {
            shows: vec![0, 1, 1, 1],
            dropped: vec![2, 3],
            repeated: vec![2, 3],
        };
        assert_eq!(repeats(found, Some(&alignment)).repeated, 2);
    }
}
