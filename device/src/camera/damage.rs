//! What decoders complain about while they go on: warnings on GStreamer's bus, and the broken
//! pictures that libav conceals and only its log tells of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::sharpener::lock;

/// Complaints of one camera's decoders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaints {
    /// How many there were.
    pub count: u64,
    /// The first one's words; empty when there was none.
    pub first: String,
}

impl Complaints {
    /// Adds those of a later camera.
    pub fn add(&mut self, later: &Self) {
        self.count += later.count;
        if self.first.is_empty() {
            self.first.clone_from(&later.first);
        }
    }
}

/// libav's log is one for the whole process, and so is the decoder at work.
static LIBAV: Log = Log {
    count: AtomicU64::new(0),
    newest: Mutex::new(String::new()),
};

struct Log {
    count: AtomicU64,
    newest: Mutex<String>,
}

/// Listens to what the decoders of one pipeline say.
#[derive(Debug)]
pub(super) struct Listener {
    warned: Arc<Mutex<Complaints>>,
    /// Lines of libav before this pipeline.
    before: u64,
}

impl Listener {
    /// Counts warnings on the bus of `pipeline`, and leaves nothing there but what ends a stream: a
    /// live source would fill it for a year.
    pub(super) fn on(pipeline: &gst::Pipeline) -> Self {
        hear_libav();
        let warned = Arc::<Mutex<Complaints>>::default();
        if let Some(bus) = pipeline.bus() {
            let warned = warned.clone();
            bus.set_sync_handler(move |_, message| match message.view() {
                gst::MessageView::Error(_) | gst::MessageView::Element(_) => {
                    gst::BusSyncReply::Pass
                }
                gst::MessageView::Warning(warning) => {
                    lock(&warned).add(&Complaints {
                        count: 1,
                        first: warning.error().message().trim_end_matches('.').to_owned(),
                    });
                    gst::BusSyncReply::Drop
                }
                _ => gst::BusSyncReply::Drop,
            });
        }
        Self {
            warned,
            before: LIBAV.count.load(Ordering::Relaxed),
        }
    }

    /// Everything so far.
    pub(super) fn complaints(&self) -> Complaints {
        let mut complaints = lock(&self.warned).clone();
        let count = LIBAV.count.load(Ordering::Relaxed) - self.before;
        if count > 0 {
            let first = lock(&LIBAV.newest).clone();
            complaints.add(&Complaints { count, first });
        }
        complaints
    }
}

/// Counts libav's errors from now on. Someone who debugs GStreamer keeps the lines and levels asked for.
fn hear_libav() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("GST_DEBUG").is_none() {
            gst::log::remove_default_log_function();
            gst::log::set_threshold_for_name("libav", gst::DebugLevel::Error);
        }
        gst::log::add_log_function(|category, level, _, _, _, _, message| {
            if level == gst::DebugLevel::Error && category.name() == "libav" {
                LIBAV.count.fetch_add(1, Ordering::Relaxed);
                if let Some(words) = message.get() {
                    let words = words.trim_start_matches(|c: char| ":0x ".contains(c));
                    words.trim().clone_into(&mut lock(&LIBAV.newest));
                }
            }
        });
    });
}
