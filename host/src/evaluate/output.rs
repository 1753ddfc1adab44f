//! What an evaluation leaves in its folder: `report.json`, `report.md`, `report.html`,
//! `before_after_truth.png`, and on request `side_by_side.mp4`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use hone_shared::student::Colour;

use super::summary::Evaluation;
use super::{Pair, PairSet, figure, restored};
use crate::picture::Picture;
use crate::report::page;
use crate::restore::{Restore, video};

/// Largest part of a picture that the page shows, height and width.
const WINDOW: (usize, usize) = (256, 320);

/// Writes everything but the video. `shown` is the restorer whose pictures are shown: the pair of
/// median gain first, for neither the best nor the worst is typical, then those two.
///
/// # Errors
/// When a picture cannot be restored or a file cannot be written.
pub fn write(
    out: &Path,
    evaluation: &Evaluation,
    pairs: &PairSet,
    shown: &mut dyn Restore,
    training: &[page::Curve],
) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot create the folder {}", out.display()))?;
    let write = hone_device::atomic::write_bytes;
    let ranking = &evaluation.ranking;
    let ranks = [
        ("typical", ranking.get(ranking.len() / 2)),
        ("best", ranking.first()),
        ("worst", ranking.last()),
    ];
    let name = shown.name();
    let wanted = ranks
        .iter()
        .filter_map(|(_, gain)| gain.map(|gain| gain.pair));
    let after = again(pairs, shown, evaluation.colour, &wanted.collect())?;
    let mut wipes = Vec::new();
    for (rank, gain) in ranks {
        let Some((gain, (pair, after))) = gain.and_then(|g| Some((g, after.get(&g.pair)?))) else {
            continue;
        };
        let caption = format!("{rank}: {} ({:+.2} dB by {name})", gain.name, gain.gain_db);
        wipes.push(crop(pair, after, caption));
    }
    if let Some(wipe) = wipes.first() {
        let panels = [
            ("before", &wipe.before),
            (&format!("after: {name}"), &wipe.after),
            ("truth", &wipe.truth),
        ];
        figure::beside(&panels).save(&out.join("before_after_truth.png"))?;
    }
    let html = page::render(evaluation, &wipes, training)?;
    write(&out.join("report.html"), html.as_bytes())?;
    write(&out.join("report.md"), evaluation.markdown().as_bytes())?;
    let json = serde_json::to_vec_pretty(evaluation)?;
    Ok(write(&out.join("report.json"), &json)?)
}

/// The wanted pairs, and what `shown` made of them: of a sequence all frames up to them are restored, for
/// what a temporal student gives depends on those.
fn again(
    pairs: &PairSet,
    shown: &mut dyn Restore,
    colour: Colour,
    wanted: &BTreeSet<usize>,
) -> anyhow::Result<BTreeMap<usize, (Pair, Picture)>> {
    let mut found = BTreeMap::new();
    let end = wanted.last().map_or(0, |last| last + 1);
    shown.follow(pairs.is_sequence());
    for i in 0..end {
        if pairs.is_sequence() || wanted.contains(&i) {
            let pair = pairs.get(i)?;
            let after = restored(shown, &pair, colour)?.rgb;
            if wanted.contains(&i) {
                found.insert(i, (pair, after));
            }
        }
    }
    shown.follow(false);
    Ok(found)
}

/// The busiest part of a pair.
fn crop(pair: &Pair, after: &Picture, caption: String) -> page::Wipe {
    let (h, w) = (
        pair.truth.height.min(WINDOW.0),
        pair.truth.width.min(WINDOW.1),
    );
    let (top, left) = figure::busiest(&pair.truth, h, w);
    page::Wipe {
        caption,
        before: pair.input.crop(top, left, h, w),
        after: after.crop(top, left, h, w),
        truth: pair.truth.crop(top, left, h, w),
    }
}

/// Writes a video of inputs and restored pictures in order; all must have one size.
///
/// # Errors
/// When sizes differ, a picture cannot be restored, or the encoder fails.
pub fn side_by_side(
    path: &Path,
    pairs: &PairSet,
    shown: &mut dyn Restore,
    colour: Colour,
    fps: u32,
) -> anyhow::Result<()> {
    let mut writer: Option<(video::Writer, usize, usize)> = None;
    let label = format!("after: {}", shown.name());
    shown.follow(true);
    for i in 0..pairs.len() {
        let pair = pairs.get(i)?;
        let after = restored(shown, &pair, colour)?.rgb;
        let frame = figure::beside(&[("before", &pair.input), (&label, &after)]);
        let (width, height) = (frame.width, frame.height);
        let (writer, w, h) = match &mut writer {
            Some(writer) => writer,
            None => {
                let format = video::Format {
                    width,
                    height,
                    rate: (fps, 1),
                    aspect: (1, 1),
                };
                writer.insert((video::Writer::create(path, format)?, width, height))
            }
        };
        if (*w, *h) != (width, height) {
            bail!(
                "{} has another size than the first picture: no video of both",
                pair.name
            );
        }
        writer.push(&video::Frame::from_picture(&frame))?;
    }
    shown.follow(false);
    writer.map_or(Ok(()), |(writer, ..)| writer.finish())
}

#[cfg(test)]
mod tests {
    use super::super::tests::pairs;
    use super::*;

    /// Gives every picture the number of those that came before it.
    #[derive(Default)]
    struct Counting {
        follows: bool,
        seen: usize,
    }

    impl Restore for Counting {
        fn name(&self) -> String {
            "counting".into()
        }

        fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
            let mut out = input.clone();
            out.data.fill(self.seen as f32 / 255.0);
            self.seen += usize::from(self.follows);
            Ok(out)
        }

        fn follow(&mut self, sequence: bool) {
            (self.follows, self.seen) = (sequence, 0);
        }
    }

    #[test]
    fn frames_are_shown_as_they_were_measured() {
        let wanted = BTreeSet::from([1]);
        for (pairs, seen) in [(pairs(), 0.0), (pairs().as_sequence(), 1.0)] {
            let mut method = Counting::default();
            let found = again(&pairs, &mut method, Colour::Rgb, &wanted).unwrap();
            let (pair, after) = &found[&1];
            assert_eq!((pair.name.as_str(), found.len()), ("5", 1));
            assert_eq!(after.data[0] * 255.0, seen);
            assert!(!method.follows);
        }
    }
}
