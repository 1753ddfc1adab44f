//! Sinks that write many files into a folder: `DIR[,key=number]...`.

use std::num::IntErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::atomic;
use crate::camera::sharpener::lock;

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
                "segment" => return Err("segment is in whole seconds: give 1 to 86400".into()),
                "quota" if (1..=LARGEST_QUOTA).contains(&value) => recording.quota = Some(value),
                "quota" => return Err(format!("quota is in whole GiB: give 1 to {LARGEST_QUOTA}")),
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

/// Why a playlist could not be published, the first time that it could not.
pub(in crate::camera) type Unpublished = Arc<Mutex<Option<String>>>;

impl Playlist {
    /// Reads `DIR[,segment=SECONDS][,keep=N]`; says what is wrong with any other text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let example = "give a folder, as in hls:www,segment=2,keep=6";
        let (folder, options) = split(text).ok_or(example)?;
        let mut playlist = Self {
            folder,
            segment: 2,
            keep: 6,
        };
        for (key, value) in options {
            let value = u32::try_from(value).unwrap_or(u32::MAX);
            match key {
                "segment" if (1..=60).contains(&value) => playlist.segment = value,
                "segment" => return Err("segment is in whole seconds: give 1 to 60".into()),
                "keep" if (3..=100).contains(&value) => playlist.keep = value,
                "keep" => return Err("keep is a number of segments: give 3 to 100".into()),
                _ => return Err(example.into()),
            }
        }
        Ok(playlist)
    }

    /// Tells `sink`, the `hlssink2` of `pipeline`, where to write, and to count on from the segments of earlier starts:
    /// players and caches may hold those under their names. It tells `unpublished` when viewers no longer see the newest.
    pub(in crate::camera) fn begin(
        &self,
        pipeline: &gst::Pipeline,
        sink: &gst::Element,
        unpublished: Unpublished,
    ) {
        let playlist = self.folder.join("live.m3u8");
        sink.set_property("location", numbered(&self.folder, "live%05d.ts"));
        let next = self.next_number();
        let written = atomic::part_path(&playlist);
        sink.set_property("playlist-location", written.display().to_string());
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                let segment = "splitmuxsink-fragment-closed";
                let more = message.structure().is_some_and(|s| s.name() == segment);
                if (more || message.type_() == gst::MessageType::Eos)
                    && let Err(e) = publish(&written, &playlist, next)
                {
                    let reason = format!("cannot write {}: {e}", playlist.display());
                    lock(&unpublished).get_or_insert(reason);
                }
                gst::BusSyncReply::Pass
            });
        }
        let children = sink.downcast_ref::<gst::Bin>().map(|bin| bin.children());
        for child in children.unwrap_or_default() {
            if child.find_property("start-index").is_some() {
                child.set_property("start-index", next);
            }
        }
    }

    /// The number of the first segment of this start. Of earlier ones those stay that their last playlist may name, for
    /// players may still ask for them. Empty ones, as every start leaves one while the disk is full, push none of those out.
    fn next_number(&self) -> i32 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut earlier: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
            .collect();
        earlier.sort();
        let next = earlier.last().and_then(|(last, _)| last.checked_add(1));
        let empty = |path: &Path| path.metadata().is_ok_and(|file| file.len() == 0);
        let (nothing, segments): (Vec<_>, Vec<_>) =
            earlier.iter().partition(|(_, path)| empty(path));
        let stay = self.keep as usize + 2;
        let old = segments.iter().rev().skip(stay);
        for (_, path) in nothing.iter().chain(old) {
            // One that cannot be removed is no reason not to stream.
            let _ = std::fs::remove_file(path);
        }
        next.unwrap_or_default()
    }
}

/// Gives the playlist that was just `written` its name, and the numbers of a stream that goes on: `hlssink2` begins each at
/// 0, and players that had come further would wait until it is there again.
fn publish(written: &Path, playlist: &Path, first: i32) -> std::io::Result<()> {
    let text = match std::fs::read_to_string(written) {
        // An output that cannot write it fails by itself.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    std::fs::write(written, continued(&text, first))?;
    std::fs::rename(written, playlist)
}

/// A playlist with the numbers that its segments have in their names. Before the segment `first` there is a break in time
/// unless nothing was before; players count breaks, also those that are no longer in the playlist.
fn continued(text: &str, first: i32) -> String {
    let Some(begins) = text.lines().find_map(number) else {
        return text.to_owned();
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start));
    let (sequence, segment) = (at("#EXT-X-MEDIA-SEQUENCE:"), at("#EXTINF:"));
    let breaks_here = first > 0 && begins == first;
    if let Some(segment) = segment.filter(|_| breaks_here) {
        lines.insert(segment, "#EXT-X-DISCONTINUITY".into());
    }
    if let Some(sequence) = sequence {
        lines[sequence] = format!("#EXT-X-MEDIA-SEQUENCE:{begins}");
        // A number that only grows, start by start.
        let breaks = first - i32::from(breaks_here);
        lines.insert(
            sequence + 1,
            format!("#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}"),
        );
    }
    lines.join("\n") + "\n"
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

/// A folder and its options, every value a number; one too large for a number stands for the largest, and what is no whole
/// number for 0, which no option takes.
fn split(text: &str) -> Option<(PathBuf, Vec<(&str, u64)>)> {
    let mut parts = text.split(',');
    let folder = parts.next().filter(|folder| !folder.is_empty())?.into();
    let options = parts.map(|part| {
        let (key, value) = part.split_once('=')?;
        let value = match value.parse::<u64>() {
            Err(e) if *e.kind() == IntErrorKind::PosOverflow => u64::MAX,
            value => value.unwrap_or_default(),
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
        for wrong in ["0", "0.5", "x", "1048577", "99999999999999999999999"] {
            let error = Recording::parse(&format!("clips,quota={wrong}")).unwrap_err();
            assert_eq!(error, "quota is in whole GiB: give 1 to 1048576");
        }
        let most = Recording::parse("clips,quota=1048576").unwrap();
        assert_eq!(most.quota_bytes(), Some(1 << 50));
        assert!(Recording::parse("clips,segment=0").is_err());
        assert!(Recording::parse("clips,quota").is_err());
    }

    #[test]
    fn a_playlist_says_what_it_takes() {
        for (wrong, told) in [
            ("www,keep=2", "give 3 to 100"),
            ("www,segment=0.5", "give 1 to 60"),
            ("www,segment=9999999999", "give 1 to 60"),
            ("www,quota=1", "as in hls:www,segment=2,keep=6"),
        ] {
            let error = Playlist::parse(wrong).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
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
            std::fs::write(folder.path().join(name), "pictures").unwrap();
        }
        std::fs::write(folder.path().join("live.ts"), "").unwrap();
        assert_eq!(playlist.next_number(), 9);
        assert!(!folder.path().join("live00003.ts").exists());
        assert!(folder.path().join("live00004.ts").exists());
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count(), 6);
        // Starts on a full disk leave the segments that can be seen.
        for n in 9..20 {
            let name = format!("live{n:05}.ts");
            std::fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(playlist.next_number(), n + 1);
        }
        assert!(folder.path().join("live00004.ts").exists());
        assert_eq!(count(), 6);
    }

    #[test]
    fn a_playlist_goes_on_where_an_earlier_one_ended() {
        let text = |sequence: &str, first: &str| {
            format!(
                "#EXTM3U\n{sequence}\n\n{first}#EXTINF:2,\nlive00042.ts\n#EXTINF:2,\nlive00043.ts\n"
            )
        };
        let written = text("#EXT-X-MEDIA-SEQUENCE:0", "");
        for (first, breaks, mark) in [(0, 0, ""), (41, 41, ""), (42, 41, "#EXT-X-DISCONTINUITY\n")]
        {
            let sequence =
                format!("#EXT-X-MEDIA-SEQUENCE:42\n#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}");
            assert_eq!(continued(&written, first), text(&sequence, mark));
        }
    }

    #[test]
    fn a_playlist_that_nobody_can_see_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [written, taken] = ["live.m3u8.part", "live.m3u8"].map(|n| folder.path().join(n));
        std::fs::create_dir(&taken).unwrap();
        publish(&written, &taken, 0).unwrap();
        std::fs::write(&written, "#EXTM3U\n").unwrap();
        assert!(publish(&written, &taken, 0).is_err());
        std::fs::remove_dir(&taken).unwrap();
        publish(&written, &taken, 0).unwrap();
        assert!(taken.is_file() && !written.exists());
    }

    #[test]
    fn the_sink_is_told_its_first_number() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("live00041.ts"), "").unwrap();
        let playlist = Playlist::parse(&folder.path().display().to_string()).unwrap();
        let sink = gst::ElementFactory::make("hlssink2").build().unwrap();
        playlist.begin(&gst::Pipeline::new(), &sink, Unpublished::default());
        let bin = sink.downcast_ref::<gst::Bin>().unwrap();
        let first: i32 = bin.children()[0].property("start-index");
        assert_eq!(first, 42);
    }
}
