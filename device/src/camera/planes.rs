//! GStreamer's video frames as the engine's borrowed planes.

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use hone_shared::student::Colour;

use super::error::CameraError;
use crate::engine::{FrameView, FrameViewMut, PixelFormat, Plane, PlaneMut};

/// GStreamer's names of the layouts that a student for `colour` takes, best first.
pub const fn format_names(colour: Option<Colour>) -> &'static [&'static str] {
    match colour {
        Some(Colour::Luma) => &["NV12", "I420", "YUY2", "GRAY8"],
        Some(Colour::Rgb) => &["RGB"],
        None => &["NV12", "I420", "YUY2", "RGB", "GRAY8"],
    }
}

/// Gives `caps` a layout that a student for `colour` takes, unless theirs is one.
pub fn fit(caps: &mut gst::Caps, colour: Option<Colour>) {
    let fitting = format_names(colour);
    let format = caps.structure(0).and_then(|s| s.get::<&str>("format").ok());
    if format.is_none_or(|format| !fitting.contains(&format)) {
        caps.make_mut().set("format", fitting[0]);
    }
}

/// The engine's name of a GStreamer layout.
///
/// # Errors
/// [`CameraError::Format`] for a layout that the engine does not know.
pub fn pixel_format(format: gst_video::VideoFormat) -> Result<PixelFormat, CameraError> {
    match format {
        gst_video::VideoFormat::Gray8 => Ok(PixelFormat::Gray8),
        gst_video::VideoFormat::Rgb => Ok(PixelFormat::Rgb8),
        gst_video::VideoFormat::Nv12 => Ok(PixelFormat::Nv12),
        gst_video::VideoFormat::I420 => Ok(PixelFormat::I420),
        gst_video::VideoFormat::Yuy2 => Ok(PixelFormat::Yuyv),
        other => Err(CameraError::Format(other.to_str().to_string())),
    }
}

/// A mapped frame, to read.
///
/// # Errors
/// [`CameraError::Format`].
pub fn view<'a>(
    frame: &'a gst_video::VideoFrameRef<&gst::BufferRef>,
) -> Result<FrameView<'a>, CameraError> {
    let info = frame.info();
    let mut planes = [None, None, None];
    let given = frame.planes_data().into_iter().zip(info.stride());
    let count = info.n_planes() as usize;
    for (slot, (data, stride)) in planes.iter_mut().zip(given).take(count) {
        let stride = usize::try_from(*stride)
            .map_err(|_| CameraError::Format("rows from bottom to top".into()))?;
        *slot = Some(Plane { data, stride });
    }
    Ok(FrameView {
        format: pixel_format(info.format())?,
        width: info.width() as usize,
        height: info.height() as usize,
        planes,
    })
}

/// A mapped frame, to write.
///
/// # Errors
/// [`CameraError::Format`].
pub fn view_mut<'a>(
    frame: &'a mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
) -> Result<FrameViewMut<'a>, CameraError> {
    let info = frame.info().clone();
    let mut planes = [None, None, None];
    let given = frame.planes_data_mut().into_iter().zip(info.stride());
    let count = info.n_planes() as usize;
    for (slot, (data, stride)) in planes.iter_mut().zip(given).take(count) {
        let stride = usize::try_from(*stride)
            .map_err(|_| CameraError::Format("rows from bottom to top".into()))?;
        *slot = Some(PlaneMut { data, stride });
    }
    Ok(FrameViewMut {
        format: pixel_format(info.format())?,
        width: info.width() as usize,
        height: info.height() as usize,
        planes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_has_a_layout_that_the_student_takes() {
        gst::init().unwrap();
        for (colour, format) in [
            (None, "I420"),
            (Some(Colour::Luma), "I420"),
            (Some(Colour::Rgb), "RGB"),
        ] {
            let mut caps: gst::Caps = "video/x-raw,format=I420,width=8,height=8".parse().unwrap();
            fit(&mut caps, colour);
            let found = caps.structure(0).unwrap().get::<String>("format").unwrap();
            assert_eq!(found, format);
        }
    }
}
