//! Sinks that write many files into a folder: `DIR[,key=number]...`.

use std::num::IntErrorKind;
use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;

/// Largest quota in GiB, a thousand TiB.
const LARGEST_QUOTA: u64 = 1 << 20;

/// A recording in segments: earlier ones play whatever happens to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Where the segments go.
    pub folder: PathBuf,
    /// Seconds of each.
    pub segment: u64,
    /// Most GiB of all together; `None` for no limit.
    pub quota: Option<u64>,
}

impl Recording {
    /// Reads `DIR[,segment=SECONDS][,quota=GIB]`; says what is wrong with any other text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let example = "give a folder, as in record:clips,segment=60,quota=8";
        let (folder, options) = split(text).ok_or(example)?;
        let mut recording = Self {
            folder,
            segment: 60,
            quota: None,
        };
        for (key, value) in options {
            match key {
                "segment" if (1..=86_400).contains(&value) => recording.segment = value,
                "segment" => return Err("segment is in seconds: give 1 to 86400".into()),
                "quota" if (1..=LARGEST_QUOTA).contains(&value) => recording.quota = Some(value),
                "quota" => return Err(format!("quota is in GiB: give 1 to {LARGEST_QUOTA}")),
                _ => return Err(example.into()),
            }
        }
        Ok(recording)
    }

    /// Most bytes of all together.
    pub(in crate::camera) fn quota_bytes(&self) -> Option<u64> {
        self.quota.map(|quota| quota.saturating_mul(1 << 30))
    }
}

/// A stream for browsers and players over any web server: a playlist and the newest segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playlist {
    /// Where `live.m3u8` and its segments go.
    pub folder: PathBuf,
    /// Seconds of each segment.
    pub segment: u32,
    /// Segments that the playlist names; older ones are deleted.
    pub keep: u32,
}

impl Playlist {
    /// Reads `DIR[,segment=SECONDS][,keep=N]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (folder, options) = split(text)?;
        let mut playlist = Self {
            folder,
            segment: 2,
            keep: 6,
        };
        for (key, value) in options {
            let value = u32::try_from(value).ok()?;
            match key {
                "segment" if (1..=60).contains(&value) => playlist.segment = value,
                "keep" if (3..=100).contains(&value) => playlist.keep = value,
                _ => return None,
            }
        }
        Some(playlist)
    }

    /// Tells `hlssink2` where to write, and to count on from the segments of earlier starts: players and caches may hold
    /// those under their names.
    pub(in crate::camera) fn begin(&self, sink: &gst::Element) {
        let playlist = self.folder.join("live.m3u8");
        sink.set_property("location", numbered(&self.folder, "live%05d.ts"));
        sink.set_property("playlist-location", playlist.display().to_string());
        let next = self.next_number();
        let children = sink.downcast_ref::<gst::Bin>().map(|bin| bin.children());
        for child in children.unwrap_or_default() {
            if child.find_property("start-index").is_some() {
                child.set_property("start-index", next);
            }
        }
    }

    /// The number of the first segment of this start. Of earlier ones those stay that their last playlist may name, for
    /// players may still ask for them.
    fn next_number(&self) -> i32 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut earlier: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
            .collect();
        earlier.sort();
        let next = earlier.last().and_then(|(last, _)| last.checked_add(1));
        let stay = self.keep as usize + 2;
        for (_, path) in earlier.iter().rev().skip(stay) {
            // One that cannot be removed is no reason not to stream.
            let _ = std::fs::remove_file(path);
        }
        next.unwrap_or_default()
    }
}

/// The files of a folder as GStreamer, which hands it all to C's printf, numbers them by a `pattern` such as `%06d.png`.
pub(in crate::camera) fn numbered(folder: &Path, pattern: &str) -> String {
    let folder = folder.display().to_string().replace('%', "%%");
    Path::new(&folder).join(pattern).display().to_string()
}

/// The number in the name of a segment that `hlssink2` wrote.
fn number(name: &str) -> Option<i32> {
    let digits = name.strip_prefix("live")?.strip_suffix(".ts")?;
    let made = digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| made)
}

/// A folder and its options, every value a number; one too large for a number stands for the largest.
fn split(text: &str) -> Option<(PathBuf, Vec<(&str, u64)>)> {
    let mut parts = text.split(',');
    let folder = parts.next().filter(|folder| !folder.is_empty())?.into();
    let options = parts.map(|part| {
        let (key, value) = part.split_once('=')?;
        let value = match value.parse::<u64>() {
            Err(e) if *e.kind() == IntErrorKind::PosOverflow => u64::MAX,
            value => value.ok()?,
        };
        Some((key, value))
    });
    Some((folder, options.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_no_disk_has_is_refused() {
        for wrong in ["0", "1048577", "17179869184", "99999999999999999999999"] {
            let error = Recording::parse(&format!("clips,quota={wrong}")).unwrap_err();
            assert_eq!(error, "quota is in GiB: give 1 to 1048576");
        }
        let most = Recording::parse("clips,quota=1048576").unwrap();
        assert_eq!(most.quota_bytes(), Some(1 << 50));
        assert!(Recording::parse("clips,segment=0").is_err());
        assert!(Recording::parse("clips,quota=x").is_err());
    }

    #[test]
    fn only_the_name_is_numbered() {
        let pattern = |folder: &str| numbered(Path::new(folder), "%06d.png");
        assert_eq!(pattern("100%/p%s"), "100%%/p%%s/%06d.png");
        assert_eq!(pattern("/sharp"), "/sharp/%06d.png");
    }

    #[test]
    fn segments_count_on_from_an_earlier_start() {
        let folder = tempfile::tempdir().unwrap();
        let playlist = Playlist {
            folder: folder.path().to_owned(),
            segment: 2,
            keep: 3,
        };
        assert_eq!(playlist.next_number(), 0);
        for name in (0..9).map(|n| format!("live{n:05}.ts")) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::write(folder.path().join("live.ts"), "").unwrap();
        assert_eq!(playlist.next_number(), 9);
        assert!(!folder.path().join("live00003.ts").exists());
        assert!(folder.path().join("live00004.ts").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
    }

    #[test]
    fn the_sink_is_told_its_first_number() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("live00041.ts"), "").unwrap();
        let playlist = Playlist::parse(&folder.path().display().to_string()).unwrap();
        let sink = gst::ElementFactory::make("hlssink2").build().unwrap();
        playlist.begin(&sink);
        let bin = sink.downcast_ref::<gst::Bin>().unwrap();
        let first: i32 = bin.children()[0].property("start-index");
        assert_eq!(first, 42);
    }
}
