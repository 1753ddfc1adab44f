//! Where frames come from: the text a user gives, and the head of the pipeline it stands for.

use std::borrow::Cow;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::str::FromStr;

use super::address::{Address, without_password};
use super::elements;
use super::error::CameraError;

/// A kind of camera or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A moving scene drawn by GStreamer.
    Test,
    /// A video or image file.
    File(PathBuf),
    /// A folder of PNG or JPEG files, in the order of their names.
    Images(PathBuf),
    /// A USB camera or any other Video4Linux device.
    V4l2(PathBuf),
    /// A CSI camera of a Raspberry Pi; the name libcamera gives it, or the first.
    Libcamera(Option<String>),
    /// A CSI camera of a Jetson, by sensor number.
    Argus(u32),
    /// A network camera: rtsp, rtsps, http, https or srt.
    Network(String),
    /// A piece of a GStreamer launch line that ends in raw video.
    Gst(String),
}

/// How fast frames leave a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As the clock says; a frame that comes too late to be of use is dropped.
    Live,
    /// As fast as they are wanted, every single one.
    Every,
}

/// A source as the user described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// The text given, without passwords and what parameters of addresses are set to.
    pub name: String,
    /// What it stands for.
    pub kind: SourceKind,
    /// Width and height wanted from a camera.
    pub size: Option<(u32, u32)>,
    /// Frames a second wanted from a camera.
    pub fps: Option<u32>,
    /// Pace wanted; `None` is live for cameras and `test`, every frame for files.
    pub pace: Option<Pace>,
}

impl FromStr for SourceSpec {
    type Err = CameraError;

    fn from_str(text: &str) -> Result<Self, CameraError> {
        let text = &*lower_scheme(text);
        let wrong = |reason: &str| CameraError::SourceSpec {
            given: without_password(text),
            reason: reason.to_owned(),
        };
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let kind = match scheme {
            "" => {
                return Err(wrong(
                    "give test, a file, images:DIR, v4l2:/dev/videoN, libcamera, argus:N, rtsp://... or gst:LINE",
                ));
            }
            "test" if rest.is_empty() => SourceKind::Test,
            "images" if !rest.is_empty() => SourceKind::Images(rest.into()),
            "images" => return Err(wrong("give a folder, as in images:frames")),
            "v4l2" if rest.is_empty() => SourceKind::V4l2("/dev/video0".into()),
            "v4l2" => SourceKind::V4l2(rest.into()),
            "libcamera" => SourceKind::Libcamera((!rest.is_empty()).then(|| rest.to_owned())),
            "argus" if rest.is_empty() => SourceKind::Argus(0),
            "argus" => SourceKind::Argus(
                rest.parse()
                    .map_err(|_| wrong("give a sensor number, as in argus:0"))?,
            ),
            "rtsp" | "rtsps" | "http" | "https" | "srt" => {
                let Some(address) = Address::of(text) else {
                    return Err(wrong(&format!(
                        "give an address, as in {scheme}://10.0.0.7/"
                    )));
                };
                if let Some(flaw) = address.flaw() {
                    return Err(wrong(&flaw));
                }
                SourceKind::Network(text.to_owned())
            }
            "gst" if !rest.trim().is_empty() => SourceKind::Gst(rest.to_owned()),
            "gst" => return Err(wrong("give a launch line, as in gst:videotestsrc")),
            "file" => SourceKind::File(rest.into()),
            // An address of a server is no name of a file.
            _ if text.contains("://") => {
                return Err(wrong(
                    "give an address that begins with rtsp, rtsps, http, https or srt, or else file:FILE",
                ));
            }
            _ => SourceKind::File(text.into()),
        };
        let name = match &kind {
            SourceKind::Network(_) | SourceKind::Gst(_) => without_password(text),
            _ => text.to_owned(),
        };
        Ok(Self {
            name,
            kind,
            size: None,
            fps: None,
            pace: None,
        })
    }
}

impl SourceSpec {
    /// The pace this source runs at. A `gst:` line is asked when it starts.
    pub fn pace(&self) -> Option<Pace> {
        self.pace.or(match self.kind {
            SourceKind::File(_) | SourceKind::Images(_) => Some(Pace::Every),
            SourceKind::Gst(_) => None,
            _ => Some(Pace::Live),
        })
    }

    /// Whether the source is a thing that comes and goes, so that it is worth waiting for.
    pub fn comes_back(&self) -> bool {
        !matches!(self.kind, SourceKind::File(_) | SourceKind::Images(_))
    }

    /// Checks what can be checked without starting: files, folders, devices, elements.
    ///
    /// # Errors
    /// [`CameraError::SourceMissing`], [`CameraError::Truncated`], [`CameraError::MissingElement`] or
    /// [`CameraError::Source`].
    pub fn check(&self) -> Result<(), CameraError> {
        match &self.kind {
            SourceKind::File(path) => {
                let missing = |reason: std::io::Error| CameraError::SourceMissing {
                    path: path.clone(),
                    reason: reason.to_string(),
                };
                // Not opened before: a pipe that nobody writes to would never open.
                let kind = std::fs::metadata(path).map_err(missing)?.file_type();
                if let Some(reason) = no_file(kind) {
                    return Err(CameraError::SourceMissing {
                        path: path.clone(),
                        reason: reason.into(),
                    });
                }
                super::truncation::check(path, std::fs::File::open(path).map_err(missing)?)
            }
            SourceKind::Images(folder) => super::images::check(&super::images::list(folder)?),
            SourceKind::V4l2(device) => match std::fs::metadata(device) {
                Ok(_) => elements::require("v4l2src"),
                Err(reason) => Err(CameraError::SourceMissing {
                    path: device.clone(),
                    reason: format!("{reason}; `honed sources` lists the cameras"),
                }),
            },
            SourceKind::Libcamera(_) => elements::require("libcamerasrc"),
            SourceKind::Argus(_) => elements::require("nvarguscamerasrc"),
            // GStreamer divides by half the width of its zone plate, and dies of it.
            SourceKind::Test => match self.size {
                Some((width @ 0..2, _)) => Err(CameraError::Source {
                    source_name: self.name.clone(),
                    reason: format!("its scene cannot be {width} pixel wide; give at least 2"),
                }),
                _ => Ok(()),
            },
            SourceKind::Network(_) | SourceKind::Gst(_) => Ok(()),
        }
    }

    /// The address of a network source in its parts.
    pub(super) fn address(&self) -> Option<Address<'_>> {
        match &self.kind {
            SourceKind::Network(text) => Address::of(text),
            _ => None,
        }
    }

    /// Whether pictures come from files, whose time begins with them.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self.kind, SourceKind::File(_) | SourceKind::Images(_))
    }
}

/// An address with its scheme as it is compared, others as they are.
fn lower_scheme(text: &str) -> Cow<'_, str> {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("{}://{rest}", scheme.to_ascii_lowercase()).into()
        }
        _ => text.into(),
    }
}

/// What to give instead of a path that leads to no file.
fn no_file(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("it is a folder; for its images say images:DIR")
    } else if kind.is_fifo() || kind.is_socket() {
        Some("it is a pipe; give it as standard input, and 'gst:fdsrc ! decodebin' as the source")
    } else {
        Some("it is a device; a camera is given as v4l2:/dev/videoN")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> SourceKind {
        text.parse::<SourceSpec>().unwrap().kind
    }

    #[test]
    fn texts_stand_for_sources() {
        assert_eq!(kind("test"), SourceKind::Test);
        assert_eq!(kind("a b.mp4"), SourceKind::File("a b.mp4".into()));
        assert_eq!(kind("file:test"), SourceKind::File("test".into()));
        assert_eq!(kind("v4l2"), SourceKind::V4l2("/dev/video0".into()));
        assert_eq!(kind("argus:1"), SourceKind::Argus(1));
        assert_eq!(kind("images:f"), SourceKind::Images("f".into()));
        let uri = "rtsp://user:secret@10.0.0.7:554/live";
        assert_eq!(kind(uri), SourceKind::Network(uri.into()));
        let name = uri.parse::<SourceSpec>().unwrap().name;
        assert_eq!(name, "rtsp://10.0.0.7:554/live");
        for wrong in ["", "images:", "gst: ", "argus:x", "rtsp:cam", "http://"] {
            let error = wrong.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(error.contains("is no source: give"), "{error}");
        }
    }

    #[test]
    fn an_address_is_never_taken_for_a_file() {
        let uri = "RTSP://user:secret@10.0.0.7/live";
        let source: SourceSpec = uri.parse().unwrap();
        assert_eq!(source.name, "rtsp://10.0.0.7/live");
        let lower = uri.replace("RTSP", "rtsp");
        assert_eq!(source.kind, SourceKind::Network(lower));
        assert_eq!(kind("file:a://b"), SourceKind::File("a://b".into()));
        for wrong in ["rtmp://u:secret@h/x", "rtsp+x://u:secret@h/x"] {
            let error = wrong.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(
                error.contains("is no source: give") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_test_scene_is_two_pixels_wide_at_least() {
        let mut scene: SourceSpec = "test".parse().unwrap();
        scene.size = Some((1, 480));
        let error = scene.check().unwrap_err().to_string();
        assert!(
            error.ends_with("its scene cannot be 1 pixel wide; give at least 2"),
            "{error}"
        );
        scene.size = Some((2, 1));
        scene.check().unwrap();
    }

    #[test]
    fn files_are_read_whole_and_cameras_live() {
        let pace = |text: &str| text.parse::<SourceSpec>().unwrap().pace();
        assert_eq!(pace("a.mkv"), Some(Pace::Every));
        assert_eq!(pace("test"), Some(Pace::Live));
        assert_eq!(pace("gst:videotestsrc"), None);
    }
}
