//! Camera frames as the engine sees them: borrowed u8 planes with strides.

/// How a frame's samples lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// One plane of luma.
    Gray8,
    /// One plane of interleaved R, G, B bytes.
    Rgb8,
    /// A luma plane, then one of interleaved U, V at half width and height.
    Nv12,
    /// A luma plane, then U and V planes at half width and height.
    I420,
    /// One plane of Y0 U Y1 V groups for every two pixels.
    Yuyv,
}

impl PixelFormat {
    /// (bytes per row, rows) of each plane of a `width` x `height` frame, without stride padding.
    pub fn plane_sizes(self, width: usize, height: usize) -> Vec<(usize, usize)> {
        let (half_w, half_h) = (width.div_ceil(2), height.div_ceil(2));
        match self {
            Self::Gray8 => vec![(width, height)],
            Self::Rgb8 => vec![(3 * width, height)],
            Self::Nv12 => vec![(width, height), (2 * half_w, half_h)],
            Self::I420 => vec![(width, height), (half_w, half_h), (half_w, half_h)],
            Self::Yuyv => vec![(4 * half_w, height)],
        }
    }

    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gray8 => "GRAY8",
            Self::Rgb8 => "RGB",
            Self::Nv12 => "NV12",
            Self::I420 => "I420",
            Self::Yuyv => "YUY2",
        }
    }
}

/// A frame that does not fit its own description, or a student that cannot take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A side is zero.
    #[error("the frame is {width}x{height}: both sides must be at least 1 pixel")]
    Empty {
        /// Frame width in pixels.
        width: usize,
        /// Frame height in pixels.
        height: usize,
    },
    /// Too few or too many planes, or a plane too short for its stride.
    #[error(
        "plane {plane} of a {format} frame needs rows of {row} bytes and {need} bytes, has stride {stride} and {len} bytes"
    )]
    Plane {
        /// Index of the plane.
        plane: usize,
        /// Name of the pixel format.
        format: &'static str,
        /// Bytes per row.
        row: usize,
        /// Least length of the plane.
        need: usize,
        /// Stride given.
        stride: usize,
        /// Length given.
        len: usize,
    },
    /// Input and output differ.
    #[error("input is {input}, output is {output}: formats and sizes must be equal")]
    Mismatch {
        /// The input, as `FORMAT WxH`.
        input: String,
        /// The output, as `FORMAT WxH`.
        output: String,
    },
    /// The student restores planes that this format does not have.
    #[error("{format} frames do not fit a student for {student}")]
    Colour {
        /// Name of the pixel format.
        format: &'static str,
        /// Planes the student restores.
        student: &'static str,
    },
}

/// One plane to read: rows start `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// Samples, row after row.
    pub data: &'a [u8],
    /// Bytes from one row's start to the next.
    pub stride: usize,
}

/// One plane to write.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// Samples, row after row.
    pub data: &'a mut [u8],
    /// Bytes from one row's start to the next.
    pub stride: usize,
}

/// A frame to read.
#[derive(Debug, Clone)]
pub struct FrameView<'a> {
    /// Layout of the planes.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// As many planes as the format has; the rest are `None`.
    pub planes: [Option<Plane<'a>>; 3],
}

/// A frame to write.
#[derive(Debug)]
pub struct FrameViewMut<'a> {
    /// Layout of the planes.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// As many planes as the format has; the rest are `None`.
    pub planes: [Option<PlaneMut<'a>>; 3],
}

impl<'a> FrameView<'a> {
    /// A frame of one tightly packed plane (`Gray8`, `Rgb8` or `Yuyv`).
    ///
    /// # Errors
    /// [`FrameError`] when `data` is too short.
    pub fn packed(
        format: PixelFormat,
        width: usize,
        height: usize,
        data: &'a [u8],
    ) -> Result<Self, FrameError> {
        let stride = format.plane_sizes(width, height)[0].0;
        let view = Self {
            format,
            width,
            height,
            planes: [Some(Plane { data, stride }), None, None],
        };
        view.validate()?;
        Ok(view)
    }

    /// Checks sides, plane count, strides and lengths.
    ///
    /// # Errors
    /// [`FrameError::Empty`] or [`FrameError::Plane`].
    pub fn validate(&self) -> Result<(), FrameError> {
        let planes = self
            .planes
            .each_ref()
            .map(|p| p.as_ref().map(|p| (p.stride, p.data.len())));
        validate(self.format, self.width, self.height, &planes)
    }
}

impl<'a> FrameViewMut<'a> {
    /// A frame of one tightly packed plane (`Gray8`, `Rgb8` or `Yuyv`).
    ///
    /// # Errors
    /// [`FrameError`] when `data` is too short.
    pub fn packed(
        format: PixelFormat,
        width: usize,
        height: usize,
        data: &'a mut [u8],
    ) -> Result<Self, FrameError> {
        let stride = format.plane_sizes(width, height)[0].0;
        let view = Self {
            format,
            width,
            height,
            planes: [Some(PlaneMut { data, stride }), None, None],
        };
        view.validate()?;
        Ok(view)
    }

    /// Checks sides, plane count, strides and lengths.
    ///
    /// # Errors
    /// [`FrameError::Empty`] or [`FrameError::Plane`].
    pub fn validate(&self) -> Result<(), FrameError> {
        let planes = self
            .planes
            .each_ref()
            .map(|p| p.as_ref().map(|p| (p.stride, p.data.len())));
        validate(self.format, self.width, self.height, &planes)
    }

    /// Checks that `input` has this frame's format and size, and both fit their description.
    ///
    /// # Errors
    /// Any [`FrameError`] but `Colour`.
    pub fn validate_against(&self, input: &FrameView<'_>) -> Result<(), FrameError> {
        input.validate()?;
        self.validate()?;
        if (self.format, self.width, self.height) == (input.format, input.width, input.height) {
            return Ok(());
        }
        let name = |f: PixelFormat, w, h| format!("{} {w}x{h}", f.name());
        Err(FrameError::Mismatch {
            input: name(input.format, input.width, input.height),
            output: name(self.format, self.width, self.height),
        })
    }
}

fn validate(
    format: PixelFormat,
    width: usize,
    height: usize,
    planes: &[Option<(usize, usize)>; 3],
) -> Result<(), FrameError> {
    if width == 0 || height == 0 {
        return Err(FrameError::Empty { width, height });
    }
    let sizes = format.plane_sizes(width, height);
    for (plane, given) in planes.iter().enumerate() {
        let (row, rows) = sizes.get(plane).copied().unwrap_or((0, 0));
        let (stride, len) = given.unwrap_or((0, 0));
        let need = if rows == 0 {
            0
        } else {
            stride.saturating_mul(rows - 1).saturating_add(row)
        };
        if given.is_some() != (plane < sizes.len()) || stride < row || len < need {
            let format = format.name();
            return Err(FrameError::Plane {
                plane,
                format,
                row,
                need,
                stride,
                len,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plane_sizes_round_chroma_up() {
        assert_eq!(
            PixelFormat::I420.plane_sizes(5, 3),
            [(5, 3), (3, 2), (3, 2)]
        );
        assert_eq!(PixelFormat::Nv12.plane_sizes(5, 3), [(5, 3), (6, 2)]);
        assert_eq!(PixelFormat::Yuyv.plane_sizes(5, 3), [(12, 3)]);
    }

    #[test]
    fn short_and_missing_planes_are_refused() {
        assert!(FrameView::packed(PixelFormat::Rgb8, 4, 4, &[0; 48]).is_ok());
        let short = FrameView::packed(PixelFormat::Rgb8, 4, 4, &[0; 47]).unwrap_err();
        assert!(
            short
                .to_string()
                .contains("needs rows of 12 bytes and 48 bytes")
        );
        let missing = FrameView::packed(PixelFormat::Nv12, 4, 4, &[0; 64]).unwrap_err();
        assert!(matches!(missing, FrameError::Plane { plane: 1, .. }));
        let empty = FrameView::packed(PixelFormat::Gray8, 0, 4, &[]).unwrap_err();
        assert!(matches!(empty, FrameError::Empty { .. }));
    }
}
