//! How an output ends: complete, or with what could be kept of it.

use std::path::Path;
use std::sync::atomic::Ordering;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{GstOutput, files};
use crate::atomic;
use crate::camera::elements;
use crate::camera::error::CameraError;
use crate::camera::quota::Segments;

/// How long an encoder may take to write what it still holds.
const FINISH: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Keeps what an earlier run recorded that was cut off before it could see to it, as by a power cut: a part file would be
/// written over. Says what became of it.
pub(super) fn earlier(target: &Path) -> Option<String> {
    let part = atomic::part_path(target).symlink_metadata().ok()?;
    match files::rescue(target) {
        Ok(Some(kept)) => Some(format!(
            "note: an earlier run was cut off; what it had recorded is in {}",
            kept.display()
        )),
        Ok(None) if part.is_file() && part.len() > 0 => Some(format!(
            "note: an earlier run was cut off; nothing of what it had recorded for {} can be played, so it is removed",
            target.display()
        )),
        Ok(None) => None,
        Err(e) => Some(format!(
            "note: an earlier run was cut off; what it had recorded for {} could not be kept: {e}",
            target.display()
        )),
    }
}

impl GstOutput {
    pub(super) fn complete(&mut self) -> Result<(), CameraError> {
        self.drain()?;
        if let Some(error) = self.unpublished() {
            return Err(error);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.mp4");
        assert_eq!(earlier(&target), None);
        // Begun and never given a picture; then pictures without their index.
        for (bytes, told) in [("", false), ("\0\0\0\x08ftyp\0\0\0\0mdat1234", true)] {
            std::fs::write(atomic::part_path(&target), bytes).unwrap();
            let note = earlier(&target);
            assert_eq!(note.is_some(), told, "{note:?}");
            assert!(note.is_none_or(|note| note.contains("can be played")));
        }
    }
}
