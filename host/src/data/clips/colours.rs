//! What a video's bytes stand for: which range, and which weights of red and blue. GStreamer 1.22 loses the
//! full range where nothing is said of the rest, and its quick conversions are off by up to two levels, so
//! bytes are taken as they are decoded and converted here.

use std::path::Path;

use super::ask::ask;
use super::container::{self, Said};
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
    /// Whether the upper lines of an interlaced picture were taken first.
    upper_first: bool,
}

/// Begins what GStreamer says of a frame.
const CHAIN: &str = "probe: last-message = chain ";
/// GST_VIDEO_BUFFER_FLAG_TFF: the upper lines come first.
const UPPER_FIRST: u32 = 1 << 21;

/// Decodes the first frame with GStreamer; `None` where there is none, which whoever decodes all of it
/// explains.
///
/// # Errors
/// When GStreamer is missing, or gets stuck.
pub fn probe(path: &Path) -> anyhow::Result<Option<Stream>> {
    let mut caps = Vec::new();
    let pipeline = "! decodebin ! video/x-raw ! fakesink name=probe num-buffers=1 silent=false";
    ask(path, pipeline, |line| {
        if line.contains("caps = ") || line.contains(CHAIN) {
            caps.push(line.to_owned());
        }
    })?;
    Ok(Stream::of(&caps, &container::said(path)))
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

/// Of a frame, in what GStreamer says of it.
fn flags(line: &str) -> u32 {
    let said = line.split_once(CHAIN).and_then(|(_, said)| {
        let (_, flags) = said.split_once(" flags: ")?;
        u32::from_str_radix(flags.split(' ').next()?, 16).ok()
    });
    said.unwrap_or(0)
}

/// Whether GStreamer says which matrix it is by the picture's size: it does so for Y4M, and for a container's
/// raw frames, whatever the container says.
fn guessed(caps: &[String]) -> bool {
    caps.iter().any(|line| {
        line.contains("caps = application/x-yuv4mpeg")
            // What comes out of a demuxer.
            || (line.contains("GstMultiQueuePad:sink") && line.contains("caps = video/x-raw"))
    })
}

impl Stream {
    /// By GStreamer's words and the container's.
    fn of(caps: &[String], said: &Said) -> Option<Self> {
        let mark = "probe.GstPad:sink: caps = video/x-raw";
        let stream = caps.iter().rfind(|line| line.contains(mark))?;
        let rate = field(stream, "framerate").and_then(|rate| rate.split_once('/'));
        let rate = rate.and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
        let format = field(stream, "format").unwrap_or("");
        let other = ["RGB", "BGR", "GBR"]
            .iter()
            .any(|kind| format.contains(kind));
        let mut colours = Colours::of(field(stream, "colorimetry"), said.full_range);
        if guessed(caps) {
            colours.weights = weights(said.matrix);
        }
        Some(Self {
            colours: (!other).then_some(colours),
            rate: rate.filter(|&(n, d)| n > 0 && d > 0),
            upper_first: field(stream, "field-order") == Some("top-field-first")
                || caps.iter().any(|line| flags(line) & UPPER_FIRST != 0),
        })
    }

    /// Makes one frame of each interlaced picture as the board does, for combs are edges to a student: the lines of its
    /// first field, and between them what both fields show there. Others pass as they are. With the wrong field first
    /// it would give the first and the last picture twice.
    pub fn deinterlacer(stream: Option<Self>) -> &'static str {
        match stream.is_some_and(|stream| stream.upper_first) {
            true => "deinterlace method=greedyl fields=top",
            false => "deinterlace method=greedyl fields=bottom",
        }
    }
}

/// Of red and blue, by the matrix's number in ISO/IEC 23091. Where nothing is said, BT.601 of any size, as
/// ffmpeg takes it.
fn weights(matrix: Option<u16>) -> (f32, f32) {
    match matrix {
        Some(1) => (0.2126, 0.0722),
        Some(4) => (0.30, 0.11),
        Some(7) => (0.212, 0.087),
        Some(9 | 10) => (0.2627, 0.0593),
        _ => Colours::STUDIO.weights,
    }
}

impl Colours {
    /// BT.601 from 16 to 235: what frames are restored and measured in.
    pub const STUDIO: Self = Self {
        full: false,
        weights: (0.299, 0.114),
    };

    /// By GStreamer's name, or its `range:matrix:transfer:primaries`, where it says anything.
    fn of(name: Option<&str>, full: bool) -> Self {
        let name = name.unwrap_or("");
        let mut numbers = name.split(':');
        let range = numbers.next();
        let matrix = match (name, numbers.next()) {
            (_, Some("2")) => Some(4),
            ("bt709", _) | (_, Some("3")) => Some(1),
            ("smpte240m", _) | (_, Some("5")) => Some(7),
            (_, Some("6")) => Some(9),
            (_, None) if name.starts_with("bt2") => Some(9),
            _ => None,
        };
        let full = full || (name.contains(':') && range == Some("1"));
        let weights = weights(matrix);
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

    /// Turns interleaved Y, U and V into R, G and B.
    pub fn to_rgb(self, pixels: &mut [u8]) {
        for pixel in pixels.as_chunks_mut::<3>().0 {
            let [y, u, v] = *pixel;
            *pixel = self.rgb(y, u, v).map(|s| byte(255.0 * s));
        }
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
