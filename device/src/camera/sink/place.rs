//! The files, folders and devices behind sinks.

use std::path::{Path, PathBuf};

use super::held::Held;
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
    /// before the first frame. No other process writes it until what is returned goes.
    ///
    /// # Errors
    /// [`CameraError::SinkPath`].
    pub(in crate::camera) fn prepare(&self) -> Result<Option<Held>, CameraError> {
        match &self.kind {
            // Several may record into one folder: their segments have names of their own.
            SinkKind::Record(recording) => return folder(&recording.folder).map(|()| None),
            SinkKind::Hls(playlist) => {
                folder(&playlist.folder)?;
                let held = Held::inside(&playlist.folder, "hls");
                return held.map(Some).map_err(|e| unheld(&playlist.folder, &e));
            }
            SinkKind::V4l2(device) => return virtual_camera(device).map(|()| None),
            _ => {}
        }
        let Some(target) = self.target() else {
            return Ok(None);
        };
        let failed = |reason: String| CameraError::SinkPath {
            path: target.to_owned(),
            reason,
        };
        let made = |made: std::io::Result<Held>| made.map(Some).map_err(|e| unheld(target, &e));
        if let Some(parent) = target.parent() {
            if parent.metadata().is_ok_and(|found| !found.is_dir()) {
                let reason = format!("{} is no folder: give another name", parent.display());
                return Err(failed(reason));
            }
            std::fs::create_dir_all(parent).map_err(|e| failed(cause(&e)))?;
        }
        let part = atomic::part_path(target);
        if let SinkKind::Frames(_) = self.kind {
            // A folder cannot be renamed to what is none, a link to one included.
            if let Some(reason) = no_folder(target.symlink_metadata()) {
                return Err(failed(reason.into()));
            }
            if std::fs::read_dir(target).is_ok_and(|mut d| d.next().is_some()) {
                return Err(failed("the folder is not empty".into()));
            }
            let _left = Held::left(&part).map_err(|e| unheld(target, &e))?;
            // Left by a run that was killed: its frames must not mix with this run's.
            let _ = std::fs::remove_dir_all(&part);
            return made(std::fs::create_dir(&part).and_then(|()| Held::folder(&part)));
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
        made(Held::file(&part))
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

/// Why `target` is not there to be written.
pub(in crate::camera) fn unheld(target: &Path, error: &std::io::Error) -> CameraError {
    match error.kind() {
        std::io::ErrorKind::ResourceBusy => CameraError::SinkHeld(target.to_owned()),
        _ => CameraError::SinkPath {
            path: target.to_owned(),
            reason: cause(error),
        },
    }
}

/// Makes a folder that can be written.
fn folder(path: &Path) -> Result<(), CameraError> {
    let failed = |reason: String| CameraError::SinkPath {
        path: path.to_owned(),
        reason,
    };
    if let Some(reason) = no_folder(path.metadata()) {
        return Err(failed(reason.into()));
    }
    std::fs::create_dir_all(path).map_err(|e| failed(cause(&e)))?;
    // Only an attempt tells: permissions, read-only mounts and quotas have their own rules.
    tempfile_in(path).map_err(|e| failed(cause(&e)))
}

/// What is wrong with a thing that stands in a folder's place; nothing where there is none.
fn no_folder(found: std::io::Result<std::fs::Metadata>) -> Option<&'static str> {
    match found {
        Ok(found) if found.is_symlink() => Some("it is a link: name the folder that it leads to"),
        Ok(found) if !found.is_dir() => Some("it is no folder: give another name"),
        _ => None,
    }
}

/// The system's words, with the way out for a service, to which nearly everything is read-only.
fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => format!(
            "{error}; for a service make a folder that its user owns, and name it in `systemctl edit honed`: \
             [Service] and below it ReadWritePaths=FOLDER"
        ),
        _ => error.to_string(),
    }
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
        std::fs::write(folder.path().join("old.png"), b"").unwrap();
        let error = prepare(inside("old.png/out.mp4")).unwrap_err().to_string();
        assert!(error.contains("old.png is no folder"), "{error}");
        prepare(format!("lossless:{}", inside("clips/one.mkv"))).unwrap();
        assert!(folder.path().join("clips/one.mkv.part").exists());
        std::fs::remove_dir_all(folder.path().join("clips")).unwrap();
        let full = format!("frames:{}", folder.path().display());
        assert!(prepare(full).unwrap_err().to_string().contains("not empty"));
        let error = prepare(format!("record:{}", inside("old.png/clips"))).unwrap_err();
        assert!(error.to_string().contains("old.png/clips"), "{error}");
        for kind in ["frames", "hls", "record"] {
            let error = prepare(format!("{kind}:{}", inside("old.png"))).unwrap_err();
            assert!(error.to_string().contains("it is no folder"), "{error}");
        }
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        std::os::unix::fs::symlink("empty", folder.path().join("link")).unwrap();
        let error = prepare(format!("frames:{}", inside("link"))).unwrap_err();
        assert!(error.to_string().contains("it is a link"), "{error}");
        prepare(inside("out.mp4")).unwrap();
        prepare(format!("hls:{}", inside("www"))).unwrap();
        assert!(!folder.path().join("out.mp4").exists());
    }

    #[test]
    fn a_service_is_told_how_it_may_write_elsewhere() {
        let told = cause(&std::io::ErrorKind::ReadOnlyFilesystem.into());
        assert!(told.contains("ReadWritePaths="), "{told}");
        let told = cause(&std::io::ErrorKind::PermissionDenied.into());
        assert!(!told.contains("ReadWritePaths="), "{told}");
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
