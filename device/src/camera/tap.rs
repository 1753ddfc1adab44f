//! Frames before and after the student, for whoever asks. While nobody asks, a frame costs one look
//! at a flag; the frame path never waits for those who do.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use gstreamer as gst;

use super::feed::Frame;
use super::sharpener::lock;

/// Frames that may be with the student and the outputs at one time. Every one kept is one that the
/// camera's own pool lacks.
const ON_THEIR_WAY: usize = 2;

/// One frame, twice.
#[derive(Debug, Clone)]
pub struct Pair {
    /// As the camera delivered it.
    pub before: gst::Buffer,
    /// As the outputs got it.
    pub after: gst::Buffer,
    /// Size and layout of both.
    pub caps: gst::Caps,
}

/// Where pairs are asked for and given.
#[derive(Debug, Default)]
pub struct Tap {
    wanted: AtomicBool,
    before: Mutex<VecDeque<(gst::ClockTime, gst::Buffer)>>,
    waiting: Mutex<Vec<SyncSender<Pair>>>,
}

impl Tap {
    /// Asks for the next pair.
    pub fn want(&self) -> Receiver<Pair> {
        let (give, take) = sync_channel(1);
        let mut waiting = lock(&self.waiting);
        waiting.push(give);
        self.wanted.store(true, Ordering::Relaxed);
        take
    }

    /// Shows a frame on its way to the student.
    pub(super) fn before(&self, pts: gst::ClockTime, buffer: &gst::Buffer) {
        // Looked at again behind the lock: what is kept once nobody asks is one buffer less for the camera.
        let wanted = || self.wanted.load(Ordering::Relaxed);
        if wanted()
            && let Ok(mut before) = self.before.try_lock()
            && wanted()
        {
            if before.len() == ON_THEIR_WAY {
                before.pop_front();
            }
            before.push_back((pts, buffer.clone()));
        }
    }

    /// Shows a frame on its way to the outputs.
    pub(super) fn after(&self, frame: &Frame) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(mut kept), Ok(mut waiting)) = (self.before.try_lock(), self.waiting.try_lock())
        else {
            return;
        };
        let same = kept.iter().position(|(pts, _)| *pts == frame.mark.pts);
        let before = match same.and_then(|at| kept.drain(..=at).next_back()) {
            Some((_, buffer)) => buffer,
            // Nothing to compare what stands in for a frame with.
            None if frame.mark.begun.is_none() => frame.buffer.clone(),
            // Asked for while this frame was with the student: the next one will do.
            None => return,
        };
        let pair = Pair {
            before,
            after: frame.buffer.clone(),
            caps: frame.caps.clone(),
        };
        for give in waiting.drain(..) {
            // Who asked may have gone.
            let _ = give.try_send(pair.clone());
        }
        kept.clear();
        self.wanted.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::timeline::Mark;

    fn frame(ms: u64, begun: bool) -> Frame {
        gst::init().unwrap();
        let pts = gst::ClockTime::from_mseconds(ms);
        let mut mark = Mark::at(pts);
        mark.begun = begun.then_some(pts);
        Frame {
            buffer: gst::Buffer::from_mut_slice(vec![2; 8]),
            caps: gst::Caps::new_any(),
            mark,
        }
    }

    fn first_byte(buffer: &gst::Buffer) -> u8 {
        buffer.map_readable().unwrap()[0]
    }

    #[test]
    fn a_pair_is_one_frame_twice() {
        let (tap, at) = (Tap::default(), gst::ClockTime::from_mseconds);
        gst::init().unwrap();
        let camera = |byte| gst::Buffer::from_mut_slice(vec![byte; 8]);
        tap.before(at(1), &camera(10));
        let pair = tap.want();
        // Frame 1 was with the student already; 2 and 3 are seen before 2 is done.
        tap.after(&frame(1, true));
        assert!(pair.try_recv().is_err());
        tap.before(at(2), &camera(20));
        tap.before(at(3), &camera(30));
        tap.after(&frame(2, true));
        let got = pair.try_recv().unwrap();
        assert_eq!((first_byte(&got.before), first_byte(&got.after)), (20, 2));
        assert!(lock(&tap.before).is_empty(), "the camera lacks a buffer");
        // Nobody asks now.
        tap.before(at(4), &camera(40));
        tap.after(&frame(4, true));
        assert!(pair.try_recv().is_err());
    }

    #[test]
    fn a_slate_is_its_own_before() {
        let tap = Tap::default();
        let both = [tap.want(), tap.want()];
        tap.after(&frame(1, false));
        for pair in both {
            assert_eq!(first_byte(&pair.try_recv().unwrap().before), 2);
        }
    }
}
