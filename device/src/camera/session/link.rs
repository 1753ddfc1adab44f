//! The camera's end of a session: there, being opened, or away until the next attempt.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use gstreamer as gst;

use super::{LOOK, OpenCamera, SETTLED, clock_time};
use crate::backoff::Backoff;
use crate::camera::damage::Complaints;
use crate::camera::error::CameraError;
use crate::camera::feed::{Camera, Frame, Next};
use crate::camera::timeline::Clock;

/// A camera that gave frames for so long works, too, however few they are.
const SETTLING: gst::ClockTime = gst::ClockTime::from_seconds(10);

type Opened = Result<Box<dyn Camera + Send>, CameraError>;

enum State {
    Up(Box<dyn Camera + Send>),
    Opening(Receiver<Opened>),
    Down { retry_at: gst::ClockTime },
}

/// What a look at the camera shows.
pub(super) enum Sight {
    /// A frame.
    Frame(Frame),
    /// The camera is there and says nothing.
    Silent,
    /// It is away.
    Away,
    /// It was opened just now.
    Opened,
    /// There will be no more frames.
    Ended,
    /// It failed, or could not be opened.
    Failed(CameraError),
}

pub(super) struct Link {
    state: State,
    open: Arc<OpenCamera>,
    backoff: Backoff,
    /// Frames captured by cameras that are gone.
    captured: u64,
    /// Frames that the present camera gave, and when the first of them came.
    given: u64,
    first: Option<gst::ClockTime>,
    /// Complaints of their decoders.
    complaints: Complaints,
}

impl Link {
    pub(super) fn new(camera: Option<Box<dyn Camera + Send>>, open: Arc<OpenCamera>) -> Self {
        let down = State::Down {
            retry_at: gst::ClockTime::ZERO,
        };
        Self {
            state: camera.map_or(down, State::Up),
            open,
            backoff: Backoff::default(),
            captured: 0,
            given: 0,
            first: None,
            complaints: Complaints::default(),
        }
    }

    /// Looks at the camera, waiting for at most `wait`. A camera that is opened again brings its
    /// frames to `shape`.
    pub(super) fn look(
        &mut self,
        wait: Duration,
        clock: &dyn Clock,
        shape: Option<&gst::Caps>,
    ) -> Sight {
        match &mut self.state {
            State::Up(camera) => match camera.next(wait) {
                Ok(Next::Frame(frame)) => {
                    self.given += 1;
                    let now = clock.now();
                    let first = *self.first.get_or_insert(now);
                    // A slow camera takes minutes for so many frames.
                    if self.given >= SETTLED || now.saturating_sub(first) >= SETTLING {
                        self.backoff.reset();
                    }
                    Sight::Frame(frame)
                }
                Ok(Next::Waiting) => Sight::Silent,
                Ok(Next::Ended) => Sight::Ended,
                Err(error) => Sight::Failed(error),
            },
            State::Opening(answer) => match answer.try_recv() {
                Ok(Ok(camera)) => {
                    self.state = State::Up(camera);
                    Sight::Opened
                }
                Ok(Err(error)) => Sight::Failed(error),
                Err(TryRecvError::Empty) => {
                    clock.sleep(wait.min(LOOK / 5));
                    Sight::Away
                }
                Err(TryRecvError::Disconnected) => Sight::Failed(CameraError::Gstreamer(
                    "the thread that opens the camera is gone".into(),
                )),
            },
            State::Down { retry_at } => {
                if clock.now() >= *retry_at {
                    self.state = State::Opening(opening(self.open.clone(), shape.cloned()));
                } else {
                    clock.sleep(wait);
                }
                Sight::Away
            }
        }
    }

    /// Whether a camera is there, though it may be silent.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Brings the frames of a camera that is there to `shape`.
    pub(super) fn keep_to(&mut self, shape: &gst::Caps) {
        if let State::Up(camera) = &mut self.state {
            camera.keep_to(shape);
        }
    }

    /// What a person should know of the camera's pictures.
    pub(super) fn remark(&mut self) -> Option<String> {
        match &mut self.state {
            State::Up(camera) => camera.remark(),
            _ => None,
        }
    }

    /// Gives the camera up until the next attempt.
    pub(super) fn give_up(&mut self, now: gst::ClockTime) {
        let retry_at = now + clock_time(self.backoff.wait());
        self.retire(retry_at);
    }

    /// Opens the camera anew at once.
    pub(super) fn start_over(&mut self, now: gst::ClockTime) {
        self.retire(now);
    }

    /// Frames captured so far, dropped ones included.
    pub(super) fn captured(&self) -> u64 {
        match &self.state {
            State::Up(camera) => self.captured + camera.captured(),
            _ => self.captured,
        }
    }

    /// Of so many frames `captured`, those that the present camera did not give.
    pub(super) fn held(&self, captured: u64) -> u64 {
        match &self.state {
            State::Up(_) => captured.saturating_sub(self.captured + self.given),
            _ => 0,
        }
    }

    /// What decoders complained about so far.
    pub(super) fn complaints(&self) -> Complaints {
        let mut all = self.complaints.clone();
        if let State::Up(camera) = &self.state {
            all.add(&camera.complaints());
        }
        all
    }

    /// How long the source says that it lasts.
    pub(super) fn announced(&self) -> Option<gst::ClockTime> {
        match &self.state {
            State::Up(camera) => camera.announced(),
            _ => None,
        }
    }

    /// The old camera goes down on a thread of its own, since some take seconds.
    fn retire(&mut self, retry_at: gst::ClockTime) {
        let down = State::Down { retry_at };
        if let State::Up(camera) = std::mem::replace(&mut self.state, down) {
            self.captured += camera.captured();
            self.given = 0;
            self.first = None;
            self.complaints.add(&camera.complaints());
            std::thread::spawn(move || drop(camera));
        }
    }
}

fn opening(open: Arc<OpenCamera>, shape: Option<gst::Caps>) -> Receiver<Opened> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        // A session that is over wants no camera any more; it closes again by being dropped.
        let _ = send.send(open(shape.as_ref()));
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::twin::{ManualClock, Script, ScriptedCamera};

    #[test]
    fn a_camera_that_worked_for_a_while_is_soon_opened_again() {
        gst::init().unwrap();
        let clock = ManualClock::default();
        let frames = vec![Script::Frame; 300];
        let camera = ScriptedCamera::new(frames, clock.clone(), gst::Caps::new_any());
        let open: Arc<OpenCamera> = Arc::new(|_| Err(CameraError::Gstreamer("gone".into())));
        let mut link = Link::new(Some(Box::new(camera)), open);
        for _ in 0..9 {
            link.backoff.wait();
        }
        for frame in 1..=SETTLED {
            assert!(matches!(link.look(LOOK, &clock, None), Sight::Frame(_)));
            if frame == SETTLED - 1 {
                assert!(link.backoff.wait() > Duration::from_secs(1));
            }
        }
        assert!(link.backoff.wait() < Duration::from_secs(1));
    }

    #[test]
    fn a_slow_camera_has_worked_after_a_while_too() {
        gst::init().unwrap();
        let clock = ManualClock::default();
        let camera =
            ScriptedCamera::new(vec![Script::Frame; 3], clock.clone(), gst::Caps::new_any());
        let open: Arc<OpenCamera> = Arc::new(|_| Err(CameraError::Gstreamer("gone".into())));
        let mut link = Link::new(Some(Box::new(camera)), open);
        for second in [0, 9, 10] {
            for _ in 0..9 {
                link.backoff.wait();
            }
            assert!(matches!(link.look(LOOK, &clock, None), Sight::Frame(_)));
            let soon = link.backoff.wait() < Duration::from_secs(1);
            assert_eq!(soon, second == 10);
            clock.sleep(Duration::from_secs(if second == 0 { 9 } else { 1 }));
        }
    }
}
