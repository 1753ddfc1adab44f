//! Which sinks are in each other's way, or in the source's.

use std::path::Path;

use super::{SinkKind, SinkSpec};
use crate::atomic;
use crate::camera::error::CameraError;
use crate::camera::source::{SourceKind, SourceSpec};
use crate::place::Place;

/// Sees that no two sinks write the same file or folder, whatever it is called.
///
/// # Errors
/// [`CameraError::SinkPath`] with the one that is given twice.
pub fn apart(sinks: &[SinkSpec]) -> Result<(), CameraError> {
    let mut taken: Vec<(Use, Place)> = Vec::new();
    for sink in sinks {
        let Some((kind, path)) = used(sink) else {
            continue;
        };
        let places = places(kind, path);
        let clash = places.iter().any(|place| {
            let mut others = taken.iter().filter(|(other, _)| kind.clashes(*other));
            others.any(|(_, other)| other.is(place))
        });
        if clash {
            let (file, folder) = ("file", "folder");
            let own = match sink.kind {
                SinkKind::Record(_) | SinkKind::Hls(_) | SinkKind::Frames(_) => folder,
                _ => file,
            };
            return Err(CameraError::SinkPath {
                path: path.to_owned(),
                reason: format!("two sinks write it: give each a {own} of its own"),
            });
        }
        taken.extend(places.into_iter().map(|place| (kind, place)));
    }
    Ok(())
}

/// Sees that no sink replaces what `source` reads.
///
/// # Errors
/// [`CameraError::SinkPath`] with the sink that would.
pub fn spare(source: &SourceSpec, sinks: &[SinkSpec]) -> Result<(), CameraError> {
    let (SourceKind::File(read) | SourceKind::Images(read)) = &source.kind else {
        return Ok(());
    };
    let read = Place::of(read);
    for target in sinks.iter().filter_map(SinkSpec::target) {
        if places(Use::Target, target)
            .iter()
            .any(|place| place.is(&read))
        {
            return Err(CameraError::SinkPath {
                path: target.to_owned(),
                reason: "this run reads it as its source: give the output another name".into(),
            });
        }
    }
    Ok(())
}

/// What a sink does with its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It appears at the end.
    Target,
    /// Segments are written into it and count towards its quota.
    Segments,
    /// A playlist and its segments are written into it.
    Playlist,
}

impl Use {
    /// A web server may well offer recordings beside the stream: their names differ.
    fn clashes(self, other: Self) -> bool {
        self == other || self == Self::Target || other == Self::Target
    }
}

fn used(sink: &SinkSpec) -> Option<(Use, &Path)> {
    match &sink.kind {
        SinkKind::Record(recording) => Some((Use::Segments, &recording.folder)),
        SinkKind::Hls(playlist) => Some((Use::Playlist, &playlist.folder)),
        _ => sink.target().map(|target| (Use::Target, target)),
    }
}

/// Where a sink writes: a target under another name first.
fn places(kind: Use, path: &Path) -> Vec<Place> {
    let part = (kind == Use::Target).then(|| Place::of(&atomic::part_path(path)));
    [Place::of(path)].into_iter().chain(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sinks_do_not_share_a_file() {
        let sinks = |names: &[&str]| -> Vec<SinkSpec> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        apart(&sinks(&["a.mkv", "b.mkv", "raw:c.raw", "null", "null"])).unwrap();
        apart(&sinks(&["record:www", "hls:www"])).unwrap();
        for pair in [
            ["a.mkv", "./a.mkv"],
            ["a.mkv", "lossless:a.mkv"],
            ["a.mkv", "none/../a.mkv"],
            ["a.mkv", "raw:a.mkv.part"],
            ["hls:www", "hls:www/.,keep=4"],
            ["record:clips", "record:clips/,quota=8"],
            ["record:clips", "frames:clips"],
        ] {
            let error = apart(&sinks(&pair)).unwrap_err().to_string();
            assert!(error.contains("two sinks write it"), "{error}");
        }
    }

    #[test]
    fn a_source_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film.mkv");
        std::fs::write(&film, b"film").unwrap();
        std::os::unix::fs::symlink(&film, folder.path().join("link.mkv")).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let check = |source: &str, sink: String| {
            let sinks = [sink.parse().unwrap()];
            spare(&source.parse().unwrap(), &sinks).map_err(|e| e.to_string())
        };
        check(&at("film.mkv"), at("sharp.mkv")).unwrap();
        check("test", at("film.mkv")).unwrap();
        for sink in [at("film.mkv"), at("none/../film.mkv"), at("link.mkv")] {
            let error = check(&at("film.mkv"), sink).unwrap_err();
            assert!(error.contains("as its source"), "{error}");
        }
        check(&at("film.mkv.part"), at("film.mkv")).unwrap_err();
        let images = format!("images:{}", folder.path().display());
        check(&images, format!("frames:{}", at("."))).unwrap_err();
    }
}
