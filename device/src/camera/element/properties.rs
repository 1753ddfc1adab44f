//! The properties of `honesharpen`, as `gst-inspect-1.0` shows them.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

/// Names, ranges, and when each may be set.
pub(super) fn all() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("bundle")
            .nick("Bundle")
            .blurb("Path of the bundle (.hone) that holds the student")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("trusted-key")
            .nick("Trusted key")
            .blurb("Public key whose bundles are taken, or a folder of *.pub files")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("allow-unsigned")
            .nick("Allow unsigned")
            .blurb("Take unsigned bundles and those of unknown keys as well")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("model")
            .nick("Model")
            .blurb("Path of a student as ONNX, in place of a bundle")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("level")
            .nick("Level")
            .blurb("Name of the bundle's student to run, such as small; unset: its largest. Not with model")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("threads")
            .nick("Threads")
            .blurb("Worker threads, 0 for one on each core")
            .maximum(256)
            .mutable_ready()
            .build(),
        glib::ParamSpecDouble::builder("strength")
            .nick("Strength")
            .blurb("How much of the restoration is added: 0 leaves the input's bytes as they are")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(1.0)
            .mutable_playing()
            .controllable()
            .build(),
        glib::ParamSpecDouble::builder("split")
            .nick("Split")
            .blurb("Part of the width, from the left, that shows the input as it is")
            .minimum(0.0)
            .maximum(1.0)
            .mutable_playing()
            .controllable()
            .build(),
        glib::ParamSpecBoolean::builder("bypass")
            .nick("Bypass")
            .blurb("Pass every frame as it is")
            .mutable_playing()
            .controllable()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Frames sharpened, untouched, skipped and failed; milliseconds for each frame")
            .read_only()
            .build(),
    ]
}
