//! The preview: the newest frame before and after the student, as JPEG, while somebody watches.
//!
//! ```text
//!  first viewer --> thread: ask the tap -> scale and encode -> newest pair --> every viewer's stream
//!  last one gone -> thread ends
//! ```

mod jpeg;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use tokio::sync::watch;

use crate::camera::error::CameraError;
use crate::camera::sharpener::{Sharpener, lock};
use crate::camera::tap::Pair;
use jpeg::Jpeg;

/// Shortest time between two pictures.
const INTERVAL: Duration = Duration::from_millis(80);
/// Longest wait for a frame before it is looked whether somebody still watches.
const LOOK: Duration = Duration::from_millis(500);
/// Longest wait for a snapshot's frame.
const SNAPSHOT: Duration = Duration::from_secs(3);
/// Viewers at one time.
const MOST: usize = 8;
/// The encoder's place behind everything that carries frames.
const NICE: i32 = 19;

/// One frame as two pictures.
#[derive(Debug, Clone)]
pub(super) struct Still {
    /// Counts up.
    pub(super) number: u64,
    /// As the camera delivered it.
    pub(super) before: Bytes,
    /// As the outputs got it.
    pub(super) after: Bytes,
}

#[derive(Debug, Default)]
struct Hall {
    viewers: usize,
    encoding: bool,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    pair: Pair,
}

/// Encodes for viewers, and takes snapshots.
#[derive(Debug)]
pub(super) struct Preview {
    sharpener: Arc<Sharpener>,
    newest: watch::Sender<Option<Arc<Still>>>,
    hall: Mutex<Hall>,
    snapshot: Mutex<Option<Kept>>,
}

/// Somebody who watches until this is dropped.
pub(super) struct Viewer {
    preview: Arc<Preview>,
    /// The newest pictures.
    pub(super) newest: watch::Receiver<Option<Arc<Still>>>,
}

impl Preview {
    pub(super) fn new(sharpener: Arc<Sharpener>) -> Self {
        Self {
            sharpener,
            newest: watch::Sender::new(None),
            hall: Mutex::default(),
            snapshot: Mutex::default(),
        }
    }

    /// How many watch now.
    pub(super) fn viewers(&self) -> usize {
        lock(&self.hall).viewers
    }

    /// Lets one more watch; `None` when there are too many, or no thread can be had.
    pub(super) fn watch(self: &Arc<Self>) -> Option<Viewer> {
        let mut hall = lock(&self.hall);
        if hall.viewers >= MOST {
            return None;
        }
        if !hall.encoding {
            let preview = self.clone();
            let thread = std::thread::Builder::new().name("preview".into());
            thread.spawn(move || preview.encode()).ok()?;
            hall.encoding = true;
        }
        hall.viewers += 1;
        Some(Viewer {
            preview: self.clone(),
            newest: self.newest.subscribe(),
        })
    }

    /// Whether somebody still watches; otherwise notes that the encoder ends.
    fn go_on(&self) -> bool {
        let mut hall = lock(&self.hall);
        hall.encoding = hall.viewers > 0;
        hall.encoding
    }

    fn encode(&self) {
        stand_back();
        let (mut jpeg, mut number) = (None, 0);
        while self.go_on() {
            let start = Instant::now();
            let Ok(pair) = self.sharpener.tap().want().recv_timeout(LOOK) else {
                continue;
            };
            let came = Instant::now();
            number += 1;
            match still(&mut jpeg, number, pair) {
                Ok(still) => {
                    self.newest.send_replace(Some(Arc::new(still)));
                }
                // A format that cannot be shown costs the preview, nothing else.
                Err(_) => jpeg = None,
            }
            std::thread::sleep(pause(start.elapsed(), came.elapsed()));
        }
        self.newest.send_replace(None);
    }

    /// Keeps the next frame as a snapshot, in place of the one before; its number. `None` when no
    /// frame comes. Blocks for seconds.
    pub(super) fn take_snapshot(&self) -> Option<u64> {
        let pair = self.sharpener.tap().want().recv_timeout(SNAPSHOT).ok()?;
        // The camera needs its buffers back.
        let copied = |buffer: gst::Buffer| buffer.copy_deep().ok();
        let pair = Pair {
            before: copied(pair.before)?,
            after: copied(pair.after)?,
            caps: pair.caps,
        };
        let mut snapshot = lock(&self.snapshot);
        let number = snapshot.as_ref().map_or(1, |kept| kept.number + 1);
        *snapshot = Some(Kept { number, pair });
        Some(number)
    }

    /// One half of the snapshot with this number as PNG; `None` when it is not there any more.
    /// Blocks for a second on a slow board.
    pub(super) fn snapshot(&self, number: u64, after: bool) -> Option<Result<Bytes, CameraError>> {
        let pair = {
            let kept = lock(&self.snapshot);
            kept.as_ref()
                .filter(|kept| kept.number == number)?
                .pair
                .clone()
        };
        let buffer = if after { pair.after } else { pair.before };
        Some(jpeg::png(buffer, &pair.caps))
    }
}

fn still(jpeg: &mut Option<Jpeg>, number: u64, pair: Pair) -> Result<Still, CameraError> {
    let encoder = match jpeg {
        Some(encoder) => encoder,
        None => jpeg.insert(Jpeg::start(stand_back)?),
    };
    Ok(Still {
        number,
        before: encoder.picture(pair.before, &pair.caps)?,
        after: encoder.picture(pair.after, &pair.caps)?,
    })
}

/// The wait before the next pair is asked for, after one that took `whole`, of it `work` to encode: half of one core at
/// most, however slow the board. A camera is waited for at no cost.
fn pause(whole: Duration, work: Duration) -> Duration {
    INTERVAL.saturating_sub(whole).max(work)
}

/// Lets everything else go before the thread that calls this.
fn stand_back() {
    // Without, the preview costs more than it should; it is no reason to have none.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

impl Drop for Viewer {
    fn drop(&mut self) {
        lock(&self.preview.hall).viewers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_board_rests_and_a_slow_camera_costs_no_picture() {
        let pause = |whole, work| pause(Duration::from_millis(whole), Duration::from_millis(work));
        assert_eq!(pause(10, 10), Duration::from_millis(70));
        assert_eq!(pause(300, 300), Duration::from_millis(300));
        assert_eq!(pause(200, 5), Duration::from_millis(5));
    }
}
