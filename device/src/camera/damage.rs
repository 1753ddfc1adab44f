//! What decoders complain about while they go on: warnings on GStreamer's bus, and the broken
//! pictures that libav conceals and only its log tells of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::address::without_password;
use super::elements::is_a;
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

/// What a warning on the bus is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Pictures that cannot be decoded whole.
    Pictures,
    /// The way to the camera, on which its element tries again by itself.
    Way,
    /// Neither.
    Other,
}

/// What the elements of one pipeline said.
#[derive(Debug, Default)]
struct Heard {
    complaints: Complaints,
    trouble: Option<(Instant, String)>,
}

/// Listens to what the decoders of one pipeline say, and its source.
#[derive(Debug)]
pub(super) struct Listener {
    heard: Arc<Mutex<Heard>>,
    /// Lines of libav before this pipeline.
    before: u64,
}

impl Listener {
    /// Counts warnings on the bus of `pipeline`, and leaves nothing there but what ends a stream: a
    /// live source would fill it for a year.
    pub(super) fn on(pipeline: &gst::Pipeline) -> Self {
        hear_libav();
        let heard = Arc::<Mutex<Heard>>::default();
        if let Some(bus) = pipeline.bus() {
            let heard = heard.clone();
            bus.set_sync_handler(move |_, message| match message.view() {
                gst::MessageView::Error(_) | gst::MessageView::Element(_) => {
                    gst::BusSyncReply::Pass
                }
                gst::MessageView::Warning(warning) => {
                    let said = warning.error();
                    let words = said.message().lines().next().unwrap_or_default();
                    let words = without_password(words.trim_end_matches('.'));
                    let heard = &mut *lock(&heard);
                    match about(warning) {
                        About::Pictures => heard.complaints.add(&Complaints {
                            count: 1,
                            first: words,
                        }),
                        About::Way => {
                            let since = heard.trouble.take().map(|(since, _)| since);
                            heard.trouble = Some((since.unwrap_or_else(Instant::now), words));
                        }
                        About::Other => {}
                    }
                    gst::BusSyncReply::Drop
                }
                _ => gst::BusSyncReply::Drop,
            });
        }
        Self {
            heard,
            before: LIBAV.count.load(Ordering::Relaxed),
        }
    }

    /// Everything so far.
    pub(super) fn complaints(&self) -> Complaints {
        let mut complaints = lock(&self.heard).complaints.clone();
        let count = LIBAV.count.load(Ordering::Relaxed) - self.before;
        if count > 0 {
            let first = lock(&LIBAV.newest).clone();
            complaints.add(&Complaints { count, first });
        }
        complaints
    }

    /// What the source last said of its way to the camera, and since when there is trouble on it.
    pub(super) fn trouble(&self) -> Option<(Instant, String)> {
        lock(&self.heard).trouble.clone()
    }

    /// Notes that pictures come.
    pub(super) fn fine(&self) {
        lock(&self.heard).trouble = None;
    }
}

/// What `warning` is about, by its domain and who says it.
fn about(warning: &gst::message::Warning) -> About {
    let said = warning.error();
    let class = |class| is_a(warning.src(), class);
    if said.is::<gst::StreamError>() {
        return match said.matches(gst::StreamError::CodecNotFound) {
            true => About::Other,
            false => About::Pictures,
        };
    }
    // rtspsrc warns before it tries TCP, and may still get somewhere.
    let tries_else = warning
        .src()
        .is_some_and(|s| s.type_().name() == "GstRTSPSrc");
    if said.is::<gst::ResourceError>() && class("Source") && !tries_else {
        return About::Way;
    }
    // A bin that decodes says what is not installed, which is no damage.
    let decodes = ["Decoder", "Demuxer", "Parser"].into_iter().any(class);
    if decodes && !class("Bin") && !said.is::<gst::CoreError>() {
        return About::Pictures;
    }
    About::Other
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bus hears when `element` warns.
    fn hear(element: &str, warning: gst::message::WarningBuilder<'_>) -> Listener {
        let pipeline = gst::Pipeline::new();
        let element = gst::ElementFactory::make(element).build().unwrap();
        let listener = Listener::on(&pipeline);
        let bus = pipeline.bus().unwrap();
        bus.post(warning.src(&element).build()).unwrap();
        listener
    }

    #[test]
    fn a_lost_connection_is_no_damaged_picture() {
        gst::init().unwrap();
        let lost = || gst::message::Warning::builder(gst::ResourceError::Read, "Timeout.");
        let listener = hear("filesrc", lost());
        assert_eq!(listener.complaints().count, 0);
        assert_eq!(listener.trouble().unwrap().1, "Timeout");
        listener.fine();
        assert_eq!(listener.trouble(), None);
        let broken = gst::message::Warning::builder(gst::StreamError::Decode, "Broken.");
        let listener = hear("pngdec", broken);
        assert_eq!(listener.complaints().first, "Broken");
        let missing = gst::message::Warning::builder(gst::CoreError::MissingPlugin, "None.");
        let listener = hear("decodebin", missing);
        assert_eq!((listener.complaints().count, listener.trouble()), (0, None));
    }
}
