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
use crate::camera::sink::{Held, unheld};

/// Keeps what an earlier run recorded that was cut off before it could see to it, as by a power cut: a part file would be
/// written over. Says what became of it.
///
/// # Errors
/// [`CameraError::SinkPath`] when it cannot be kept under another name, [`CameraError::SinkHeld`] when another run goes on
/// writing it.
pub(super) fn earlier(target: &Path) -> Result<Option<String>, CameraError> {
    let path = atomic::part_path(target);
    let Ok(part) = path.symlink_metadata() else {
        return Ok(None);
    };
    let _left = Held::left(&path).map_err(|e| unheld(target, &e))?;
    let kept = files::rescue(target).map_err(|e| CameraError::SinkPath {
        path: target.to_owned(),
        reason: format!(
            "{} holds what an earlier run recorded and cannot be renamed ({e}): move it away",
            path.display()
        ),
    })?;
    Ok(match kept {
        Some(kept) => Some(format!(
            "note: an earlier run was cut off; what it had recorded is in {}",
            kept.display()
        )),
        None if part.is_file() && part.len() > 0 => Some(format!(
            "note: an earlier run was cut off; nothing of what it had recorded for {} can be played, so it is removed",
            target.display()
        )),
        None => None,
    })
}

impl GstOutput {
    /// Lets its file appear, once all is written.
    pub(super) fn publish(&mut self) -> Result<(), CameraError> {
        self.stop();
        if let Some(error) = self.unpublished() {
            return Err(error);
        }
        if let Some(target) = self.spec.target() {
            files::publish(target).map_err(|e| self.failed(e.to_string()))?;
        }
        self.settled = true;
        Ok(())
    }

    /// Whether the sink has written the last byte, or what kept it from that.
    pub(super) fn end_of_writing(&self, over: bool) -> Option<Result<(), CameraError>> {
        let bus = self.pipeline.bus();
        let message =
            bus.and_then(|bus| bus.pop_filtered(&[gst::MessageType::Eos, gst::MessageType::Error]));
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => Some(Ok(())),
            Some(gst::MessageView::Error(error)) => {
                Some(Err(self.failed(elements::bus_error(error))))
            }
            _ if over => Some(Err(self.failed("it did not finish in time".into()))),
            _ => None,
        }
    }

    fn stop(&self) {
        // Nothing is left to do when even this fails.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Stops it for good and sees to what it wrote; says what became of a live recording.
    pub(super) fn see_to_place(&mut self) -> Option<String> {
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
            Ok(None) if self.counts.taken.load(Ordering::Relaxed) == 0 => None,
            Ok(None) => Some("nothing recorded since its last start can be played".into()),
            Err(e) => Some(format!(
                "{}, which holds what it had recorded, could not be renamed: {e}",
                atomic::part_path(target).display()
            )),
        }
    }
}

impl Drop for GstOutput {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.see_to_place();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::timeline::Timeline;

    #[test]
    fn what_cannot_be_kept_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.mp4");
        assert_eq!(earlier(&target).unwrap(), None);
        // Begun and never given a picture; then pictures without their index.
        for (bytes, told) in [("", false), ("\0\0\0\x08ftyp\0\0\0\0mdat1234", true)] {
            std::fs::write(atomic::part_path(&target), bytes).unwrap();
            let note = earlier(&target).unwrap();
            assert_eq!(note.is_some(), told, "{note:?}");
            assert!(note.is_none_or(|note| note.contains("can be played")));
        }
    }

    #[test]
    fn what_cannot_be_renamed_is_not_written_over() {
        elements::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.raw");
        let part = atomic::part_path(&target);
        std::fs::write(&part, "hours of pictures").unwrap();
        for piece in 1..10_000 {
            std::fs::File::create(folder.path().join(format!("x-{piece}.raw"))).unwrap();
        }
        let sink = format!("raw:{}", target.display()).parse().unwrap();
        let error = GstOutput::start(&sink, &Timeline::starting_now(), true).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("x.raw.part") && told.contains("remove some"),
            "{told}"
        );
        assert_eq!(std::fs::read(&part).unwrap(), b"hours of pictures");
    }
}
