//! Frames as pictures in a file.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use hone_shared::frames::{PNG_HEADER, STUDIO_LUMA};

use super::elements::probe;
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
            .colorimetry(&info.colorimetry())
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

/// Has `encoder` say in each PNG when its grey values are video luma: who compares pictures has to know.
pub(super) fn tell_range(encoder: &gst::Element) {
    let studio = |caps: gst::Caps| {
        let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
        let range = info.colorimetry().range();
        Some(info.is_gray() && range == gst_video::VideoColorRange::Range16_235)
    };
    let given = encoder.static_pad("sink");
    probe(encoder, "src", move |_, buffer| {
        let caps = given.as_ref().and_then(|pad| pad.current_caps());
        if caps.and_then(studio) == Some(true)
            && let Some(told) = told(buffer)
        {
            *buffer = told;
        }
    });
}

fn told(buffer: &gst::Buffer) -> Option<gst::Buffer> {
    let bytes = buffer.map_readable().ok()?;
    let (header, rest) = bytes.split_at_checked(PNG_HEADER)?;
    let mut told = gst::Buffer::from_mut_slice([header, &STUDIO_LUMA, rest].concat());
    let kept = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
    buffer.copy_into(told.get_mut()?, kept, ..).ok()?;
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::elements;

    #[test]
    fn a_png_says_when_it_holds_video_luma() {
        elements::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        for (colorimetry, studio) in [("bt601", true), ("1:4:0:0", false)] {
            let caps =
                format!("video/x-raw,format=GRAY8,width=8,height=8,colorimetry={colorimetry}");
            let line = format!(
                "videotestsrc num-buffers=1 ! {caps} ! pngenc name=exit ! filesink location={}",
                file.display()
            );
            let pipeline = gst::parse::launch(&line)
                .unwrap()
                .downcast::<gst::Pipeline>()
                .unwrap();
            tell_range(&pipeline.by_name("exit").unwrap());
            pipeline.set_state(gst::State::Playing).unwrap();
            let ends = [gst::MessageType::Eos, gst::MessageType::Error];
            let bus = pipeline.bus().unwrap();
            let end = bus
                .timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends)
                .unwrap();
            assert_eq!(end.type_(), gst::MessageType::Eos);
            pipeline.set_state(gst::State::Null).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            assert_eq!(
                bytes[PNG_HEADER..].starts_with(&STUDIO_LUMA),
                studio,
                "{colorimetry}"
            );
        }
    }
}
