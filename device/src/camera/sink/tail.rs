//! The pipeline behind `appsrc` that a sink stands for.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{SinkKind, SinkSpec, ends_in};
use crate::camera::elements;
use crate::camera::encoder::h264;
use crate::camera::error::CameraError;

/// To what a device takes, in the range that it has there ([`crate::camera::levels`]).
const LEVELS: &str = "videoconvert ! capsfilter name=levels ! videoconvert";

impl SinkSpec {
    /// The pipeline behind `appsrc name=in`; the element `exit` is the one that takes the raw frame.
    ///
    /// # Errors
    /// [`CameraError::MissingElement`] when nothing installed encodes or shows video.
    pub(in crate::camera) fn tail(&self, live: bool) -> Result<String, CameraError> {
        Ok(match &self.kind {
            SinkKind::File(path) => {
                let muxer = if ends_in(&path.to_string_lossy(), &["mp4"]) {
                    format!("identity name=film-lengths ! {}", mp4mux(live))
                } else {
                    "matroskamux".into()
                };
                format!("{} ! {muxer} ! filesink name=file", h264(live)?)
            }
            SinkKind::Lossless(_) => {
                elements::require("avenc_ffv1")?;
                "videoconvert ! capsfilter name=exact ! avenc_ffv1 name=exit ! matroskamux ! filesink name=file".into()
            }
            SinkKind::Frames(_) => "pngenc name=exit ! multifilesink name=file async=false".into(),
            SinkKind::Raw(_) => "filesink name=exit".into(),
            SinkKind::Record(recording) => {
                elements::require("splitmuxsink")?;
                elements::require("matroskamux")?;
                let length = recording.segment * 1_000_000_000;
                format!(
                    "{} ! splitmuxsink name=file muxer=matroskamux max-size-time={length} send-keyframe-requests=true",
                    h264(live)?
                )
            }
            SinkKind::Rtsp(_) => {
                elements::require("rtph264pay")?;
                let encode = h264(true)?;
                format!("{encode} ! rtph264pay name=pay0 pt=96 config-interval=1")
            }
            SinkKind::Hls(playlist) => {
                elements::require("hlssink2")?;
                let (segment, keep) = (playlist.segment, playlist.keep);
                format!(
                    "{} ! hlssink2 name=file target-duration={segment} playlist-length={keep} max-files={}",
                    h264(live)?,
                    keep + 2
                )
            }
            SinkKind::V4l2(device) => {
                elements::require("v4l2sink")?;
                format!(
                    "{LEVELS} ! v4l2sink name=exit sync=false device=\"{}\"",
                    device.display()
                )
            }
            SinkKind::Display => display(!live)?,
            SinkKind::Null => "fakesink name=exit sync=false".into(),
            SinkKind::Gst(line) => format!("identity name=exit ! {line}"),
        })
    }
}

/// The layout in which FFV1 keeps every sample of frames with `caps`; left to itself, the converter takes I420 for all.
pub(in crate::camera) fn exact(caps: &gst::Caps) -> gst::Caps {
    let format = caps.structure(0).and_then(|s| s.get::<&str>("format").ok());
    let layout = match format {
        Some("YUY2") => "Y42B",
        Some("RGB") => "BGRx",
        Some("GRAY8") => "GRAY8",
        _ => "I420",
    };
    gst::Caps::builder("video/x-raw")
        .field("format", layout)
        .build()
}

/// Whoever takes a live picture cannot take it again, so the file is written in fragments, which play without its end, and
/// becomes a plain one when it is complete. GStreamer knows how since 1.20.
fn mp4mux(live: bool) -> &'static str {
    let muxer = gst::ElementFactory::make("mp4mux").build();
    if live && muxer.is_ok_and(|muxer| muxer.find_property("fragment-mode").is_some()) {
        "mp4mux fragment-duration=1000 fragment-mode=first-moov-then-finalise"
    } else {
        "mp4mux"
    }
}

/// A sink for the screen that this machine has.
fn display(sync: bool) -> Result<String, CameraError> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let sink = if set("WAYLAND_DISPLAY") || set("DISPLAY") {
        "autovideosink"
    } else if Path::new("/dev/dri").exists() {
        "kmssink"
    } else {
        return Err(CameraError::SinkSpec {
            given: "display".into(),
            reason: "this machine has no screen (neither DISPLAY, WAYLAND_DISPLAY nor /dev/dri)"
                .into(),
        });
    };
    elements::require(sink)?;
    Ok(format!("{LEVELS} ! {sink} name=exit sync={sync}"))
}
