//! Frames, and the trait that the rest of `honed` sees a camera by.

use std::time::Duration;

use gstreamer as gst;
use gstreamer_video as gst_video;

use super::damage::Complaints;
use super::error::CameraError;
use super::timeline::Mark;

/// One frame on its way to the outputs.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The bytes; timestamp and duration are on the source's running time.
    pub buffer: gst::Buffer,
    /// Format, size and rate.
    pub caps: gst::Caps,
    /// When it passed which station.
    pub mark: Mark,
}

/// What a camera has to say.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(Frame),
    /// Nothing yet.
    Waiting,
    /// There will be no more.
    Ended,
}

/// Gives frames, one after another.
pub trait Camera {
    /// The next frame, waiting for at most `wait`.
    ///
    /// # Errors
    /// [`CameraError`] when the camera is gone or its stream cannot be decoded; it is of no use after.
    fn next(&mut self, wait: Duration) -> Result<Next, CameraError>;

    /// Whether frames come by the clock; then a late one is worth nothing.
    fn live(&self) -> bool;

    /// Frames captured so far, dropped ones included.
    fn captured(&self) -> u64;

    /// How long the source says that it lasts, where it does.
    fn announced(&self) -> Option<gst::ClockTime> {
        None
    }

    /// Brings all frames from now on to `shape`, which outputs were already given.
    fn keep_to(&mut self, _shape: &gst::Caps) {}

    /// What a person should know of its pictures, each once.
    fn remark(&mut self) -> Option<String> {
        None
    }

    /// What its decoders complained about so far, pictures being delivered all the same.
    fn complaints(&self) -> Complaints {
        Complaints::default()
    }
}

/// Frames a second of a stream, where its caps say so: those of MJPEG over http never do.
pub fn declared_rate(caps: &gst::Caps) -> Option<f64> {
    let fps = gst_video::VideoInfo::from_caps(caps).ok()?.fps();
    let known = fps.numer() > 0 && fps.denom() > 0;
    known.then(|| f64::from(fps.numer()) / f64::from(fps.denom()))
}
