//! Frames as pictures in a file.

use gstreamer as gst;
use gstreamer_video as gst_video;

use super::error::CameraError;
use super::planes;
use crate::engine::PixelFormat;

/// What a PNG shows of a frame: RGB and GRAY8 as they are, otherwise the luma plane.
pub(super) fn picture(
    buffer: &gst::Buffer,
    caps: &gst::Caps,
) -> Result<(gst::Buffer, gst::Caps), CameraError> {
    let unfit = || CameraError::Format(caps.to_string());
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| unfit())?;
    let format = planes::pixel_format(info.format())?;
    if matches!(format, PixelFormat::Gray8 | PixelFormat::Rgb8) {
        return Ok((buffer.clone(), caps.clone()));
    }
    let frame =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| unfit())?;
    let view = planes::view(&frame)?;
    let gray =
        gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, info.width(), info.height())
            .fps(info.fps())
            .build()
            .map_err(|_| unfit())?;
    let stride = usize::try_from(gray.stride()[0]).unwrap_or(view.width);
    let step = if format == PixelFormat::Yuyv { 2 } else { 1 };
    let mut bytes = vec![0; gray.size()];
    if let Some(luma) = &view.planes[0] {
        for (y, row) in bytes.chunks_mut(stride).take(view.height).enumerate() {
            let from = luma.data[y * luma.stride..].iter().step_by(step);
            for (to, from) in row.iter_mut().take(view.width).zip(from) {
                *to = *from;
            }
        }
    }
    let mut picture = gst::Buffer::from_mut_slice(bytes);
    if let Some(picture) = picture.get_mut() {
        picture.set_pts(buffer.pts());
        picture.set_duration(buffer.duration());
    }
    Ok((picture, gray.to_caps().map_err(|_| unfit())?))
}
