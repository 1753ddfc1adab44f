//! What stands in for frames that a live camera does not deliver, so that no output stands still:
//! the last frame again, and after a while the slate.

use std::time::Duration;

use gstreamer as gst;

use super::rhythm::Rhythm;
use super::{LOOK, clock_time};
use crate::camera::error::CameraError;
use crate::camera::feed::Frame;
use crate::camera::slate;
use crate::camera::timeline::Mark;

/// Outputs get the last frame again when none came for so many frame intervals.
const LATE_AFTER: u32 = 5;
/// From here on nobody must take it for a live picture, unless a slow camera's next one is not even late. A board that is
/// merely too slow stays below.
const DARK_AFTER: Duration = Duration::from_secs(1);

pub(super) struct StandIn {
    /// What slates look like when no frame ever came.
    fallback: gst::Caps,
    /// Whether slates are shown before the first frame.
    from_the_start: bool,
    last: Option<Frame>,
    last_at: gst::ClockTime,
    heard_at: gst::ClockTime,
    /// The camera was lost, or not there yet, and no frame came since.
    away: bool,
    rhythm: Rhythm,
    slate: Option<gst::Buffer>,
    /// When something stood in since the last frame.
    stood_in_at: Option<gst::ClockTime>,
}

impl StandIn {
    pub(super) fn new(fallback: gst::Caps, from_the_start: bool, now: gst::ClockTime) -> Self {
        Self {
            fallback,
            from_the_start,
            last: None,
            last_at: now,
            heard_at: now,
            away: true,
            rhythm: Rhythm::default(),
            slate: None,
            stood_in_at: None,
        }
    }

    /// The newest frame, if one came yet.
    pub(super) fn last(&self) -> Option<&Frame> {
        self.last.as_ref()
    }

    /// The shape of what outputs were given; `None` while that is nothing.
    pub(super) fn shape(&self) -> Option<&gst::Caps> {
        match &self.last {
            Some(frame) => Some(&frame.caps),
            None => self.stood_in_at.map(|_| &self.fallback),
        }
    }

    /// When the newest frame came.
    pub(super) fn last_at(&self) -> gst::ClockTime {
        self.last_at
    }

    /// When the newest frame came, or the camera was opened.
    pub(super) fn heard_at(&self) -> gst::ClockTime {
        self.heard_at
    }

    /// Notes that the camera is lost.
    pub(super) fn lost(&mut self) {
        self.away = true;
    }

    /// Notes that a camera was opened, which has its time to deliver now. Outputs do not wait for that: an address may open
    /// with nobody there.
    pub(super) fn opened(&mut self, now: gst::ClockTime) {
        self.heard_at = now;
        self.rhythm.pause();
    }

    /// Notes a frame that is to come at `pts` and to last as long as `said`; says how long it lasts.
    pub(super) fn measure(
        &mut self,
        pts: gst::ClockTime,
        said: Option<gst::ClockTime>,
        caps: &gst::Caps,
    ) -> Duration {
        self.rhythm.note(pts);
        self.rhythm.length(said.map(Duration::from), caps)
    }

    /// How far apart frames are.
    pub(super) fn apart(&self) -> gst::ClockTime {
        clock_time(self.interval())
    }

    /// Whether a slate is shown now.
    pub(super) fn showing(&self) -> bool {
        self.slate.is_some()
    }

    /// Takes the newest frame; the slate goes.
    pub(super) fn frame(&mut self, frame: Frame, now: gst::ClockTime) {
        self.slate = None;
        self.stood_in_at = None;
        self.last = Some(frame);
        self.away = false;
        self.last_at = now;
        self.heard_at = now;
    }

    /// Time until something has to stand in; long when nothing has to.
    pub(super) fn due(&self, now: gst::ClockTime) -> Duration {
        if self.last.is_none() && !self.from_the_start {
            return LOOK;
        }
        let due = match self.stood_in_at {
            Some(at) => Duration::from(at) + self.interval(),
            None => Duration::from(self.last_at) + self.late_after(),
        };
        due.saturating_sub(Duration::from(now))
    }

    /// What stands in at `now`, if something has to, after what ended at `end`: a camera's clock may be ahead of ours.
    pub(super) fn stand_in(
        &mut self,
        now: gst::ClockTime,
        end: gst::ClockTime,
    ) -> Result<Option<Frame>, CameraError> {
        if !self.due(now).is_zero() {
            return Ok(None);
        }
        let mut buffer = self.picture(now)?;
        self.stood_in_at = Some(now);
        let pts = now.max(end);
        {
            let buffer = buffer.make_mut();
            buffer.set_pts(pts);
            buffer.set_duration(self.apart());
        }
        Ok(Some(Frame {
            buffer,
            caps: self.caps().clone(),
            mark: Mark {
                captured: now,
                ..Mark::at(pts)
            },
        }))
    }

    fn picture(&mut self, now: gst::ClockTime) -> Result<gst::Buffer, CameraError> {
        let last = self.last.as_ref().map(|frame| &frame.buffer);
        let away = Duration::from(now.saturating_sub(self.last_at));
        match (last, &self.slate) {
            (Some(last), None) if away < DARK_AFTER.max(self.late_after()) => Ok(last.clone()),
            (_, Some(slate)) => Ok(slate.clone()),
            (last, None) => {
                let slate = slate::draw(self.caps(), last)?;
                self.slate = Some(slate.clone());
                Ok(slate)
            }
        }
    }

    fn caps(&self) -> &gst::Caps {
        self.last.as_ref().map_or(&self.fallback, |f| &f.caps)
    }

    fn interval(&self) -> Duration {
        if self.away {
            self.rhythm.away(self.caps())
        } else {
            self.rhythm.interval(self.caps())
        }
    }

    fn late_after(&self) -> Duration {
        LATE_AFTER * self.interval()
    }
}
