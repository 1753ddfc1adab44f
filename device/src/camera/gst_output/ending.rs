//! How an output ends: complete, or with what could be kept of it.

use std::sync::atomic::Ordering;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{GstOutput, files};
use crate::camera::elements;
use crate::camera::error::CameraError;
use crate::camera::quota::Segments;

/// How long an encoder may take to write what it still holds.
const FINISH: gst::ClockTime = gst::ClockTime::from_seconds(30);

impl GstOutput {
    pub(super) fn complete(&mut self) -> Result<(), CameraError> {
        self.drain()?;
        if let Some(target) = self.spec.target() {
            files::publish(target).map_err(|e| self.failed(e.to_string()))?;
        }
        self.settled = true;
        Ok(())
    }

    /// Ends the stream and waits until the sink has written the last byte.
    fn drain(&self) -> Result<(), CameraError> {
        // Refused when the pipeline already failed: the bus says why.
        let _ = self.feed.end_of_stream();
        let bus = self.pipeline.bus();
        let message = bus.and_then(|bus| {
            bus.timed_pop_filtered(FINISH, &[gst::MessageType::Eos, gst::MessageType::Error])
        });
        let result = match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(()),
            Some(gst::MessageView::Error(error)) => Err(self.failed(elements::bus_error(error))),
            _ => Err(self.failed(format!("the encoder did not finish within {FINISH}"))),
        };
        self.stop();
        result
    }

    fn stop(&self) {
        // Nothing is left to do when even this fails.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Stops it for good and sees to what it wrote; says what became of a live recording.
    fn settle(&mut self) -> Option<String> {
        self.stop();
        if std::mem::replace(&mut self.settled, true) {
            return None;
        }
        if let Some(last) = self.segments.as_ref().and_then(Segments::last) {
            files::remove_without_pictures(&last);
        }
        let target = self.spec.target()?;
        if !self.live {
            files::discard(target);
            return None;
        }
        match files::rescue(target) {
            Ok(Some(kept)) => Some(format!("what it had recorded is in {}", kept.display())),
            Ok(None) if self.taken.load(Ordering::Relaxed) == 0 => None,
            Ok(None) => Some("nothing recorded since its last start can be played".into()),
            Err(e) => Some(format!("what it had recorded could not be kept: {e}")),
        }
    }

    /// The error with what became of the recording.
    pub(super) fn down(&mut self, mut error: CameraError) -> CameraError {
        if let Some(outcome) = self.settle()
            && let CameraError::SinkPath { reason, .. } | CameraError::Sink { reason, .. } =
                &mut error
        {
            reason.push_str("; ");
            reason.push_str(&outcome);
        }
        error
    }
}

impl Drop for GstOutput {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.settle();
    }
}
