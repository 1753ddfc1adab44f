//! The GStreamer plugin `hone` with the element `honesharpen`, for pipelines that `honed` does not
//! build.
//!
//! ```text
//! GST_PLUGIN_PATH=target/release gst-launch-1.0 v4l2src ! videoconvert \
//!   ! honesharpen bundle=x.hone ! videoconvert ! autovideosink
//! ```

#![allow(missing_docs)] // what the macro declares is GStreamer's interface

use gstreamer as gst;
use gstreamer::glib;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    hone_device::camera::element::register(Some(plugin))
}

gst::plugin_define!(
    hone,
    "Restores blurred video with students distilled by hone",
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    "MIT/X11",
    "hone",
    "hone",
    "hone"
);
