//! What is shown while the camera is away: the last frame, darkened, with words that nobody takes
//! for a live picture.

use gstreamer as gst;
use gstreamer_video as gst_video;

use super::error::CameraError;
use super::planes;
use crate::engine::{FrameViewMut, PixelFormat};

/// 5x7 dots of the letters in [`WORDS`], a row in each byte, the leftmost dot in bit 4.
const LETTERS: &[(char, [u8; 7])] = &[
    ('A', [0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
    ('C', [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e]),
    ('E', [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f]),
    ('M', [0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11]),
    ('N', [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11]),
    ('O', [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e]),
    ('R', [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11]),
];
const WORDS: &str = "NO CAMERA";

/// Draws the slate for frames of `caps` over `last`, or over black when there was no frame yet.
///
/// # Errors
/// [`CameraError::Format`] when `caps` are no frames that can be sharpened.
pub fn draw(caps: &gst::Caps, last: Option<&gst::Buffer>) -> Result<gst::Buffer, CameraError> {
    let unfit = || CameraError::Format(caps.to_string());
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| unfit())?;
    let buffer = gst::Buffer::with_size(info.size()).map_err(|_| unfit())?;
    let mut frame =
        gst_video::VideoFrame::from_buffer_writable(buffer, &info).map_err(|_| unfit())?;
    let mut drawn = false;
    if let Some(last) = last
        && let Ok(last) = gst_video::VideoFrameRef::from_buffer_ref_readable(last, &info)
    {
        drawn = last.copy(&mut frame.as_mut_video_frame_ref()).is_ok();
    }
    {
        let mut reference = frame.as_mut_video_frame_ref();
        let mut view = planes::view_mut(&mut reference)?;
        if !drawn {
            black(&mut view);
        }
        darken(&mut view);
        write(&mut view);
    }
    Ok(frame.into_buffer())
}

/// Bytes from one pixel's brightness to the next on a row of plane 0.
fn step(format: PixelFormat) -> usize {
    match format {
        PixelFormat::Yuyv => 2,
        PixelFormat::Rgb8 => 3,
        _ => 1,
    }
}

fn black(view: &mut FrameViewMut<'_>) {
    let format = view.format;
    for (plane, planes) in view.planes.iter_mut().flatten().enumerate() {
        for (i, byte) in planes.data.iter_mut().enumerate() {
            let chroma = plane > 0 || (format == PixelFormat::Yuyv && i % 2 == 1);
            *byte = if chroma { 128 } else { 16 };
        }
    }
}

fn darken(view: &mut FrameViewMut<'_>) {
    let (row, rows) = view.format.plane_sizes(view.width, view.height)[0];
    let step = if view.format == PixelFormat::Yuyv {
        2
    } else {
        1
    };
    if let Some(plane) = &mut view.planes[0] {
        for line in plane.data.chunks_mut(plane.stride).take(rows) {
            for byte in line.iter_mut().take(row).step_by(step) {
                *byte = 8 + *byte / 3;
            }
        }
    }
}

fn write(view: &mut FrameViewMut<'_>) {
    let cells = WORDS.chars().count() * 6;
    let dot = (view.width / (cells + 12)).min(view.height / 14);
    if dot == 0 {
        return;
    }
    let left = view.width.saturating_sub(cells * dot) / 2;
    let top = view.height.saturating_sub(7 * dot) / 2;
    let (step, width) = (step(view.format), view.width);
    let Some(plane) = &mut view.planes[0] else {
        return;
    };
    for (place, letter) in WORDS.chars().enumerate() {
        let Some((_, rows)) = LETTERS.iter().find(|(l, _)| *l == letter) else {
            continue;
        };
        for y in 0..7 * dot {
            for x in 0..5 * dot {
                if rows[y / dot] >> (4 - x / dot) & 1 == 0 {
                    continue;
                }
                let column = left + place * 6 * dot + x;
                if column < width {
                    let at = (top + y) * plane.stride + column * step;
                    let colours = if step == 3 { 3 } else { 1 };
                    plane.data[at..at + colours].fill(235);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slates_fit_every_format_and_size() {
        gst::init().unwrap();
        for format in planes::format_names(None) {
            for (width, height) in [(1, 1), (97, 33), (640, 480)] {
                let info = gst_video::VideoInfo::builder(
                    gst_video::VideoFormat::from_string(format),
                    width,
                    height,
                )
                .build()
                .unwrap();
                let caps = info.to_caps().unwrap();
                let slate = draw(&caps, None).unwrap();
                assert_eq!(slate.size(), info.size());
                let bytes = slate.map_readable().unwrap();
                let bright = bytes.iter().filter(|b| **b == 235).count();
                // Rows are padded with whatever was in memory.
                let written = bright > 0 || width == 1;
                assert!(written, "{format} {width}x{height}");
            }
        }
    }

    #[test]
    fn the_last_frame_shows_through_darkened() {
        gst::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, 64, 48)
            .build()
            .unwrap();
        let last = gst::Buffer::from_mut_slice(vec![210_u8; info.size()]);
        let slate = draw(&info.to_caps().unwrap(), Some(&last)).unwrap();
        assert_eq!(slate.map_readable().unwrap()[0], 78);
    }
}
