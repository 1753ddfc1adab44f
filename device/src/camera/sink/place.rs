//! The files, folders and devices behind sinks.

use std::path::{Path, PathBuf};

use super::{SinkKind, SinkSpec};
use crate::atomic;
use crate::camera::error::CameraError;
use crate::camera::source::{SourceKind, SourceSpec};
use crate::place::Place;

/// Where the kernel says how v4l2loopback was loaded.
const EXCLUSIVE: &str = "/sys/module/v4l2loopback/parameters/exclusive_caps";

impl SinkSpec {
    /// The file or folder that appears when the output is complete.
    pub fn target(&self) -> Option<&Path> {
        match &self.kind {
            SinkKind::File(path)
            | SinkKind::Lossless(path)
            | SinkKind::Raw(path)
            | SinkKind::Frames(path) => Some(path),
            SinkKind::Record(_)
            | SinkKind::Rtsp(_)
            | SinkKind::Hls(_)
            | SinkKind::V4l2(_)
            | SinkKind::Display
            | SinkKind::Null
            | SinkKind::Gst(_) => None,
        }
    }

    /// Makes the place that is written until then, so that a path that cannot be written is known
    /// before the first frame.
    ///
    /// # Errors
    /// [`CameraError::SinkPath`].
    pub fn prepare(&self) -> Result<(), CameraError> {
        match &self.kind {
            SinkKind::Record(recording) => return folder(&recording.folder),
            SinkKind::Hls(playlist) => return folder(&playlist.folder),
            SinkKind::V4l2(device) => return virtual_camera(device),
            _ => {}
        }
        let Some(target) = self.target() else {
            return Ok(());
        };
        let failed = |reason: String| CameraError::SinkPath {
            path: target.to_owned(),
            reason,
        };
        let part = atomic::part_path(target);
        if let SinkKind::Frames(_) = self.kind {
            if std::fs::read_dir(target).is_ok_and(|mut d| d.next().is_some()) {
                return Err(failed("the folder is not empty".into()));
            }
            // Left by a run that was killed: its frames must not mix with this run's.
            let _ = std::fs::remove_dir_all(&part);
            return std::fs::create_dir(&part).map_err(|e| failed(e.to_string()));
        }
        if target.is_dir() {
            return Err(failed("it is a folder".into()));
        }
        if target.exists() && !target.is_file() {
            // A rename would put a file in its place.
            return Err(failed(
                "it is no file; 'gst:filesink location=PATH' writes to it as it is".into(),
            ));
        }
        std::fs::File::create(&part)
            .map(|_| ())
            .map_err(|e| failed(e.to_string()))
    }

    /// What a person should know of PNG files that hold less than the frames did.
    pub(in crate::camera) fn colourless(&self) -> Option<String> {
        let SinkKind::Frames(folder) = &self.kind else {
            return None;
        };
        Some(format!(
            "note: frames:{} holds the luma of these frames, as grey pictures; for colour write \
             'gst:videoconvert ! video/x-raw,format=RGB ! pngenc ! multifilesink location=DIR/%06d.png'",
            folder.display()
        ))
    }

    /// What a person should know before the first frame, if anything.
    pub fn warning(&self) -> Option<String> {
        match &self.kind {
            SinkKind::Rtsp(address) if address.open_to_all() => Some(format!(
                "whoever reaches this board sees the camera at {address}; rtsp://USER:PASSWORD@... asks for a password"
            )),
            SinkKind::V4l2(_) => exclusive_caps(&std::fs::read_to_string(EXCLUSIVE).ok()?),
            _ => None,
        }
    }
}

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

/// Makes a folder that can be written.
fn folder(path: &Path) -> Result<(), CameraError> {
    let failed = |reason: String| CameraError::SinkPath {
        path: path.to_owned(),
        reason,
    };
    std::fs::create_dir_all(path).map_err(|e| failed(e.to_string()))?;
    // Only an attempt tells: permissions, read-only mounts and quotas have their own rules.
    tempfile_in(path).map_err(|e| failed(e.to_string()))
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path: PathBuf = folder.join(format!(".honed-{}", std::process::id()));
    std::fs::File::create(&path)?;
    std::fs::remove_file(&path)
}

fn virtual_camera(device: &Path) -> Result<(), CameraError> {
    std::fs::metadata(device).map(|_| ()).map_err(|e| {
        CameraError::SinkPath {
            path: device.to_owned(),
            reason: format!(
                "{e}; make it with `sudo modprobe v4l2loopback exclusive_caps=1` (package v4l2loopback-dkms), without exclusive_caps browsers do not see it"
            ),
        }
    })
}

/// Advice when v4l2loopback's `parameter` says that a device offers both directions.
fn exclusive_caps(parameter: &str) -> Option<String> {
    let off = parameter.trim().split(',').next() == Some("N");
    off.then(|| {
        "v4l2loopback runs without exclusive_caps=1, so browsers may not see the virtual camera: \
         sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let prepare = |text: String| text.parse::<SinkSpec>().unwrap().prepare();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let error = prepare(inside("none/out.mp4")).unwrap_err().to_string();
        assert!(error.contains("none/out.mp4: No such file"), "{error}");
        std::fs::write(folder.path().join("old.png"), b"").unwrap();
        let full = format!("frames:{}", folder.path().display());
        assert!(prepare(full).unwrap_err().to_string().contains("not empty"));
        let error = prepare(format!("record:{}", inside("old.png/clips"))).unwrap_err();
        assert!(error.to_string().contains("old.png/clips"), "{error}");
        prepare(inside("out.mp4")).unwrap();
        prepare(format!("hls:{}", inside("www"))).unwrap();
        assert!(!folder.path().join("out.mp4").exists());
    }

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

    #[test]
    fn a_virtual_camera_comes_with_advice() {
        let sink: SinkSpec = "v4l2:/dev/video-none".parse().unwrap();
        let error = sink.prepare().unwrap_err().to_string();
        assert!(error.contains("exclusive_caps=1"), "{error}");
        assert!(exclusive_caps("N,N,N,N\n").is_some());
        assert_eq!(exclusive_caps("Y,N,N,N\n"), None);
    }
}
