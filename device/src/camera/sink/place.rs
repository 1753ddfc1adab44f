//! The files, folders and devices behind sinks.

use std::path::{Path, PathBuf};

use super::{SinkKind, SinkSpec};
use crate::atomic;
use crate::camera::error::CameraError;

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

/// Sees that no two sinks write the same file or folder.
///
/// # Errors
/// [`CameraError::SinkPath`] with the one that is given twice.
pub fn apart(sinks: &[SinkSpec]) -> Result<(), CameraError> {
    let mut taken: Vec<PathBuf> = Vec::new();
    for target in sinks.iter().filter_map(SinkSpec::target) {
        let place = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
        if taken.contains(&place) {
            return Err(CameraError::SinkPath {
                path: target.to_owned(),
                reason: "two sinks write it: give each a file of its own".into(),
            });
        }
        taken.push(place);
    }
    Ok(())
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
        for pair in [["a.mkv", "./a.mkv"], ["a.mkv", "lossless:a.mkv"]] {
            let error = apart(&sinks(&pair)).unwrap_err().to_string();
            assert!(error.contains("two sinks write it"), "{error}");
        }
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
