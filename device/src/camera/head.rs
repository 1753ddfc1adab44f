//! The head of a pipeline for each kind of source.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::elements;
use super::source::{Pace, SourceKind, SourceSpec};

impl SourceSpec {
    /// The head of the pipeline, up to raw video; the element `source` takes what cannot be written
    /// in a launch line.
    pub(super) fn head(&self) -> String {
        let live = self.pace() == Some(Pace::Live);
        let mode = self.mode();
        match &self.kind {
            SourceKind::Test => {
                let (w, h) = self.size.unwrap_or((640, 480));
                let fps = self.fps.unwrap_or(30);
                format!(
                    "videotestsrc name=source is-live={live} pattern=zone-plate kx2=14 ky2=9 kt=2 \
                     ! video/x-raw,width={w},height={h},framerate={fps}/1"
                )
            }
            SourceKind::File(_) if live => {
                "filesrc name=source ! decodebin ! capsfilter name=decoded caps=video/x-raw \
                 ! identity name=pace sync=true"
                    .into()
            }
            SourceKind::File(_) => {
                "filesrc name=source ! decodebin ! capsfilter name=decoded caps=video/x-raw".into()
            }
            SourceKind::Images(_) => {
                let pace = if live { " ! identity name=pace sync=true" } else { "" };
                format!(
                    "appsrc name=images format=time ! decodebin ! capsfilter caps=video/x-raw{pace}"
                )
            }
            SourceKind::V4l2(_) => format!(
                "v4l2src name=source ! capsfilter caps=\"video/x-raw{mode};image/jpeg{mode}\" \
                 ! decodebin ! capsfilter caps=video/x-raw"
            ),
            SourceKind::Libcamera(_) => format!("libcamerasrc name=source ! video/x-raw{mode}"),
            SourceKind::Argus(_) => format!(
                "nvarguscamerasrc name=source ! video/x-raw(memory:NVMM){mode} \
                 ! nvvidconv ! video/x-raw,format=I420"
            ),
            // Where a firewall swallows UDP, rtspsrc goes over to TCP after two seconds, which is before a silent
            // source is given up.
            SourceKind::Network(uri) if uri.starts_with("rtsp") => {
                "rtspsrc name=source latency=100 drop-on-latency=true timeout=2000000 \
                 ! application/x-rtp,media=video ! decodebin ! capsfilter caps=video/x-raw"
                    .into()
            }
            // A web server gives what is recorded as fast as it is taken.
            SourceKind::Network(uri) if live && uri.starts_with("http") => {
                "uridecodebin name=source ! capsfilter caps=video/x-raw ! identity name=pace sync=true"
                    .into()
            }
            SourceKind::Network(_) => {
                "uridecodebin name=source ! capsfilter caps=video/x-raw".into()
            }
            SourceKind::Gst(line) => line.clone(),
        }
    }

    /// Makes one frame of each interlaced picture, as old cameras behind a grabber give them: the lines of its first field,
    /// and between them what both fields show there. Others pass as they are. CSI cameras have none, and a pipeline of the
    /// user's own says itself what it wants.
    pub(super) fn deinterlace(&self) -> &'static str {
        let may = matches!(
            self.kind,
            SourceKind::File(_) | SourceKind::Network(_) | SourceKind::V4l2(_)
        );
        if may && elements::installed("deinterlace") {
            "deinterlace name=deinterlace method=greedyl fields=bottom ! "
        } else {
            ""
        }
    }

    /// Turns pictures upright whose container says how they lie, as a phone's films and photographs do. A camera says
    /// nothing of the kind, and images in a folder are each turned by themselves ([`super::upright`]).
    pub(super) fn turn(&self) -> &'static str {
        let turn = match self.kind {
            SourceKind::File(_) | SourceKind::Network(_) => {
                "videoflip name=turn video-direction=auto ! "
            }
            SourceKind::Images(_) => "videoflip name=turn ! ",
            _ => return "",
        };
        match elements::installed("videoflip") {
            true => turn,
            false => "",
        }
    }

    /// Tells the deinterlacer of `pipeline`, if it is ours, which field is first: it takes the lower one to be until a
    /// picture says otherwise, and without the right one gives the first and the last picture twice.
    pub(super) fn watch_fields(&self, pipeline: &gst::Pipeline) {
        let ours = !self.deinterlace().is_empty();
        let Some(element) = pipeline.by_name("deinterlace").filter(|_| ours) else {
            return;
        };
        let Some(pad) = element.static_pad("sink") else {
            return;
        };
        let element = element.downgrade();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let upper = info
                .buffer()
                .is_some_and(|b| b.video_flags().contains(gst_video::VideoBufferFlags::TFF));
            match element.upgrade().filter(|_| upper) {
                Some(element) => {
                    element.set_property_from_str("fields", "top");
                    gst::PadProbeReturn::Remove
                }
                None => gst::PadProbeReturn::Ok,
            }
        });
    }

    /// The wanted camera mode as the tail of a caps string.
    fn mode(&self) -> String {
        let size = self
            .size
            .map(|(w, h)| format!(",width={w},height={h}"))
            .unwrap_or_default();
        let fps = self
            .fps
            .map(|fps| format!(",framerate={fps}/1"))
            .unwrap_or_default();
        size + &fps
    }
}
