//! The properties of `honesharpen`, as `gst-inspect-1.0` shows them.

use std::path::PathBuf;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use super::imp::HoneSharpen;
use crate::camera::sharpener::lock;

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

impl HoneSharpen {
    /// Sets the property `name`.
    pub(super) fn set(&self, name: &str, value: &glib::Value) {
        let mut settings = lock(&self.settings);
        let text = || value.get::<Option<String>>().ok().flatten();
        let number = || value.get::<f64>().unwrap_or_default() as f32;
        match name {
            "bundle" => settings.bundle = text().map(PathBuf::from),
            "trusted-key" => settings.trusted_key = text().map(PathBuf::from),
            "allow-unsigned" => settings.allow_unsigned = value.get().unwrap_or_default(),
            "model" => settings.model = text().map(PathBuf::from),
            "level" => settings.level = text().filter(|level| !level.is_empty()),
            "threads" => settings.threads = value.get().unwrap_or_default(),
            "strength" => self.dials().set_strength(number()),
            "split" => self.dials().set_split(number()),
            "bypass" => self.dials().set_bypass(value.get().unwrap_or_default()),
            _ => {}
        }
    }

    /// The value of the property `name`.
    pub(super) fn get(&self, name: &str) -> glib::Value {
        let settings = lock(&self.settings);
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string()).to_value();
        match name {
            "bundle" => path(&settings.bundle),
            "trusted-key" => path(&settings.trusted_key),
            "allow-unsigned" => settings.allow_unsigned.to_value(),
            "model" => path(&settings.model),
            "level" => settings.level.to_value(),
            "threads" => settings.threads.to_value(),
            "strength" => f64::from(self.dials().strength()).to_value(),
            "split" => f64::from(self.dials().split()).to_value(),
            "bypass" => self.dials().bypass().to_value(),
            _ => self.stats().to_value(),
        }
    }
}
