//! When a video's frames are shown. What is written has a constant rate, so a video without one must be
//! brought to it, or it would play too fast or too slowly.

use std::path::Path;

use anyhow::bail;

use crate::data::clips::ask::ask;

/// Kinds of streams whose times are looked at, without decoding them; not VP8, which stores pictures that are
/// never shown.
const KINDS: &str = "video/x-h264;video/x-h265;video/x-vp9;video/x-av1;video/mpeg;image/jpeg;\
                     video/x-theora;video/x-prores;video/x-msmpeg;video/x-divx;video/x-xvid;video/x-h263";
/// Rates that a camera has; matroska files without one are said to have 1000.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=500.0;

/// How a video is brought to a constant rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evened {
    /// Frames in `rate.1` seconds.
    pub rate: (u32, u32),
    /// Pictures that it holds, and about how many it takes at that rate.
    pub pictures: (usize, usize),
}

impl Evened {
    /// What the user should know, unless every picture is shown once.
    pub fn note(&self, path: &Path) -> Option<String> {
        let (stored, shown) = self.pictures;
        uneven(stored, shown as f64).then(|| {
            format!(
                "{}: its {stored} pictures are spaced unevenly in time: read at {:.2} frames a second as about \
                 {shown}, some of them repeated or left out",
                path.display(),
                f64::from(self.rate.0) / f64::from(self.rate.1)
            )
        })
    }
}

/// What has to be done so that the video lasts as long as it does, `said` being the rate it announces;
/// `None` when that is right already, or nothing is known of its times.
///
/// # Errors
/// When GStreamer gets stuck, or the pictures change to another size of as many pixels: whoever reads them
/// from a pipe cannot tell those apart.
pub(super) fn look(path: &Path, said: Option<(u32, u32)>) -> anyhow::Result<Option<Evened>> {
    let mut times = Vec::new();
    let (mut before, mut pictures, mut turned) = (None, 0u64, None);
    let pipeline = format!("! parsebin ! {KINDS} ! fakesink name=times silent=false");
    ask(path, &pipeline, |line| {
        times.extend(time(line));
        pictures += u64::from(line.contains("last-message = chain"));
        if let Some((width, height)) = size(line) {
            let alike = |(w, h): (u64, u64)| w * h == width * height && w != width;
            if before.is_some_and(alike) {
                turned.get_or_insert(pictures + 1);
            }
            before = Some((width, height));
        }
    })?;
    if let Some(picture) = turned {
        bail!(
            "{} changes the size of its pictures at frame {picture}: take its parts one by one",
            path.display()
        );
    }
    Ok(judge(times, said))
}

/// Width and height in a line that tells what kind of pictures come.
fn size(line: &str) -> Option<(u64, u64)> {
    let (_, caps) = line.split_once("times.GstPad:sink: caps = ")?;
    let side = |name: &str| {
        let (_, rest) = caps.split_once(name)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok().map(u64::from)
    };
    Some((side(" width=(int)")?, side(" height=(int)")?))
}

/// The time in a line that tells of a picture.
fn time(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("last-message = chain")?;
    let (_, rest) = rest.split_once(" pts: ")?;
    let text = rest.split(',').next()?;
    let mut parts = text.split([':', '.']);
    let mut next = || parts.next()?.parse::<u64>().ok();
    let (hours, minutes, seconds, nanoseconds) = (next()?, next()?, next()?, next()?);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

fn judge(mut times: Vec<u64>, said: Option<(u32, u32)>) -> Option<Evened> {
    let stored = times.len();
    times.sort_unstable();
    let mut steps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.retain(|&step| step > 0);
    steps.sort_unstable();
    let typical = *steps.get(steps.len() / 2)?;
    let seconds = (times.last()? - times.first()? + typical) as f64 / 1e9;
    let per_second = |(n, d): (u32, u32)| f64::from(n) / f64::from(d);
    if said.is_some_and(|rate| !uneven(stored, seconds * per_second(rate))) {
        return None;
    }
    // Fast enough that hardly a picture is left out, and no single odd step decides. Where all are about as
    // long, rounding to milliseconds makes their mean the better guess.
    let fast = 1e9 / *steps.get(steps.len() / 4)? as f64;
    let mean = stored as f64 / seconds;
    let usual = if fast < 1.05 * mean { mean } else { fast };
    let usual = usual.clamp(*RATES.start(), *RATES.end());
    let plausible =
        |rate: &(u32, u32)| RATES.contains(&per_second(*rate)) && per_second(*rate) < 1.5 * usual;
    let found = ((1000.0 * usual).round() as u32, 1000);
    let rate = said.filter(plausible).unwrap_or(found);
    let shown = (seconds * per_second(rate)).round() as usize;
    Some(Evened {
        rate,
        pictures: (stored, shown),
    })
}

/// More than rounding, and frames before the first whole picture, explain.
fn uneven(stored: usize, shown: f64) -> bool {
    let apart = (stored as f64 - shown).abs();
    apart > 2.0 && apart > 0.02 * stored as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn times_are_read() {
        let line = "/GstPipeline:p/GstFakeSink:times: last-message = chain   ******* (times:sink) (65 bytes, \
                    dts: none, pts: 1:02:03.080000000, duration: 0:00:00.04, offset: 163482, offset_end: -1";
        assert_eq!(time(line), Some(3_723_080 * MS));
        assert_eq!(time(&line.replace("1:02:03.080000000", "none")), None);
        assert_eq!(time("last-message = event   ******* (times:sink) E"), None);
        assert_eq!(
            time("last-message = chain pts: 99999999999999999999:0:0.0,"),
            None
        );
    }

    #[test]
    fn even_videos_are_left_alone_and_others_get_their_time() {
        let even: Vec<u64> = (0..300).map(|i| (i * 1001 / 30 + i % 2) * MS).collect();
        assert_eq!(judge(even.clone(), Some((30_000, 1001))), None);
        assert_eq!(judge(Vec::new(), Some((25, 1))), None);
        assert_eq!(judge(vec![5], None), None);

        // A wrong rate is put right without a word: no picture is lost.
        let found = judge((0..12).map(|i| 40 * i * MS).collect(), Some((1000, 1))).unwrap();
        assert_eq!((found.rate, found.pictures), ((25_000, 1000), (12, 12)));
        assert_eq!(found.note(Path::new("a.mkv")), None);

        // 8 pictures of 40 ms, 4 of 200 ms, stored out of order.
        let mut times: Vec<u64> = (0..8)
            .chain([12, 17, 22, 27])
            .map(|i| 40 * i * MS)
            .collect();
        times.swap(3, 5);
        let found = judge(times, Some((25, 1))).unwrap();
        assert_eq!((found.rate, found.pictures), ((25, 1), (12, 28)));
        let note = found.note(Path::new("a.mkv")).unwrap();
        assert!(
            note.contains("a.mkv") && note.contains("25.00 frames a second"),
            "{note}"
        );
    }
}
