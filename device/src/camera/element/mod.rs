//! `honesharpen`, a GStreamer video filter that restores every frame with a student.
//!
//! ```text
//! gst-launch-1.0 v4l2src ! videoconvert ! honesharpen bundle=x.hone ! autovideosink
//! ```

mod imp;
mod latency;
mod properties;
mod segment;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::ObjectSubclassIsExt;
use gstreamer_base as gst_base;
use gstreamer_video as gst_video;

use super::sharpener::Sharpener;

glib::wrapper! {
    /// The element; properties in `gst-inspect-1.0 honesharpen`.
    pub struct HoneSharpen(ObjectSubclass<imp::HoneSharpen>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

impl HoneSharpen {
    /// Uses `sharpener` in place of the `bundle` and `model` properties, so that a pipeline that is
    /// built anew does not load the student anew.
    pub fn use_sharpener(&self, sharpener: Arc<Sharpener>) {
        self.imp().use_sharpener(sharpener);
    }
}

/// Makes `honesharpen` known to GStreamer: for a plugin, or (`None`) for this process.
///
/// # Errors
/// GStreamer's own, when the name is taken.
pub fn register(plugin: Option<&gst::Plugin>) -> Result<(), glib::BoolError> {
    gst::Element::register(
        plugin,
        "honesharpen",
        gst::Rank::NONE,
        HoneSharpen::static_type(),
    )
}
