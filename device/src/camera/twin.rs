//! In-memory twins for tests: an engine without a student.

use hone_shared::student::{Colour, Precision};

use crate::engine::{Engine, EngineError, FrameView, FrameViewMut, StudentInfo};

/// Inverts the planes that a student would restore, so that a test sees who touched a frame.
pub struct InvertingEngine {
    info: StudentInfo,
    delay: std::time::Duration,
}

impl InvertingEngine {
    /// A twin of a student for `colour`.
    pub fn new(colour: Colour) -> Self {
        Self {
            info: StudentInfo {
                colour,
                scale: 1,
                halo: Some(0),
                precision: Precision::Int8,
                macs_per_pixel: 1.0,
            },
            delay: std::time::Duration::ZERO,
        }
    }

    /// The same, taking at least `delay` for each frame.
    pub fn slow(colour: Colour, delay: std::time::Duration) -> Self {
        Self {
            delay,
            ..Self::new(colour)
        }
    }
}

impl Engine for InvertingEngine {
    fn student(&self) -> &StudentInfo {
        &self.info
    }

    fn description(&self) -> String {
        "inverts, for tests".into()
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        out.validate_against(frame)?;
        std::thread::sleep(self.delay);
        let sizes = frame.format.plane_sizes(frame.width, frame.height);
        for (plane, (row, rows)) in sizes.into_iter().enumerate() {
            let (Some(from), Some(to)) = (&frame.planes[plane], &mut out.planes[plane]) else {
                continue;
            };
            for y in 0..rows {
                let source = &from.data[y * from.stride..][..row];
                for (to, from) in to.data[y * to.stride..][..row].iter_mut().zip(source) {
                    *to = if plane == 0 && strength > 0.0 {
                        255 - from
                    } else {
                        *from
                    };
                }
            }
        }
        Ok(())
    }
}
