//! Why an output fails.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::GstOutput;
use crate::camera::address::without_password;
use crate::camera::elements;
use crate::camera::error::CameraError;
use crate::camera::sharpener::lock;

impl GstOutput {
    pub(super) fn failed(&self, reason: String) -> CameraError {
        let reason = without_password(&reason);
        match self.spec.target() {
            Some(path) => CameraError::SinkPath {
                path: path.to_owned(),
                reason,
            },
            None => CameraError::Sink {
                sink: self.spec.name.clone(),
                reason,
            },
        }
    }

    /// What went wrong since it was started, if anything did.
    pub(super) fn failure(&self) -> Option<CameraError> {
        self.bus_error().or_else(|| self.unpublished())
    }

    /// Why viewers do not see what was written, if they do not.
    pub(super) fn unpublished(&self) -> Option<CameraError> {
        let reason = lock(&self.unpublished).clone()?;
        Some(self.failed(reason))
    }

    fn bus_error(&self) -> Option<CameraError> {
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let message = self.pipeline.bus()?.pop_filtered(&kinds)?;
        match message.view() {
            gst::MessageView::Error(error) => Some(self.failed(elements::bus_error(error))),
            // Nobody has told it yet that the frames are over.
            gst::MessageView::Eos(_) => Some(self.failed("it ended by itself".into())),
            _ => None,
        }
    }
}
