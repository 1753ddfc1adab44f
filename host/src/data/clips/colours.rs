//! What a video's bytes stand for: which range, and which weights of red and blue. GStreamer 1.22 loses the
//! full range where nothing is said of the rest, and its quick conversions are off by up to two levels, so
//! bytes are taken as they are decoded and converted here.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::container;
use crate::restore::video::Frame;

/// How Y, U and V stand for colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colours {
    /// 0 to 255 instead of 16 to 235.
    full: bool,
    /// Weights of red and blue in luma.
    weights: (f32, f32),
}

/// What the decoder says of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stream {
    /// `None` where it decodes to something other than Y, U and V.
    pub colours: Option<Colours>,
    /// Frames a second, where the video says that.
    pub rate: Option<(u32, u32)>,
}

/// Decodes the first frame with GStreamer; `None` where there is none, which whoever decodes all of it
/// explains.
pub fn probe(path: &Path) -> Option<Stream> {
    let output = Command::new("gst-launch-1.0")
        .args(["-v", "filesrc"])
        .arg(location(path))
        .args("! decodebin ! video/x-raw ! fakesink name=probe num-buffers=1".split(' '))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mark = "probe.GstPad:sink: caps = video/x-raw";
    let caps = text.lines().rfind(|line| line.contains(mark))?;
    Some(Stream::of(caps, container::full_range(path)))
}

/// The argument that names a file; as an argument of its own, any path is taken literally.
pub fn location(path: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from("location=");
    word.push(path);
    word
}

/// The value of `, name=(type)value` in GStreamer's description of a stream.
fn field<'a>(caps: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = caps.split_once(&format!(", {name}=("))?;
    let (_, value) = rest.split_once(')')?;
    value.split([',', ';']).next().map(str::trim)
}

impl Stream {
    fn of(caps: &str, full: bool) -> Self {
        let rate = field(caps, "framerate").and_then(|rate| rate.split_once('/'));
        let rate = rate.and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
        let format = field(caps, "format").unwrap_or("");
        let other = ["RGB", "BGR", "GBR"]
            .iter()
            .any(|kind| format.contains(kind));
        Self {
            colours: (!other).then(|| Colours::of(field(caps, "colorimetry"), full)),
            rate: rate.filter(|&(n, d)| n > 0 && d > 0),
        }
    }
}

impl Colours {
    /// BT.601 from 16 to 235: what frames are restored and measured in.
    pub const STUDIO: Self = Self {
        full: false,
        weights: (0.299, 0.114),
    };

    /// By GStreamer's name, or its `range:matrix:transfer:primaries`. Where nothing is said, BT.601 of any
    /// size, as ffmpeg takes it.
    fn of(name: Option<&str>, full: bool) -> Self {
        let name = name.unwrap_or("");
        let mut numbers = name.split(':');
        let range = numbers.next();
        let matrix = match (name, numbers.next()) {
            (_, Some(matrix)) => matrix,
            ("bt709", _) => "3",
            ("smpte240m", _) => "5",
            _ if name.starts_with("bt2") => "6",
            _ => "4",
        };
        let weights = match matrix {
            "2" => (0.30, 0.11),
            "3" => (0.2126, 0.0722),
            "5" => (0.212, 0.087),
            "6" => (0.2627, 0.0593),
            _ => Self::STUDIO.weights,
        };
        let full = full || (name.contains(':') && range == Some("1"));
        Self { full, weights }
    }

    /// Red, green and blue, 0 to 1.
    fn rgb(self, y: u8, u: u8, v: u8) -> [f32; 3] {
        let (low, luma, chroma) = match self.full {
            true => (0.0, 255.0, 255.0),
            false => (16.0, 219.0, 224.0),
        };
        let (red, blue) = self.weights;
        let y = (f32::from(y) - low) / luma;
        let r = y + 2.0 * (1.0 - red) * (f32::from(v) - 128.0) / chroma;
        let b = y + 2.0 * (1.0 - blue) * (f32::from(u) - 128.0) / chroma;
        [r, (y - red * r - blue * b) / (1.0 - red - blue), b]
    }

    /// Interleaved R, G and B.
    pub fn to_rgb(self, frame: &Frame) -> Vec<u8> {
        let pixels = frame.y.iter().zip(&frame.u).zip(&frame.v);
        pixels
            .flat_map(|((y, u), v)| self.rgb(*y, *u, *v).map(|s| byte(255.0 * s)))
            .collect()
    }

    /// Turns a frame of these colours into one of [`Self::STUDIO`].
    pub fn to_studio(self, frame: &mut Frame) {
        if self == Self::STUDIO {
            return;
        }
        let (red, blue) = Self::STUDIO.weights;
        let pixels = frame.y.iter_mut().zip(&mut frame.u).zip(&mut frame.v);
        for ((y, u), v) in pixels {
            let [r, g, b] = self.rgb(*y, *u, *v);
            let luma = red * r + (1.0 - red - blue) * g + blue * b;
            *y = byte(16.0 + 219.0 * luma);
            *u = byte(128.0 + 112.0 * (b - luma) / (1.0 - blue));
            *v = byte(128.0 + 112.0 * (r - luma) / (1.0 - red));
        }
    }
}

fn byte(sample: f32) -> u8 {
    sample.round_ties_even().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests;
