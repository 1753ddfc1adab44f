//! Cameras that GStreamer finds, with their modes.

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::Serialize;

/// A camera and how `honed` takes it.
#[derive(Debug, Clone, Serialize)]
pub struct FoundCamera {
    /// The name its driver gives it.
    pub name: String,
    /// What `--source` takes.
    pub source: String,
    /// Its modes, largest first, as `FORMAT WxH at FPS`.
    pub modes: Vec<String>,
}

/// Looks for cameras.
pub fn cameras() -> Vec<FoundCamera> {
    let monitor = gst::DeviceMonitor::new();
    monitor.add_filter(Some("Video/Source"), None);
    // Some providers only answer once started; one that fails leaves the others.
    let _ = monitor.start();
    let found = monitor.devices().iter().map(describe).collect();
    monitor.stop();
    found
}

fn describe(device: &gst::Device) -> FoundCamera {
    let text = |key: &str| {
        device
            .properties()
            .and_then(|p| p.get::<String>(key).ok())
            .filter(|t| !t.is_empty())
    };
    let name = device.display_name().to_string();
    let source = text("api.v4l2.path")
        .or_else(|| text("device.path"))
        .map_or_else(
            || format!("libcamera:{name}"),
            |path| format!("v4l2:{path}"),
        );
    let caps = device.caps();
    FoundCamera {
        name,
        source,
        modes: caps.map(|caps| modes(&caps)).unwrap_or_default(),
    }
}

/// The modes of a device's caps, largest first.
fn modes(caps: &gst::Caps) -> Vec<String> {
    let mut modes: Vec<(i64, String)> = caps
        .iter()
        .map(|mode| {
            let side = |key| mode.get::<i32>(key).unwrap_or_default();
            let format = mode
                .get::<String>("format")
                .unwrap_or_else(|_| mode.name().trim_start_matches("image/").to_uppercase());
            let (width, height) = (side("width"), side("height"));
            let rate = mode.value("framerate").map(|rate| {
                let text = rate.serialize().map(|t| t.to_string()).unwrap_or_default();
                format!(" at {}", text.replace("/1", "").replace("(fraction)", ""))
            });
            let text = format!("{format} {width}x{height}{}", rate.unwrap_or_default());
            (i64::from(width) * i64::from(height), text)
        })
        .collect();
    modes.sort_by_key(|(pixels, _)| std::cmp::Reverse(*pixels));
    modes.into_iter().map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_largest_first() {
        gst::init().unwrap();
        let caps: gst::Caps = "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1; \
             image/jpeg,width=1280,height=720,framerate={(fraction)30/1,(fraction)15/1}"
            .parse()
            .unwrap();
        let modes = modes(&caps);
        assert!(modes[0].starts_with("JPEG 1280x720 at"), "{modes:?}");
        assert!(modes[1].starts_with("YUY2 640x480 at 30"), "{modes:?}");
    }
}
