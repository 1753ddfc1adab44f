//! Why a source gives no pictures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gstreamer::prelude::*;

use super::Capture;
use crate::camera::error::CameraError;
use crate::camera::fault::{self, Faulty};
use crate::camera::reach;
use crate::camera::sharpener::lock;

/// A source that has trouble with its way to the camera for so long is not left to itself.
const TROUBLE: Duration = Duration::from_millis(1500);

impl Capture {
    pub(super) fn no_start(&mut self) -> CameraError {
        self.fault(reach::PATIENCE)
            .unwrap_or_else(|| self.failed("it does not start".into()))
    }

    fn failed(&self, reason: String) -> CameraError {
        CameraError::Source {
            source_name: self.spec.name.clone(),
            reason,
        }
    }

    /// Why there are no pictures, if that is known; waits for at most `wait` for what the camera's
    /// port answers.
    pub(super) fn fault(&mut self, wait: Duration) -> Option<CameraError> {
        let address = self.spec.address();
        let dark = self.captured.load(Ordering::Relaxed) == 0;
        let source = Faulty {
            name: &self.spec.name,
            address: address.as_ref(),
            dark,
            image: lock(&self.image).clone(),
        };
        let fault = self
            .pipeline
            .bus()
            .and_then(|bus| fault::first(&bus, &source));
        if let Some(address) = address.filter(|_| dark) {
            if let Some(reason) = self.doubt.look(&address, fault.as_ref(), wait) {
                return Some(self.failed(reason));
            }
            if self.doubt.open() {
                return None;
            }
        }
        if let Some(fault) = fault {
            return Some(fault.error);
        }
        let (since, reason) = self.decoders.trouble()?;
        (since.elapsed() > TROUBLE).then(|| self.failed(reason))
    }
}
