//! Frames as `raw:FILE` writes them.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::camera::error::CameraError;
use crate::camera::planes;

/// The frame's samples row by row and plane by plane, without the bytes that GStreamer pads rows with
/// (to a multiple of four) and that other programs do not expect in a raw file.
///
/// # Errors
/// [`CameraError::Format`].
pub(in crate::camera) fn packed(
    buffer: &gst::Buffer,
    caps: &gst::Caps,
) -> Result<gst::Buffer, CameraError> {
    let unfit = || CameraError::Format(caps.to_string());
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| unfit())?;
    let format = planes::pixel_format(info.format())?;
    let frame =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| unfit())?;
    let view = planes::view(&frame)?;
    let sizes = format.plane_sizes(view.width, view.height);
    let size = sizes.iter().map(|(row, rows)| row * rows).sum();
    let given = view.planes.iter().flatten();
    let tight = given
        .clone()
        .zip(&sizes)
        .all(|(plane, (row, _))| plane.stride == *row);
    // Planes may be apart too, where a camera rounds the number of their rows up.
    if tight && buffer.size() == size {
        return Ok(buffer.clone());
    }
    let mut bytes = Vec::with_capacity(size);
    for (plane, (row, rows)) in given.zip(sizes) {
        for y in 0..rows {
            let start = y * plane.stride;
            let samples = plane.data.get(start..start + row).ok_or_else(unfit)?;
            bytes.extend_from_slice(samples);
        }
    }
    let mut packed = gst::Buffer::from_mut_slice(bytes);
    if let Some(packed) = packed.get_mut() {
        packed.set_pts(buffer.pts());
        packed.set_duration(buffer.duration());
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_and_samples_stay() {
        gst::init().unwrap();
        for (format, sizes) in [
            ("I420", &[(5, 3), (3, 2), (3, 2)][..]),
            ("NV12", &[(5, 3), (6, 2)]),
            ("YUY2", &[(12, 3)]),
            ("RGB", &[(15, 3)]),
            ("GRAY8", &[(5, 3)]),
        ] {
            let caps: gst::Caps =
                format!("video/x-raw,format={format},width=5,height=3,framerate=10/1")
                    .parse()
                    .unwrap();
            let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
            let mut bytes = vec![0xEE; info.size()];
            let mut want = Vec::new();
            for (plane, (row, rows)) in sizes.iter().enumerate() {
                for y in 0..*rows {
                    let start = info.offset()[plane] + y * info.stride()[plane] as usize;
                    let samples: Vec<u8> = (0..*row).map(|x| (16 * y + x + plane) as u8).collect();
                    bytes[start..start + row].copy_from_slice(&samples);
                    want.extend(samples);
                }
            }
            let buffer = gst::Buffer::from_mut_slice(bytes);
            let packed = packed(&buffer, &caps).unwrap();
            let packed = packed.map_readable().unwrap();
            assert!(packed.as_slice() == want, "{format}");
        }
    }
}
