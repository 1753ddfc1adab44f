//! A camera that is silent, lost, or at its end.

use std::time::Duration;

use super::{Event, Session};
use crate::camera::error::CameraError;
use crate::camera::timeline::between;

/// An outage that goes on for the same reason is told again after so long: attempts may fail every few seconds, for weeks.
const REMIND: Duration = Duration::from_secs(3600);

impl Session<'_> {
    /// The camera is there and says nothing: for too long, and it counts as lost.
    pub(super) fn silence(&mut self) -> Result<(), CameraError> {
        let silent = self.clock.now().saturating_sub(self.stand_in.heard_at());
        if !self.live || Duration::from(silent) <= self.plan.stall {
            return Ok(());
        }
        self.lose(CameraError::Source {
            source_name: self.plan.source.clone(),
            reason: format!("no frame for {:.1} s", self.plan.stall.as_secs_f64()),
        })
    }

    /// Gives up the camera for now; without hope, or before anything worked, that is an error.
    pub(super) fn lose(&mut self, error: CameraError) -> Result<(), CameraError> {
        let worked = self.stand_in.last().is_some();
        if !self.plan.comes_back || !(worked || self.plan.keep_trying) {
            return Err(error);
        }
        // An attempt that fails is no second loss.
        if self.dark.is_none() {
            self.meter.reconnects += 1;
        }
        let (reason, now) = (error.to_string(), self.clock.now());
        let told = |(said, at): &(String, _)| *said == reason && between(*at, now) < REMIND;
        if !self.dark.as_ref().is_some_and(told) {
            (self.notify)(&Event::Dark(reason.clone()));
            self.dark = Some((reason, now));
        }
        self.stand_in.lost();
        self.link.give_up(now);
        Ok(())
    }

    /// There are no more frames, unless the camera is opened again; false when that is all.
    pub(super) fn ended(&mut self) -> Result<bool, CameraError> {
        let got_some = self.stand_in.last().is_some();
        if self.plan.looping && got_some {
            // A live source's time goes on by the clock.
            if !self.live {
                self.offset = self.end;
            }
            self.damage.start_over();
            self.stand_in.lost();
            self.link.start_over(self.clock.now());
            return Ok(true);
        }
        if self.live && self.plan.comes_back && got_some {
            self.lose(CameraError::Source {
                source_name: self.plan.source.clone(),
                reason: "the stream ended".into(),
            })?;
            return Ok(true);
        }
        self.compare_length();
        Ok(false)
    }
}
