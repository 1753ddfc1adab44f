//! Sinks that write many files into a folder: `DIR[,key=number]...`.

use std::path::PathBuf;

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
    /// Reads `DIR[,segment=SECONDS][,quota=GIB]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (folder, options) = split(text)?;
        let mut recording = Self {
            folder,
            segment: 60,
            quota: None,
        };
        for (key, value) in options {
            match key {
                "segment" if value <= 86_400 => recording.segment = value,
                "quota" => recording.quota = Some(value),
                _ => return None,
            }
        }
        Some(recording)
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
                "segment" if value <= 60 => playlist.segment = value,
                "keep" if (3..=100).contains(&value) => playlist.keep = value,
                _ => return None,
            }
        }
        Some(playlist)
    }
}

/// A folder and its options, every value a positive number.
fn split(text: &str) -> Option<(PathBuf, Vec<(&str, u64)>)> {
    let mut parts = text.split(',');
    let folder = parts.next().filter(|folder| !folder.is_empty())?.into();
    let options = parts.map(|part| {
        let (key, value) = part.split_once('=')?;
        let value = value.parse().ok().filter(|value| *value > 0)?;
        Some((key, value))
    });
    Some((folder, options.collect::<Option<_>>()?))
}
